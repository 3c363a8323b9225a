"""What a data set holds, known before any of its images is decoded."""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image

CACHE_VARIABLE = "HEADSTART_CACHE"


@dataclass(frozen=True)
class Part:
    """The images of one part, as the data bring it, in an order that stays the same.

    ``targets`` int64 [n]; ``read(i)`` returns image i, or raises when it is unreadable; ``files``
    names each image relative to the data folder, or is empty when images have no files.
    """

    targets: np.ndarray
    read: Callable[[int], Image.Image]
    files: Sequence[str] = ()

    def __len__(self) -> int:
        return len(self.targets)

    def name(self, position: int) -> str:
        """Return the file of an image, or its position when it has none."""
        return self.files[position] if self.files else f"image {position}"


@dataclass(frozen=True)
class Contents:
    """``parts`` holds "train", and "val" and "test" when the data bring them.

    ``place`` is what errors name, ``source`` says in words where the images come from.
    """

    name: str
    place: str
    source: str
    classes: list[str]
    parts: dict[str, Part] = field(repr=False)


def cache_folder(kind: str) -> Path:
    """Return ``cache/<kind>`` here, or in the folder that HEADSTART_CACHE names."""
    return Path(os.environ.get(CACHE_VARIABLE) or "cache") / kind


def clean_name(name: str) -> str:
    """Return a file name that any file and terminal can hold: UTF-8, printable, on one line."""
    if name.isprintable():
        return name
    text = name.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    return "".join(character if character.isprintable() else "\ufffd" for character in text)
