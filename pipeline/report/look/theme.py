"""The report's one visual language: colours, type and marks of every figure.

Each colour is a Tone: one shade for white paper and one for a dark screen; figures are drawn in the
light ones, and ``svg`` swaps them where the reader prefers dark. A model keeps its colour and its
marker throughout the report.
"""

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from string import ascii_uppercase
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.colors import ListedColormap, to_hex, to_rgb
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.lines import Line2D
from matplotlib.textpath import text_to_path

from pipeline.report.model import Model
from pipeline.report.study import Study
from pipeline.report.words.english import flat

# Inches. A phone shows 358 px of a page of 390: words of 9 points are 9 px high there at the least.
WIDTH = 4.95  # a figure of one panel
PANEL = 3.2  # one of two side by side, of which a phone shows one in a row
SMALL = 2.3  # one of many, of which a phone shows two in a row
MAX_HEIGHT = 8.4  # inches: what an A4 page holds with the caption
HEAT_STEPS = 24
MARK = 0.5  # inches of a legend beside a name
ROW = 0.18  # inches of a legend
LEAST = 1.3  # inches of a chart below its legend


@dataclass(frozen=True)
class Tone:
    """One colour, as ``#rrggbb`` on white and on dark."""

    light: str
    dark: str


TEXT = Tone("#1c2630", "#e4eaf0")
MUTED = Tone("#57636e", "#9eabb7")
GRID = Tone("#d9dfe5", "#333c45")
PAPER = Tone("#fefefe", "#12171c")
ON_HEAT = Tone("#fdfdfd", "#0c1116")  # text on the strong end of the heat scale
BAD = Tone("#b02a1b", "#ff8a78")
BAR = Tone("#8fa3b5", "#5b6f82")  # what has no model's colour

# Apart in hue, in lightness where colour-blind readers lose the hue, and as text against each paper.
MODEL_TONES = (
    Tone("#0066cc", "#56a8ff"),
    Tone("#c84808", "#ff9a57"),
    Tone("#00704e", "#5fdca4"),
    Tone("#a0338a", "#e08ad0"),
    Tone("#4f4500", "#dccb4a"),
    Tone("#43228c", "#d3c4ff"),
    Tone("#8c0d36", "#ff7596"),
    Tone("#5c6670", "#b3bec8"),
)
MARKERS = ("o", "s", "^", "D", "v", "P", "X")

RC: dict[Any, Any] = {
    "font.family": ["DejaVu Sans"],
    "font.size": 10,
    "axes.titlesize": 10,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.labelsize": 10,
    "xtick.labelsize": 9,
    "ytick.labelsize": 9,
    "legend.fontsize": 9,
    "text.color": TEXT.light,
    "axes.titlecolor": TEXT.light,
    "axes.labelcolor": MUTED.light,
    "axes.edgecolor": MUTED.light,
    "xtick.color": MUTED.light,
    "ytick.color": MUTED.light,
    "grid.color": GRID.light,
    "grid.linewidth": 0.8,
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.facecolor": "none",
    "figure.facecolor": "none",
    "savefig.facecolor": "none",
    "legend.frameon": False,
    "lines.linewidth": 1.8,
    "lines.markersize": 6,
    "image.interpolation": "none",
    "text.parse_math": False,  # a class may be called "$x$"
    "svg.hashsalt": "headstart",
    "svg.fonttype": "path",
}


@dataclass(frozen=True)
class ModelStyle:
    """How one model looks in every figure."""

    color: str
    marker: str


def model_styles(study: Study) -> dict[str, ModelStyle]:
    """Return the style of each model, by its key."""
    return {
        model.key: ModelStyle(MODEL_TONES[i % len(MODEL_TONES)].light, MARKERS[i % len(MARKERS)])
        for i, model in enumerate(study.models)
    }


def tone_of(study: Study, model: Model) -> int:
    """Return the place of a model's colour in ``MODEL_TONES``."""
    return study.models.index(model) % len(MODEL_TONES)


def short(name: str, limit: int) -> str:
    """Return a name that fits: without line breaks, cut in the middle to ``limit`` characters."""
    whole = flat(name)
    head = (limit - 1) * 2 // 3
    return whole if len(whole) <= limit else f"{whole[:head]}…{whole[len(whole) - (limit - 1 - head) :]}"


def fitted(words: str, inches: float, size: float = 9, weight: str = "normal") -> str:
    """Return words cut in the middle to what the report's type shows in ``inches``."""
    type_ = FontProperties(family=RC["font.family"], size=size, weight=weight)
    return next(
        (
            found
            for limit in range(len(words), 1, -1)
            if text_to_path.get_text_width_height_descent(
                found := short(words, limit) if limit < len(words) else words, type_, ismath=False
            )[0]
            <= 72 * inches
        ),
        "…",
    )


