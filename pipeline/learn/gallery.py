"""Pictures for notebook and report: samples, augmented views, every mistake, curves and confusion."""

# No result depends on this module: it is no part of a run's identity.

import inspect
import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import wraps
from typing import ParamSpec

import matplotlib as mpl
import numpy as np
import pandas as pd
import torch
from IPython.display import Code
from matplotlib import pyplot as plt
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from PIL import Image
from sklearn.metrics import ConfusionMatrixDisplay
from torch import Tensor

from pipeline import fonts
from pipeline.experiment import RunSettings, own_network
from pipeline.learn.data.augment import augment, generator
from pipeline.learn.data.images import ImageData, Split
from pipeline.learn.models import own
from pipeline.record import GALLERY_COLUMNS, SplitPredictions

THUMB_SIDE = 64
SAMPLES_PER_CLASS = 8
MOST_SAMPLES = 200
AUGMENTED_IMAGES = 6
VIEWS = 6
MOST_ERRORS = 2000
MOST_CLASSES_SHOWN = 20
MOST_CLASSES_NAMED = 60  # at the sides of a confusion matrix
LONGEST_NAME = 24

Drawn = ParamSpec("Drawn")
Row = tuple[str, str, int, int, str, bytes]


def gallery(
    images: ImageData, predictions: Mapping[str, SplitPredictions], settings: RunSettings | None = None
) -> pd.DataFrame:
    """Return the pictures that the report shows, columns ``GALLERY_COLUMNS``.

    With ``settings``, views of training images augmented as they ask for are among them. Of the
    wrong predictions on val and test, the 2,000 most confident are kept, most confident first.
    """
    rows = [_row("sample", "train", images.train, row) for row in sample_rows(images)]
    if settings is not None:
        rows += _augmented(images, settings)
    rows += _errors(images, predictions)
    return pd.DataFrame(rows, columns=list(GALLERY_COLUMNS))


def _row(kind: str, name: str, split: Split, row: int, pixels: Tensor | None = None) -> Row:
    shown = split.pixels[row] if pixels is None else pixels
    file = split.files[row] if split.files else ""
    return kind, name, int(split.index[row]), int(split.targets[row]), file, _png(shown)


def _png(pixels: Tensor) -> bytes:
    """Return uint8 [S, S, 3] as a PNG of at most 64 pixels a side."""
    image = Image.fromarray(pixels.cpu().numpy())
    if image.width > THUMB_SIDE:
        image = image.resize((THUMB_SIDE, THUMB_SIDE), Image.Resampling.BILINEAR)
    file = io.BytesIO()
    image.save(file, format="PNG")
    return file.getvalue()


