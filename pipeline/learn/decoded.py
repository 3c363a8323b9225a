"""Decoded images on disk: bytes that a run only maps into memory, checked when read.

``cache/decoded/<key>/`` holds ``pixels.bin``, the images one after the other, and ``images.json``,
which says what they are, with a checksum of each block.
"""

import json
import logging
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pipeline.errors import one_line
from pipeline.record import digest

log = logging.getLogger(__name__)

FORMAT = 1  # raise when decoding changes, so that older caches are not used
CHECKED_BYTES = 4 << 30  # of a larger cache, only so many bytes are checked at each start

Size = tuple[int, int]


@dataclass(frozen=True)
class Decoded:
    """Square RGB images: ``pixels`` uint8 [n, side, side, 3], mapped from a file.

    ``positions`` int64 [n] says which of the images asked for each one is; ``unreadable`` gives the
    reason for the others. ``native_size`` is height and width, or None when sizes differ. ``path`` is
    the file that holds the pixels and nothing else.
    """

    path: str
    pixels: np.ndarray
    positions: np.ndarray
    unreadable: dict[int, str]
    native_size: Size | None


def read_decoded(folder: Path) -> Decoded | None:
    """Return what a folder of decoded images holds; None when there is none, or it is damaged."""
    if not folder.is_dir():
        return None
    try:
        content = json.loads((folder / "images.json").read_text(encoding="utf-8"))
        about = content["about"]
        if digest(about) != content["sha256"]:
            raise ValueError("images.json has another checksum")
        if about["format"] != FORMAT:
            return None
        path = folder / "pixels.bin"
        pixels = _checked_pixels(path, about["blocks"])
        unreadable = {int(image): reason for image, reason in about["unreadable"].items()}
        positions = np.setdiff1d(np.arange(about["count"]), np.array([*unreadable], dtype=np.int64))
        shape = (len(positions), about["side"], about["side"], 3)
        size = tuple(about["native_size"]) if about["native_size"] else None
        return Decoded(str(path.absolute()), pixels.reshape(shape), positions, unreadable, size)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        log.warning("%s: damaged (%s); its images are decoded again.", folder, one_line(error, 120))
        return None


def _checked_pixels(path: Path, blocks: list[tuple[int, int]]) -> np.ndarray:
    """Map a file of pixels. Raises ValueError when a block does not have its checksum."""
    total = sum(length for length, _ in blocks)
    if path.stat().st_size != total:
        raise ValueError(f"{path.name} has {path.stat().st_size:,} bytes, not {total:,}")
    if total == 0:
        return np.empty(0, dtype=np.uint8)
    pixels = np.memmap(path, dtype=np.uint8, mode="c")  # private: PyTorch wants to be able to write
    step, start = -(-total // CHECKED_BYTES), 0
    for number, (length, checksum) in enumerate(blocks):
        if number % step == 0 and zlib.crc32(pixels[start : start + length].data) != checksum:
            raise ValueError(f"block {number} of {path.name} has another checksum")
        start += length
    return pixels
