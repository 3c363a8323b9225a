"""Learning curves: what each model's losses and accuracies did, epoch by epoch."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from pipeline.record import RunRecord
from pipeline.report.look import theme
from pipeline.report.look.theme import two_lines
from pipeline.report.study import Model, Study

MOST_MODELS = 12


@theme.draws
def curves(study: Study) -> Figure:
    """Draw loss and accuracy of every seed in train (dashed) and val, with the epoch that was kept."""
    best = sorted(study.models, key=lambda group: -group.val_accuracy)[:MOST_MODELS]
    shown = [group for group in study.models if group in best]
    rows, columns = theme.arranged(len(shown))
    drawing = theme.figure(2.75 * rows)
    panels = drawing.subplots(2 * rows, columns, squeeze=False)
    losses, accuracies = list(panels[::2].flat), list(panels[1::2].flat)
    styles = theme.model_styles(study)
    for place, pair in enumerate(zip(losses, accuracies, strict=True)):
        if place < len(shown):
            group = shown[place]
            _draw_model(pair, group, styles[group.key].color, names=place % columns == 0)
        else:
            for axes in pair:
                axes.set_axis_off()
    _share_heights(losses)
    _share_heights(accuracies)
    return drawing


def _draw_model(pair: tuple[Axes, Axes], group: Model, color: str, names: bool) -> None:
    for axes, what in zip(pair, ("loss", "accuracy"), strict=True):
        for record in group.records:
            _draw_run(axes, record, what, color, chosen=record is group.chosen)
        axes.grid(axis="y")
        axes.locator_params(axis="x", nbins=5, integer=True)
        axes.locator_params(axis="y", nbins=4)
        axes.set_ylabel(what if names else "")
    theme.percent(pair[1].yaxis)
    pair[0].set_title(two_lines(group.label), color=color, size=8.5)
    pair[0].tick_params(labelbottom=False)
    pair[1].set_xlabel("epoch")


def _draw_run(axes: Axes, record: RunRecord, what: str, color: str, chosen: bool) -> None:
    history, strength = record.history, 1.0 if chosen else 0.35
    epochs, val = history["epoch"], history[f"val_{what}"]
    axes.plot(epochs, history[f"train_{what}"], "--", color=theme.MUTED.light, alpha=strength, lw=1.2)
    axes.plot(epochs, val, color=color, alpha=strength)
    kept = history[epochs == record.details.best_epoch]
    if chosen and len(kept):
        axes.plot(kept["epoch"], kept[f"val_{what}"], "o", color=color, mec=theme.PAPER.light, ms=7)
    if chosen and record.details.stop_reason not in (None, "all epochs done"):
        axes.axvline(epochs.iloc[-1], color=theme.MUTED.light, lw=1, ls=":")


def _share_heights(panels: Sequence[Axes]) -> None:
    """Give panels the same heights, so that models compare; the highest 2 % of losses may leave them."""
    drawn = [axes for axes in panels if axes.lines]
    lines = [np.asarray(line.get_ydata(), float) for axes in drawn for line in axes.lines]
    heights = np.concatenate([line for line in lines if len(line) > 2] or [np.array([])])
    heights = heights[np.isfinite(heights)]
    if not len(heights):
        return
    low, high = heights.min(), np.quantile(heights, 0.98)
    margin = 0.08 * max(high - low, 1e-3)
    for axes in drawn:
        axes.set_ylim(low - margin, high + margin)
