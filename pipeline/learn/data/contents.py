"""What a data set holds, known before any of its images is decoded."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
import pandas as pd
from PIL import Image

from pipeline.files import Files


@dataclass(frozen=True)
class Part:
    """The images of one part, as the data bring it, in an order that stays the same.

    ``targets`` int64 [n]; ``read(i)`` returns image i, or raises when it is unreadable; ``files``
    names each image relative to the data folder, ``paths`` says where it lies; both are empty when
    images have no files. ``groups`` names what images belong together, as a patient; ``metadata`` [n]
    is what a table says of them beside their class.
    """

    targets: np.ndarray
    read: Callable[[int], Image.Image]
    files: Sequence[str] = ()
    paths: Sequence[str] = ()
    groups: Sequence[str] = ()
    metadata: pd.DataFrame | None = None

    def __len__(self) -> int:
        return len(self.targets)

    def name(self, position: int) -> str:
        """Return the file of an image, or its position when it has none."""
        return self.files[position] if self.files else f"image {position}"


@dataclass(frozen=True)
class Contents:
    """``parts`` holds "train", and "val" and "test" when the data bring them.

    ``place`` is what errors name, ``source`` says in words where the images come from, ``notes`` what
    of the data was left out or read in a way that a reader should know.
    """

    name: str
    place: str
    source: str
    classes: list[str]
    parts: dict[str, Part] = field(repr=False)
    notes: Sequence[str] = ()

    @property
    def counts(self) -> dict[str, list[int]]:
        """How many images each class has in each part."""
        return {
            name: np.bincount(part.targets, minlength=len(self.classes)).tolist()
            for name, part in self.parts.items()
        }


class Source(Protocol):
    """Where a data set can be had."""

    def contents(self, data_dir: str) -> Contents:
        """Return what it holds, downloaded first if need be."""
        ...

    def files(self, data_dir: str) -> Files:
        """Return all files that it is made of, downloaded first if need be."""
        ...


def clean_name(name: str) -> str:
    """Return a file name that any file and terminal can hold: UTF-8, printable, on one line."""
    if name.isprintable():
        return name
    text = name.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    return "".join(character if character.isprintable() else "\ufffd" for character in text)


def numbers_first(label: str) -> tuple[float, str]:
    """Return a key that sorts labels that are numbers as numbers, before all others."""
    try:
        value = float(label)
    except ValueError:
        return math.inf, label
    return (value if math.isfinite(value) else math.inf), label
