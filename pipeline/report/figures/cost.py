"""Accuracy against what it costs, with the models that none beats on both."""

from collections.abc import Callable

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import Locator, LogLocator, MaxNLocator, NullLocator

from pipeline.report.evidence.costs import Cost
from pipeline.report.look import theme
from pipeline.report.study import Study

SIDES = ((10, 6), (10, -6), (-10, 6), (-10, -6))  # points from a mark to its letter
PRICES: dict[str, Callable[[Cost], float]] = {
    "parameters": lambda cost: cost.total_parameters,
    "multiply-adds for one image": lambda cost: cost.macs,
    "seconds of training": lambda cost: cost.train_seconds.value,
    "milliseconds for one image": lambda cost: 1000 * cost.latency_seconds.value,
}


@theme.draws
def pareto(study: Study) -> Figure:
    """Draw accuracy with its interval against four costs; a line joins the models on each front."""
    if not any(group.cost for group in study.models):
        return theme.nothing("No run measured what it cost.")
    drawing = theme.figure(4.7 + 0.1 * len(study.models))
    parts = drawing.subfigures(2, 1, squeeze=False, height_ratios=(4.6, 0.1 + 0.1 * len(study.models)))
    grid, below = parts[:, 0]
    panels = grid.subplots(2, 2, sharey=True)
    for axes, (words, price) in zip(panels.flat, PRICES.items(), strict=True):
        _draw_price(axes, study, price)
        axes.set_xlabel(words)
    for axes in panels[:, 0]:
        axes.set_ylabel("test accuracy")
        theme.percent(axes.yaxis)
    theme.model_legend(below, study)
    return drawing


def _draw_price(axes: Axes, study: Study, price: Callable[[Cost], float]) -> None:
    styles = theme.model_styles(study)
    priced = study.pareto(price)
    front = sorted((value, group.test_accuracy) for group, value, on in priced if on)
    axes.plot(*zip(*front, strict=True), color=theme.BAR.light, lw=1.4, drawstyle="steps-post", zorder=1)
    for group, value, _ in priced:
        style, estimate = styles[group.key], group.accuracy
        axes.plot([value, value], [estimate.low, estimate.high], color=style.color, lw=1.8)
        axes.plot(value, estimate.value, style.marker, color=style.color, ms=7, mec=theme.PAPER.light)
    axes.set_xscale("log")
    axes.margins(x=0.15, y=0.1)
    axes.grid(axis="y")
    axes.xaxis.set_major_locator(_locator(axes))
    axes.xaxis.set_major_formatter(lambda value, _: theme.amount(value))
    axes.xaxis.set_minor_locator(NullLocator())
    _write_letters(axes, {theme.letters(study)[g.key]: (value, g.test_accuracy) for g, value, _ in priced})


def _locator(axes: Axes) -> Locator:
    """Return what puts a few round numbers on the axis, however few decades it spans."""
    low, high = axes.get_xlim()
    if high / low < 6:
        return MaxNLocator(nbins=3, steps=[1, 2, 5, 10])
    return LogLocator(subs=(1, 2, 5) if high / low < 100 else (1,))


def _write_letters(axes: Axes, points: dict[str, tuple[float, float]]) -> None:
    """Write each letter beside its point, on the side where it is farthest from the other points."""
    pixels = axes.transData.transform(list(points.values()))
    for place, (letter, point) in enumerate(points.items()):
        others = np.delete(pixels, place, axis=0)
        offset = max(SIDES, key=lambda side: _room(pixels[place] + side, others))
        axes.annotate(letter, point, offset, textcoords="offset points", ha="center", va="center", size=9)


def _room(place: np.ndarray, others: np.ndarray) -> float:
    """Return the distance to the nearest other point, as far as it matters."""
    return min(20.0, float(np.hypot(*(others - place).T).min())) if len(others) else 20.0
