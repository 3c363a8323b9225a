"""Where a data set comes from: its name, its images before decoding, and its fingerprint.

The parent process asks these questions for every run, so PyTorch is not imported to answer them.
"""

import hashlib

import numpy as np
from PIL import Image

from pipeline.errors import DataError, did_you_mean
from pipeline.learn.contents import Contents, Part
from pipeline.learn.image_folder import list_folder
from pipeline.settings import RunSettings


def known_datasets() -> list[str]:
    """Return every name that ``dataset`` may have."""
    return ["digits", "image_folder"]


def find(settings: RunSettings) -> Contents:
    """Return what a data set holds, downloading it first where that is needed and allowed.

    Raises DataError when there is no such data set, or it cannot be had.
    """
    if settings.dataset == "image_folder":
        return list_folder(settings.data_dir)
    if settings.dataset == "digits":
        return list_digits()
    raise DataError(
        f"dataset is {settings.dataset!r}, which is not known."
        f"{did_you_mean(settings.dataset, known_datasets(), 3)}"
    )


def list_digits() -> Contents:
    """List scikit-learn's 1,797 handwritten digits, 8x8 grey levels 0 to 16 (Alpaydin & Kaynak 1998)."""
    from sklearn.datasets import load_digits

    digits = load_digits()
    pixels = np.rint(digits.images * (255 / 16)).astype(np.uint8)
    part = Part(digits.target.astype(np.int64), lambda i: Image.fromarray(pixels[i]))
    return Contents(
        "digits",
        "digits",
        "scikit-learn's handwritten digits",
        [str(c) for c in digits.target_names],
        {"train": part},
    )


def fingerprint(settings: RunSettings) -> str:
    """Return a hash of the content of a data set, wherever it lies."""
    contents = find(settings)
    state = hashlib.sha256()
    for name, part in contents.parts.items():
        for i in range(len(part)):
            state.update(f"{name} {part.name(i)}".encode())
    return state.hexdigest()