def letters(study: Study) -> dict[str, str]:
    """Return a short name for each model, by its key, for where labels do not fit: A, B, ... Z, A1, ..."""
    rounds = [str(i // 26) if i >= 26 else "" for i in range(len(study.models))]
    return {model.key: ascii_uppercase[i % 26] + rounds[i] for i, model in enumerate(study.models)}


def two_lines(label: str, limit: int = 22) -> str:
    """Return a model's label with its mode on a line of its own."""
    name, _, mode = label.partition(", ")
    return "\n".join(short(part, limit) for part in (name, mode) if part)


def heading(drawing: Figure, study: Study, model: Model, more: str = "") -> None:
    """Write a model's letter and name above a small chart, its mode below them, and ``more`` below that."""
    parts = f"{letters(study)[model.key]}  {flat(model.label)}".split(", ", 1)
    weight = RC["axes.titleweight"]
    lines = [fitted(part, SMALL - 0.15, weight=weight) for part in parts]
    words = "\n".join([*lines, more] if more else lines)
    color = model_styles(study)[model.key].color
    drawing.suptitle(words, x=0.02, ha="left", size=9, weight=weight, color=color)  # longer than the axes


def amount(value: float) -> str:
    """Return a number for an axis, as 300, 1.5K, 12M or 2G."""
    for size, unit in ((1e9, "G"), (1e6, "M"), (1e3, "K")):
        if value >= size:
            return f"{value / size:g}{unit}"
    return f"{value:g}"


def percent(axis: Axis) -> None:
    """Write the fractions along an axis as percentages."""
    axis.set_major_formatter(lambda value, _: f"{round(100 * value, 6):g} %")


def label_ends(axes: Axes, ends: Sequence[tuple[float, str, str]], height: float) -> None:
    """Name lines at their right end: (place, words, colour) each, kept apart in ``height`` inches."""
    low, high = axes.get_ylim()
    lines = max(1 + words.count("\n") for _, words, _ in ends)
    step = (high - low) * (11 * lines + 2) / (72 * height * 0.8)  # 11 points a line of words
    places = spread([place for place, _, _ in ends], step)
    style: dict[str, Any] = {
        "transform": axes.get_yaxis_transform(),
        "va": "center",
        "size": 9,
        "linespacing": 1.0,
    }
    for place, (_, words, color) in zip(places, ends, strict=True):
        axes.text(1.035, place, words, color=color, **style)


def spread(heights: Sequence[float], step: float) -> list[float]:
    """Return heights at least ``step`` apart, in the same order, as near as can be to where they were."""
    order = sorted(range(len(heights)), key=lambda i: heights[i])
    places = [heights[i] for i in order]
    for _ in range(200):
        for below in range(len(places) - 1):
            lack = step - (places[below + 1] - places[below])
            if lack > 0:
                places[below] -= lack / 2
                places[below + 1] += lack / 2
    return [place for _, place in sorted(zip(order, places, strict=True))]


def legend(drawing: Figure, study: Study, models: Sequence[Model]) -> None:
    """Write mark, letter and name of models above a chart, which grows where too little is left of it."""
    styles, marks = model_styles(study), letters(study)
    width = drawing.get_figwidth()
    words = [f"{marks[m.key]}  {flat(m.label)}" for m in models]
    half = width / 2 - MARK
    columns = 2 if width > PANEL and all(fitted(one, half) == one for one in words) else 1
    rows = -(-len(models) // columns)
    drawing.set_figheight(max(drawing.get_figheight(), ROW * rows + LEAST))
    handles = [
        Line2D([], [], color=styles[m.key].color, marker=styles[m.key].marker, ls="",
               label=fitted(one, width / columns - MARK))
        for m, one in zip(models, words, strict=True)
    ]  # fmt: skip
    drawing.legend(handles=handles, loc="outside upper left", ncols=columns, borderaxespad=0, columnspacing=1)


def tick_names(axes: Axes, study: Study, models: Sequence[Model], named: bool = True) -> None:
    """Name the rows of a chart by the models' letters, and their names if they shall be ``named``."""
    styles, marks = model_styles(study), letters(study)
    words = [f"{two_lines(m.label)}  {marks[m.key]}" if named else marks[m.key] for m in models]
    axes.set_yticks(range(len(models)), words)
    for label, model in zip(axes.get_yticklabels(), models, strict=True):
        label.set_color(styles[model.key].color)
    axes.set_ylim(len(models) - 0.4, -0.6)
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    axes.grid(axis="x")


def _mixed(low: str, high: str, share: float) -> str:
    pairs = zip(to_rgb(low), to_rgb(high), strict=True)
    red, green, blue = (a + (b - a) * share for a, b in pairs)
    return to_hex((red, green, blue))


# From the background to a strong blue; the first step is nearly the background on both.
HEAT = tuple(
    Tone(_mixed("#f4f7fa", "#004a86", step), _mixed("#1a2128", "#79c3ff", step))
    for step in (i / (HEAT_STEPS - 1) for i in range(HEAT_STEPS))
)
HEAT_MAP = ListedColormap([tone.light for tone in HEAT])
TONES = (TEXT, MUTED, GRID, PAPER, ON_HEAT, BAD, BAR, *MODEL_TONES, *HEAT)


@contextmanager
def themed() -> Iterator[None]:
    """Draw in the report's style, whatever the style of the notebook around it."""
    with mpl.rc_context(), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing", UserWarning)
        mpl.rcdefaults()
        mpl.rcParams.update(RC)
        yield


def figure(height: float, width: float = WIDTH) -> Figure:
    """Return an empty figure of the report; sizes in inches, never taller than a page."""
    return Figure(figsize=(width, min(height, MAX_HEIGHT)), layout="constrained")
