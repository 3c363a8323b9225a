"""Pictures with words below them, set in rows: what every figure that shows images is made of."""

import io
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from PIL import Image

from pipeline.report.look import theme
from pipeline.report.study import Study

LINE = 0.155  # inches from one line of words to the next
TITLE = 0.24  # inches above a row, for its title
GAP = 0.12  # inches between rows
NUMBERED = (5, 0.85, 1.14)  # pictures in a row; the side of one, and from one to the next, in inches


@dataclass(frozen=True)
class Picture:
    """A PNG (None: it was not kept) and the lines of words below it, each with its colour."""

    png: bytes | None
    lines: Sequence[tuple[str, str]] = ()


@dataclass(frozen=True)
class Row:
    """Pictures side by side, below a title."""

    pictures: Sequence[Picture]
    title: str = ""
    color: str = theme.TEXT.light


def sheet(rows: Sequence[Row], side: float, step: float, columns: int = 1) -> Figure:
    """Draw rows of pictures of ``side`` inches, one every ``step`` inches, in columns of rows."""
    heights = [_height(row, side) for row in rows]
    per_column = -(-len(rows) // columns)
    total = max(sum(heights[i : i + per_column]) for i in range(0, len(rows), per_column))
    drawing, axes = _paper(total)
    for first in range(0, len(rows), per_column):
        x, y = first // per_column * theme.WIDTH / columns, 0.0
        for row, height in zip(rows[first:][:per_column], heights[first:][:per_column], strict=True):
            _draw_row(axes, row, x, y, side, step)
            y += height
    return drawing


def numbered(pictures: Sequence[Picture]) -> Figure:
    """Draw pictures that the text and tables call by their numbers."""
    columns, side, step = NUMBERED
    return sheet([Row(pictures[i : i + columns]) for i in range(0, len(pictures), columns)], side, step)


def kept_images(study: Study) -> dict[int, bytes]:
    """Return the PNG of every test image that some run kept, by its index."""
    images: dict[int, bytes] = {}
    for record in study.records:
        gallery = record.gallery
        of_test = gallery[gallery["split"] == "test"]
        images.update(zip(of_test["index"], of_test["png"], strict=True))
    return images


def pixels(png: bytes) -> np.ndarray:
    """Decode a PNG into uint8 [height, width, 3]."""
    return np.asarray(Image.open(io.BytesIO(png)).convert("RGB"))


def _paper(height: float) -> tuple[Figure, Axes]:
    """Return a figure whose one axes counts inches, from the top left corner."""
    drawing = Figure(figsize=(theme.WIDTH, height))
    axes = drawing.add_axes((0, 0, 1, 1))
    axes.set(xlim=(0, theme.WIDTH), ylim=(height, 0), aspect="equal")
    axes.set_axis_off()
    return drawing, axes


def _height(row: Row, side: float) -> float:
    lines = max((len(picture.lines) for picture in row.pictures), default=0)
    return (TITLE if row.title else 0) + side + lines * LINE + GAP


def _draw_row(axes: Axes, row: Row, x: float, y: float, side: float, step: float) -> None:
    if row.title:
        axes.text(x, y + TITLE - 0.08, row.title, color=row.color, weight="bold", va="baseline")
        y += TITLE
    for number, picture in enumerate(row.pictures):
        _draw_picture(axes, picture, x + number * step, y, side)


def _draw_picture(axes: Axes, picture: Picture, x: float, y: float, side: float) -> None:
    if picture.png is None:
        axes.text(x, y + side / 2, "not kept", va="center", color=theme.MUTED.light, size=8)
    else:
        _draw_pixels(axes, pixels(picture.png), x, y, side)
    for number, (line, color) in enumerate(picture.lines):
        axes.text(x, y + side + (number + 0.8) * LINE, line, ha="left", color=color, size=8)


def _draw_pixels(axes: Axes, content: np.ndarray, x: float, y: float, side: float) -> None:
    height, width = content.shape[:2]
    scale = side / max(height, width)
    left, top = x + (side - width * scale) / 2, y + (side - height * scale) / 2
    extent = (left, left + width * scale, top + height * scale, top)
    image = AxesImage(axes, interpolation="none", extent=extent)
    image.set_data(content)
    axes.add_image(image)
