"""Decoded images on disk: pixels that a run only maps into memory, checked when read.

``cache/decoded/<key>/`` holds ``pixels.npy``, which NumPy opens, and ``images.json``, which says what
the images are, with a checksum of each block of them.
"""

import json
import os
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np

from pipeline.files import digest, made_again
from pipeline.learn.data.scale import Scale

FORMAT = 3  # raise when decoding changes, so that older caches are not used
CHECKED_BYTES = 4 << 30  # of a larger cache, only so many bytes are checked at each start

Size = tuple[int, int]


@dataclass(frozen=True)
class Decoded:
    """Square RGB images: ``pixels`` uint8 [n, side, side, 3], mapped from the file ``path``.

    ``positions`` int64 [n] says which of the images asked for each one is; ``unreadable`` gives the
    reason for the others. ``native_size`` is height and width, or None when sizes differ; ``typical_side``
    the median of the shorter side; ``seen_share`` the mean share of an image's area that is in its square.
    """

    path: str
    pixels: np.ndarray
    positions: np.ndarray
    unreadable: dict[int, str]
    native_size: Size | None
    typical_side: float
    seen_share: float
    scale: Scale | None = None


def write_header(file: IO[bytes], shape: tuple[int, ...]) -> None:
    """Write the header of an .npy file at its start; it is as long for any smaller number of images."""
    file.seek(0)
    header = {"descr": "|u1", "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(file, header)
    file.seek(0, os.SEEK_END)


def about_sizes(sizes: list[Size], cropped: bool) -> dict[str, object]:
    """Return what ``images.json`` says of the sizes of images, and of what the square keeps of them."""
    shorter, longer = np.array(sizes or [(1, 1)]).min(1), np.array(sizes or [(1, 1)]).max(1)
    return {
        "native_size": sizes[0] if len(set(sizes)) == 1 else None,
        "typical_side": float(np.median(shorter)),
        "seen_share": float(np.mean(shorter / longer)) if cropped else 1.0,
    }


def read_decoded(folder: Path) -> Decoded | None:
    """Return what a folder of decoded images holds; None when there is none, or it is damaged."""
    with made_again(folder):
        content = json.loads((folder / "images.json").read_text(encoding="utf-8"))
        about = content["about"]
        if digest(about) != content["sha256"]:
            raise ValueError("images.json has another checksum")
        if about["format"] != FORMAT:
            return None
        path = folder / "pixels.npy"
        pixels = _checked_pixels(path, about["shape"], about["blocks"])
        unreadable = {int(image): reason for image, reason in about["unreadable"].items()}
        positions = np.setdiff1d(np.arange(about["count"]), np.array([*unreadable], dtype=np.int64))
        size = tuple(about["native_size"]) if about["native_size"] else None
        scale = Scale(**about["scale"]) if about["scale"] else None
        seen = about["typical_side"], about["seen_share"]
        return Decoded(str(path.absolute()), pixels, positions, unreadable, size, *seen, scale)
    return None


def _checked_pixels(path: Path, shape: list[int], blocks: list[tuple[int, int]]) -> np.ndarray:
    """Map a file of pixels. Raises ValueError when a block does not have its checksum."""
    pixels = np.lib.format.open_memmap(path, mode="c")  # private: PyTorch wants to be able to write
    if list(pixels.shape) != shape or pixels.dtype != np.uint8:
        raise ValueError(f"{path.name} holds other images")
    flat, start = pixels.reshape(-1), 0
    step = max(1, -(-pixels.nbytes // CHECKED_BYTES))
    for number, (length, checksum) in enumerate(blocks):
        if number % step == 0 and zlib.crc32(flat[start : start + length].data) != checksum:
            raise ValueError(f"block {number} of {path.name} has another checksum")
        start += length
    return pixels
