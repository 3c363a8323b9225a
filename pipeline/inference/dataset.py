"""A run's own images: found again and the same, or none; and any image made a square as those were."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from PIL import Image

from pipeline.errors import DataError, RecordError
from pipeline.learn import data
from pipeline.learn.checkpoint import Prepared
from pipeline.learn.data.decode import Scale, native_size, to_square
from pipeline.learn.data.images import ImageData, Split
from pipeline.learn.device import Hardware
from pipeline.learn.download import OFFLINE_VARIABLE
from pipeline.record import DatasetInfo, RunRecord


def load(record: RunRecord, prepared: Prepared, hardware: Hardware) -> ImageData:
    """Return the images that a run learned from, split as they were.

    Nothing is fetched. Raises DataError when they are not on this machine, or have changed.
    """
    with _offline():
        images = data.load(record.settings, prepared.preprocessing, hardware)
    if images.info.fingerprint != about(record).fingerprint:
        raise DataError(
            f"{record.settings.data_dir}: its images are not those that {record.run_id} learned from."
        )
    return images


@contextmanager
def _offline() -> Iterator[None]:
    before = os.environ.get(OFFLINE_VARIABLE)
    os.environ[OFFLINE_VARIABLE] = "1"
    try:
        yield
    finally:
        os.environ.pop(OFFLINE_VARIABLE)
        if before is not None:
            os.environ[OFFLINE_VARIABLE] = before


def about(record: RunRecord) -> DatasetInfo:
    """Return what a run's images were."""
    if record.details.dataset is None:
        raise RecordError(f"{record.folder / 'record.json'}: does not say what the images were.")
    return record.details.dataset


def without_images(record: RunRecord, prepared: Prepared, hardware: Hardware) -> ImageData:
    """Return a data set that has no images, and prepares any as the run prepared its own."""
    side = prepared.stored_side
    none = Split(torch.zeros((0, side, side, 3), dtype=torch.uint8), torch.zeros(0).long(), np.zeros(0, int))
    return ImageData(record.classes, none, none, none, prepared.preprocessing, about(record), hardware)


def square(image: Image.Image, record: RunRecord, prepared: Prepared) -> np.ndarray:
    """Return an image as the run's own were stored: uint8 [S, S, 3]."""
    side, how = prepared.stored_side, record.settings.resize
    kept = about(record).native_size == list(native_size(image)) and _stays(native_size(image), side, how)
    found = to_square(
        image, None if kept else side, prepared.preprocessing.interpolation, _scale(record), how
    )
    return np.asarray(found)


def _stays(size: tuple[int, int], side: int, how: str) -> bool:
    """Whether images of one size were cut to squares and not scaled, as ``data.store`` decides it."""
    return min(size) == side and (how == "crop" or size[0] == size[1])


def _scale(record: RunRecord) -> Scale | None:
    ends = about(record).pixel_scale
    return Scale(ends[0], ends[1], 0.0, 16) if ends else None
