"""Confusion matrices: who is taken for whom, the same classes and the same scale for every model."""

from collections.abc import Sequence

import numpy as np
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.colors import PowerNorm
from matplotlib.figure import Figure

from pipeline.report.look import theme
from pipeline.report.look.theme import short, two_lines
from pipeline.report.study import Study
from pipeline.report.words.english import flat

MOST_MODELS = 12
MOST_NUMBERS = 12  # classes up to which the matrices are drawn large
SMALLEST_CELL = 0.16  # inches from which a cell holds its count
MOST_NAMES = 30  # classes up to which rows and columns are named
SCALE = PowerNorm(0.6, 0, 1)  # the square root lifts the rare confusions out of the background


@theme.draws
def confusion(study: Study) -> Figure:
    """Draw the confusion matrix of each model's chosen seed on test; rows are true classes."""
    shown = study.models[:MOST_MODELS]
    few = len(shown) <= 6 and len(study.classes) <= MOST_NUMBERS
    columns = min(len(shown), 2 if few else 3)
    drawing, panels = _grid(len(shown), columns, _names_width(study.classes))
    styles = theme.model_styles(study)
    for place, (axes, group) in enumerate(zip(panels, shown, strict=True)):
        lowest = place + columns >= len(shown)
        draw_matrix(axes, group.metrics.confusion_matrix, study.classes, place % columns == 0, lowest)
        axes.set_title(two_lines(group.label, 26), color=styles[group.key].color)
    return drawing


def _names_width(classes: Sequence[str]) -> float:
    """Return the room in inches that the names of rows (and of columns, turned) take."""
    if len(classes) > MOST_NAMES:
        return 0.3
    size = 0.075 if len(classes) <= MOST_NUMBERS else 0.06
    return 0.35 + size * min(12, max(len(flat(name)) for name in classes))


def _grid(panels: int, columns: int, names: float) -> tuple[Figure, list[Axes]]:
    """Return squares with room for titles above, and for class names at the left and the bottom."""
    rows, gap, title = -(-panels // columns), 0.18, 0.42
    side = min((theme.WIDTH - names - gap * (columns - 1)) / columns, 3.6)
    side = min(side, (theme.MAX_HEIGHT - names) / rows - title)
    height = rows * (side + title) + names
    drawing = Figure(figsize=(theme.WIDTH, height))
    places = [divmod(place, columns) for place in range(panels)]
    corners = [(names + c * (side + gap), height - (r + 1) * (side + title)) for r, c in places]
    width = theme.WIDTH
    return drawing, [
        drawing.add_axes((x / width, y / height, side / width, side / height)) for x, y in corners
    ]


def draw_matrix(
    axes: Axes,
    matrix: np.ndarray,
    classes: Sequence[str],
    rows_named: bool = True,
    columns_named: bool = True,
) -> None:
    """Draw a matrix of counts [true, predicted], coloured by the share of its row."""
    shares = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    many = len(classes) > MOST_NAMES
    ticks = [] if many else [short(name, 12) for name in classes]
    sns.heatmap(
        shares,
        ax=axes,
        cmap=theme.HEAT_MAP,
        norm=SCALE,
        cbar=False,
        square=True,
        linewidths=0 if many else 0.4,
        linecolor=theme.PAPER.light,
        rasterized=many,
        xticklabels=ticks if columns_named else [],
        yticklabels=ticks if rows_named else [],
    )
    axes.tick_params(length=0, labelsize=8 if len(classes) <= MOST_NUMBERS else 6)
    axes.tick_params(axis="x", rotation=90 if max(map(len, ticks), default=0) > 2 else 0)
    axes.tick_params(axis="y", rotation=0)
    axes.set(xlabel="predicted" if columns_named else "", ylabel="true" if rows_named else "")
    cell = axes.get_position().width * theme.WIDTH / len(classes)
    if cell >= SMALLEST_CELL:
        _write_counts(axes, matrix, shares, size=min(8.0, 72 * 0.42 * cell))


def _write_counts(axes: Axes, matrix: np.ndarray, shares: np.ndarray, size: float) -> None:
    for (true, predicted), count in np.ndenumerate(matrix):
        if count:
            strong = SCALE(shares[true, predicted]) > 0.55
            color = theme.ON_HEAT.light if strong else theme.TEXT.light
            axes.text(
                predicted + 0.5,
                true + 0.5,
                f"{count}",
                ha="center",
                va="center",
                color=color,
                size=size,
            )