def sample_rows(images: ImageData, per_class: int = SAMPLES_PER_CLASS) -> list[int]:
    """Return rows of the training split, a few of each class, spread over the class."""
    per_class = max(1, min(per_class, MOST_SAMPLES // len(images.classes)))
    rows = []
    for label in range(len(images.classes)):
        members = torch.nonzero(images.train.targets == label).flatten().cpu().numpy()
        spread = np.linspace(0, len(members) - 1, min(per_class, len(members)))
        rows += members[spread.round().astype(int)].tolist()
    return rows


def augmented_views(images: ImageData, rows: Sequence[int], settings: RunSettings) -> Tensor:
    """Return what augmentation makes of training images in some epochs: uint8 [VIEWS, n, S, S, 3]."""
    positions = torch.tensor(rows, device=images.train.pixels.device)
    pixels = images.train.pixels[positions]
    views = []
    for epoch in range(VIEWS):
        random = generator(settings.seed, epoch, "views")
        draw = images.draw(settings, random, positions, settings.seed, epoch)
        views.append(augment(pixels, settings.augmentation, draw))
    return torch.stack(views)


def _augmented(images: ImageData, settings: RunSettings) -> Iterator[Row]:
    if not settings.augmentation:
        return
    rows = sample_rows(images, 1)[:AUGMENTED_IMAGES]
    for number, row in enumerate(rows):
        for view in augmented_views(images, rows, settings)[:, number]:
            yield _row("augmented", "train", images.train, row, view)


def _errors(images: ImageData, predictions: Mapping[str, SplitPredictions]) -> list[Row]:
    mistakes = []
    for name in ("val", "test"):
        if name in predictions:
            answers = predictions[name]
            wrong = np.flatnonzero(~answers.correct)
            sure = answers.probability[wrong].max(axis=1)
            mistakes += [(-float(p), name, int(i)) for p, i in zip(sure, answers.index[wrong], strict=True)]
    rows = []
    for _, name, index in sorted(mistakes)[:MOST_ERRORS]:
        split: Split = getattr(images, name)
        rows.append(_row("error", name, split, int(np.searchsorted(split.index, index))))
    return rows


def plain(draw: Callable[Drawn, Figure]) -> Callable[Drawn, Figure]:
    """Decorate what draws: in Matplotlib's own style, whatever a ``matplotlibrc`` of the user says."""

    @wraps(draw)
    def drawn(*given: Drawn.args, **named: Drawn.kwargs) -> Figure:
        with mpl.rc_context():
            mpl.rcdefaults()
            return draw(*given, **named)

    return drawn


@plain
def show_samples(images: ImageData) -> Figure:
    """Draw training images of up to 20 classes, one row for each class."""
    shown = np.linspace(0, len(images.classes) - 1, min(len(images.classes), MOST_CLASSES_SHOWN))
    labels = sorted({int(label) for label in shown.round()})
    chosen = [row for row in sample_rows(images) if int(images.train.targets[row]) in labels]
    rows = [[r for r in chosen if int(images.train.targets[r]) == label] for label in labels]
    pictures = [[images.train.pixels[r].cpu() for r in row] for row in rows]
    return _mosaic(pictures, _names(images.classes, labels))


@plain
def show_augmented(images: ImageData, settings: RunSettings) -> Figure:
    """Draw some training images as they are, and beside them as augmentation changes them."""
    rows = sample_rows(images, 1)[:AUGMENTED_IMAGES]
    views = augmented_views(images, rows, settings).cpu()
    pictures = [[images.train.pixels[row].cpu(), *views[:, i]] for i, row in enumerate(rows)]
    names = _names(images.classes, [int(images.train.targets[row]) for row in rows])
    return _mosaic(pictures, names, ["as it is", *(f"epoch {epoch + 1}" for epoch in range(VIEWS))])


def _mosaic(
    pictures: Sequence[Sequence[Tensor]], row_names: Sequence[str], column_names: Sequence[str] = ()
) -> Figure:
    """Draw pictures uint8 [S, S, 3] in rows, with their names beside and above them."""
    side = pictures[0][0].shape[0]
    step = side + max(1, side // 16)
    columns = max(len(row) for row in pictures)
    canvas = np.full((len(pictures) * step, columns * step, 3), 255, dtype=np.uint8)
    for top, row in enumerate(pictures):
        for left, picture in enumerate(row):
            canvas[top * step :, left * step :][:side, :side] = picture.numpy()
    figure, axes = plt.subplots(
        figsize=(0.8 * columns + 1.5, 0.8 * len(pictures) + 0.3), layout="constrained"
    )
    plt.close(figure)  # a notebook shows what a cell returns; an open figure would be shown twice
    axes.imshow(canvas, interpolation="nearest")
    for set_ticks, names in ((axes.set_yticks, row_names), (axes.set_xticks, column_names)):
        places = [i * step + side / 2 for i in range(len(names))]
        family = fonts.families("".join(names))
        set_ticks(places, names, parse_math=False, fontfamily=family)  # "$" is a dollar sign
    axes.tick_params(length=0, labeltop=True, labelbottom=False)
    axes.spines[:].set_visible(False)
    return figure


def _names(classes: Sequence[str], labels: Sequence[int]) -> list[str]:
    """Return short names for a figure; what no font here draws becomes a number, and that is printed."""
    lost = {k: classes[k] for k in sorted(set(labels)) if fonts.undrawn(classes[k])}
    if lost:
        told = ", ".join(f"class {k} is {name}" for k, name in lost.items())
        print(f"No font here draws all letters of some names: {told}.")
    return [f"class {k}" if k in lost else _short(classes[k]) for k in labels]


def _short(name: str) -> str:
    return name if len(name) <= LONGEST_NAME else f"{name[: LONGEST_NAME - 1]}…"


@plain
def show_curves(history: pd.DataFrame) -> Figure:
    """Draw loss and accuracy over the epochs, on train and on val."""
    figure = Figure(figsize=(9, 3.2), layout="constrained")
    for axis, name in zip(figure.subplots(1, 2), ("loss", "accuracy"), strict=True):
        for split in ("train", "val"):
            axis.plot(history["epoch"], history[f"{split}_{name}"], marker=".", label=split)
        axis.set(xlabel="epoch", ylabel=name)
        axis.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
        axis.legend()
    return figure


def show_code(settings: RunSettings, *functions: Callable[..., object]) -> Code:
    """Return the file of a network of the user's own, if it is one, and the functions, as they ran."""
    texts = [own.source(settings)] if own_network(settings.model) else []
    return Code("\n\n".join([*texts, *map(inspect.getsource, functions)]), language="python")


@plain
def show_confusion(predictions: Mapping[str, SplitPredictions], classes: Sequence[str]) -> Figure:
    """Draw the confusion matrix of test: rows are true classes, columns answers."""
    split = predictions["test"]
    side = min(14.0, 3.0 + 0.5 * len(classes))
    figure = Figure(figsize=(side, side), layout="constrained")
    axes = figure.subplots()
    named = len(classes) <= MOST_CLASSES_NAMED
    names = _names(classes, range(len(classes))) if named else []
    ConfusionMatrixDisplay.from_predictions(
        split.target,
        split.predicted,
        labels=np.arange(len(classes)),
        include_values=len(classes) <= 20,
        colorbar=False,
        cmap="Blues",
        ax=axes,
    )
    family = fonts.families("".join(names))
    axes.set_xticks(range(len(names)), names, rotation="vertical", parse_math=False, fontfamily=family)
    axes.set_yticks(range(len(names)), names, parse_math=False, fontfamily=family)
    return figure
