"""Figures of confidence: reliability diagrams, and accuracy against the share of images answered."""

from itertools import zip_longest

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from pipeline.report.look import theme
from pipeline.report.look.theme import short, two_lines
from pipeline.report.model import Model
from pipeline.report.study import Study
from pipeline.report.words.english import percent

MOST_MODELS = 12
MOST_TWO_LINES = 6  # names at the lines' ends that have room for two lines each
FEWEST_IMAGES = 20  # below which the accuracy of those left is mostly noise


@theme.draws
def calibration(study: Study) -> Figure:
    """Draw the reliability of each model's confidence, as it is and (grey) with a fitted temperature."""
    shown = study.models[:MOST_MODELS]
    rows, columns = theme.arranged(len(shown))
    drawing = theme.figure(2.1 * rows + 0.4)
    styles = theme.model_styles(study)
    every = drawing.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
    for axes, group in zip_longest(every.flat, shown):
        if group is None:
            axes.set_axis_off()
        else:
            _draw_reliability(axes, group, styles[group.key])
    drawing.supxlabel("confidence, %", color=theme.MUTED.light, size=10)
    drawing.supylabel("share right, %", color=theme.MUTED.light, size=10)
    return drawing


def _draw_reliability(axes: Axes, group: Model, style: theme.ModelStyle) -> None:
    before, after = group.calibration.before, group.calibration.after
    axes.plot([0, 1], [0, 1], color=theme.GRID.light, lw=1.2, zorder=0)
    axes.plot(after.bins.confidence, after.bins.accuracy, "-", color=theme.BAR.light, lw=1.4)
    bins = before.bins
    axes.vlines(bins.confidence, bins.low, bins.high, color=style.color, alpha=0.5, lw=1.6)
    axes.plot(bins.confidence, bins.accuracy, style.marker, color=style.color, ms=5)
    words = f"{two_lines(group.label)}\nECE {percent(before.ece)}"
    axes.set_title(words, color=style.color, size=8.5)
    axes.set(xlim=(0, 1.02), ylim=(0, 1.02), aspect="equal")
    axes.set_xticks((0, 0.5, 1), ("0", "50", "100"))
    axes.set_yticks((0, 0.5, 1), ("0", "50", "100"))


@theme.draws
def coverage(study: Study) -> Figure:
    """Draw each model's accuracy on the images it is surest of, against their share."""
    drawing = theme.figure(3.4)
    axes = drawing.subplots()
    styles = theme.model_styles(study)
    for group in study.models:
        _draw_coverage(axes, group, styles[group.key])
    axes.set(xlim=(0, 1), xlabel="share of images answered, the surest first", ylabel="share of them right")
    theme.percent(axes.xaxis)
    theme.percent(axes.yaxis)
    axes.grid(axis="y")
    room = len(study.models) <= MOST_TWO_LINES
    ends = [_end(group, styles[group.key], room) for group in study.models]
    theme.label_ends(axes, ends, height=3.4)
    return drawing


def _end(group: Model, style: theme.ModelStyle, room: bool) -> tuple[float, str, str]:
    words = two_lines(group.label) if room else short(group.label, 30)
    return float(group.chosen_test.correct.mean()), words, style.color


def _draw_coverage(axes: Axes, group: Model, style: theme.ModelStyle) -> None:
    curve = group.coverage
    images = len(group.chosen_test.target)
    enough = (curve.coverage * images >= FEWEST_IMAGES) & np.isfinite(curve.accuracy)
    share, right = curve.coverage[enough], curve.accuracy[enough]
    axes.plot(share, right, color=style.color)
    axes.plot(share[:1], right[:1], style.marker, color=style.color, clip_on=False)
