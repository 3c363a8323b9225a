"""Figures of accuracy: every model with its interval, the same network three ways, class by class."""

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from pipeline.report.evidence.significance import ClassDifference
from pipeline.report.look import theme
from pipeline.report.look.theme import short, two_lines
from pipeline.report.model import Model
from pipeline.report.names import MODE_WORDS
from pipeline.report.study import Study
from pipeline.report.verdict import pair_of

MOST_CLASSES = 24


@theme.draws
def accuracy(study: Study) -> Figure:
    """Draw the test accuracy of each model with its 95 % interval and, as ticks, its seeds."""
    ranked = sorted(study.models, key=lambda group: group.test_accuracy, reverse=True)
    drawing = theme.figure(0.75 + 0.48 * len(ranked))
    axes = drawing.subplots()
    styles = theme.model_styles(study)
    for place, group in enumerate(ranked):
        _draw_estimate(axes, place, group, styles[group.key])
    axes.set_yticks(range(len(ranked)), [two_lines(group.label) for group in ranked])
    for label, group in zip(axes.get_yticklabels(), ranked, strict=True):
        label.set_color(styles[group.key].color)
    axes.set(ylim=(len(ranked) - 0.4, -0.6), xlabel="test accuracy")
    axes.margins(x=0.12)
    theme.percent(axes.xaxis)
    axes.locator_params(axis="x", nbins=6)
    axes.grid(axis="x")
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    return drawing


def _draw_estimate(axes: Axes, place: int, group: Model, style: theme.ModelStyle) -> None:
    estimate = group.accuracy
    axes.plot([estimate.low, estimate.high], [place, place], color=style.color, lw=2.6, solid_capstyle="butt")
    axes.plot(estimate.value, place, style.marker, color=style.color, ms=8, mec=theme.PAPER.light)
    if len(estimate.per_seed) > 1:
        seeds = list(estimate.per_seed)
        axes.plot(seeds, [place + 0.27] * len(seeds), "|", color=style.color, ms=6, mew=1.3)
    axes.annotate(
        f"{100 * estimate.value:.1f} %",
        (estimate.high, place),
        (6, 0),
        textcoords="offset points",
        va="center",
    )


@theme.draws
def three_ways(study: Study) -> Figure:
    """Draw the accuracy of networks that ran in several modes: from scratch, linear probe, fine-tuned."""
    if not study.three_ways:
        return theme.nothing("No network ran in more than one mode here.")
    drawing = theme.figure(3.2)
    axes = drawing.subplots()
    styles = theme.model_styles(study)
    for number, ways in enumerate(study.three_ways.values()):
        shift = 0.06 * (number - (len(study.three_ways) - 1) / 2)
        _draw_ways(axes, ways, shift, styles)
    axes.set_xticks(range(3), list(MODE_WORDS.values()))
    axes.set(xlim=(-0.3, 2.9), ylabel="test accuracy")
    axes.margins(y=0.12)
    theme.percent(axes.yaxis)
    axes.grid(axis="y")
    _name_networks(axes, study)
    return drawing


def _name_networks(axes: Axes, study: Study) -> None:
    """Name each line at its last dot, the names kept apart where lines end close together."""
    modes, (low, high) = list(MODE_WORDS), axes.get_ylim()
    last = {name: list(ways)[-1] for name, ways in study.three_ways.items()}
    for mode in modes:
        names = [name for name, end in last.items() if end == mode]
        heights = [study.three_ways[name][mode].accuracy.value for name in names]
        for name, height in zip(names, theme.spread(heights, (high - low) * 0.065), strict=True):
            axes.text(modes.index(mode) + 0.16, height, short(name, 22), va="center")


def _draw_ways(axes: Axes, ways: dict[str, Model], shift: float, styles: dict[str, theme.ModelStyle]) -> None:
    places = {mode: place + shift for place, mode in enumerate(MODE_WORDS)}
    values = {mode: group.accuracy for mode, group in ways.items()}
    xs, ys = [places[mode] for mode in ways], [values[mode].value for mode in ways]
    axes.plot(xs, ys, color=theme.BAR.light, lw=1.2, zorder=1)
    for mode, group in ways.items():
        style, estimate = styles[group.key], values[mode]
        axes.plot([places[mode]] * 2, [estimate.low, estimate.high], color=style.color, lw=2.6)
        axes.plot(places[mode], estimate.value, style.marker, color=style.color, ms=8, mec=theme.PAPER.light)


@theme.draws
def per_class(study: Study) -> Figure:
    """Draw, class by class, how much more often one of two models is right than the other."""
    pair = pair_of(study)
    if pair is None:
        return theme.nothing("A comparison takes two models.")
    ranked = sorted(study.per_class(*pair), key=lambda difference: -difference.difference.value)
    if len(ranked) > MOST_CLASSES:
        ranked = ranked[: MOST_CLASSES // 2] + ranked[-MOST_CLASSES // 2 :]
    drawing = theme.figure(1.0 + 0.25 * len(ranked))
    axes = drawing.subplots()
    styles = theme.model_styles(study)
    for place, one in enumerate(ranked):
        ahead = pair[0] if one.difference.value >= 0 else pair[1]
        _draw_difference(axes, place, one, styles[ahead.key])
    axes.axvline(0, color=theme.MUTED.light, lw=1)
    axes.set_yticks(range(len(ranked)), [short(study.classes[one.target], 26) for one in ranked])
    axes.set(ylim=(len(ranked) - 0.4, -0.6), xlabel="difference in recall, percentage points")
    axes.xaxis.set_major_formatter(lambda value, _: f"{100 * value:+.0f}" if value else "0")
    axes.grid(axis="x")
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    _name_sides(axes, *pair, styles)
    return drawing


def _draw_difference(axes: Axes, place: int, one: ClassDifference, style: theme.ModelStyle) -> None:
    ends = [one.difference.low, one.difference.high]
    axes.plot(ends, [place, place], color=style.color, lw=2.2, alpha=1 if one.distinguishable else 0.45)
    fill = style.color if one.distinguishable else theme.PAPER.light
    axes.plot(one.difference.value, place, style.marker, color=fill, mec=style.color, mew=1.5)


def _name_sides(axes: Axes, right: Model, left: Model, styles: dict[str, theme.ModelStyle]) -> None:
    axes.set_title("\n", size=9)  # room for the names, which stay out of the layout: they may be long
    reach = max(abs(end) for end in axes.get_xlim())
    axes.set_xlim(-reach, reach)
    for group, x, side, words in (
        (left, 0.49, "right", "{}\n← better"),
        (right, 0.51, "left", "{}\nbetter →"),
    ):
        words = words.format(short(group.label, 30))
        color = styles[group.key].color
        name = axes.text(x, 1.01, words, transform=axes.transAxes, ha=side, va="bottom", color=color, size=9)
        name.set_in_layout(False)
