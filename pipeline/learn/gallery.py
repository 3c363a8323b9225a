"""Small pictures of the images: what the report shows, and what the notebook draws."""

import io
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from PIL import Image

from pipeline.records import GALLERY_COLUMNS, SplitPredictions
from pipeline.settings import RunSettings

if TYPE_CHECKING:
    from pipeline.learn.data import ImageData, Split

LARGEST_SIDE = 64
SAMPLES_PER_CLASS = 6
CLASSES_SHOWN = 20
AUGMENTED_IMAGES = 6
AUGMENTED_VIEWS = 5
MOST_ERRORS = 2000
Row = tuple[str, str, int, int, str, bytes]


def gallery(
    images: "ImageData", predictions: Mapping[str, SplitPredictions], settings: RunSettings
) -> pd.DataFrame:
    """Return samples, augmented views and mistakes as PNG files: columns ``GALLERY_COLUMNS``.

    Of the mistakes, at most 2,000 of each split: the most confident ones.
    """
    rows = [*_samples(images), *_augmented(images, settings)]
    for name, split in predictions.items():
        rows += _errors(name, getattr(images, name), split)
    return pd.DataFrame(rows, columns=list(GALLERY_COLUMNS))


def _samples(images: "ImageData") -> Iterator[Row]:
    targets = images.train.targets.cpu().numpy()
    for target in range(len(images.classes)):
        for position in np.flatnonzero(targets == target)[:SAMPLES_PER_CLASS]:
            yield _row("sample", "train", images.train, int(position))


def _augmented(images: "ImageData", settings: RunSettings) -> Iterator[Row]:
    positions = _shown_positions(images)
    originals = [_row("augmented", "train", images.train, int(position)) for position in positions]
    yield from originals
    for views in _views(images, settings, positions):
        for row, view in zip(originals, views, strict=True):
            yield (*row[:-1], png(view))


def _errors(name: str, stored: "Split", split: SplitPredictions) -> Iterator[Row]:
    confidence = split.probability.max(axis=1)
    wrong = np.flatnonzero(~split.correct)
    for position in wrong[np.argsort(-confidence[wrong], kind="stable")][:MOST_ERRORS]:
        yield _row("error", name, stored, int(position))


def _row(kind: str, name: str, stored: "Split", position: int) -> Row:
    file = stored.files[position] if len(stored.files) else ""
    pixels = stored.pixels[position].cpu().numpy()
    return kind, name, int(stored.index[position]), int(stored.targets[position]), file, png(pixels)


def png(pixels: np.ndarray) -> bytes:
    """Return uint8 [H, W, 3] as a PNG of at most 64 pixels a side."""
    image = Image.fromarray(pixels)
    image.thumbnail((LARGEST_SIDE, LARGEST_SIDE))
    buffer = io.BytesIO()
    image.save(buffer, "PNG", optimize=True)
    return buffer.getvalue()


def _shown_positions(images: "ImageData") -> np.ndarray:
    """Return the first image of each of the first few classes."""
    targets = images.train.targets.cpu().numpy()
    return np.unique(targets, return_index=True)[1][:AUGMENTED_IMAGES]


def _views(images: "ImageData", settings: RunSettings, positions: np.ndarray) -> Iterator[np.ndarray]:
    """Yield augmented views of these training images, uint8 [images, H, W, 3], epoch by epoch."""
    train = images.train
    chosen = replace(
        train,
        images=train.images[positions],
        targets=train.targets[positions],
        index=train.index[positions],
        files=(),
    )
    few = replace(images, train=chosen, num_workers=None)
    for epoch in range(AUGMENTED_VIEWS):
        yield few.augmented_pixels(settings.seed, epoch, settings).cpu().numpy()


def show_samples(images: "ImageData") -> Figure:
    """Draw training images, one row for each class."""
    rows = []
    targets = images.train.targets.cpu().numpy()
    for target in range(min(len(images.classes), CLASSES_SHOWN)):
        positions = np.flatnonzero(targets == target)[:SAMPLES_PER_CLASS]
        rows.append([images.train.pixels[int(p)].cpu().numpy() for p in positions])
    return _grid(rows, images.classes)


def show_augmented(images: "ImageData", settings: RunSettings) -> Figure:
    """Draw training images, each followed by augmented views of it."""
    positions = _shown_positions(images)
    views = list(_views(images, settings, positions))
    targets = images.train.targets.cpu().numpy()
    rows = [
        [images.train.pixels[int(p)].cpu().numpy(), *(view[i] for view in views)]
        for i, p in enumerate(positions)
    ]
    return _grid(rows, [images.classes[targets[p]] for p in positions])


def _grid(rows: list[list[np.ndarray]], names: list[str]) -> Figure:
    columns = max(len(row) for row in rows)
    figure = Figure(figsize=(1.0 + 0.75 * columns, 0.75 * len(rows)), layout="constrained")
    axes = figure.subplots(len(rows), columns, squeeze=False)
    for axis in axes.flat:
        axis.set_axis_off()
    for row, name, line in zip(rows, names, axes, strict=False):
        for pixels, axis in zip(row, line, strict=False):
            axis.imshow(pixels, interpolation="nearest")
        # A class name may hold $ or other markup, which Matplotlib must show and not read.
        line[0].text(
            -0.15, 0.5, name[:24].replace("$", r"\$"), transform=line[0].transAxes, ha="right", va="center"
        )
    return figure
