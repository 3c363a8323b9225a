"""Slices: where, by what is known of the images, the best model is weak."""

from matplotlib.figure import Figure

from pipeline.report.evidence.slices import Slice
from pipeline.report.look import floats, theme
from pipeline.report.look.paragraph import Words
from pipeline.report.look.table import Table, name, table
from pipeline.report.look.theme import short
from pipeline.report.study import Study
from pipeline.report.words.english import join, plural
from pipeline.report.words.numbers import percent, points, signed
from pipeline.report.words.sentence import Sentence

MOST_LISTED = 8
MOST_NAMED = 3
REFERENCES = ("fig-slices", "tbl-slices")


def weak(study: Study) -> list[Slice]:
    """Return the slices on which the best model is worse than on the rest beyond noise, weakest first."""
    return [one for one in study.slices if one.weak]


def words(study: Study) -> Words:
    """Name the weakest slices; nothing where none is weak beyond noise."""
    known, best = weak(study), study.best
    if not known or best is None:
        return Words(study, [])
    named = [
        f"{_name(one)} ({percent(one.accuracy)} of {plural(one.images, 'image')}, "
        f"{points(one.difference)} less than elsewhere)"
        for one in known[:MOST_NAMED]
    ]
    more = f", and on {len(known) - MOST_NAMED} more" if len(known) > MOST_NAMED else ""
    text = (
        f"Of {plural(len(study.slices), 'slice')} of the test images, {best.spoken} is worse beyond noise on "
        f"{join(named)}{more}."
    )
    return Words(
        study,
        [Sentence(text, "slices.weak", {"model": best, "slices": known}, REFERENCES)],
        told=["fig-slices"],
    )


def _name(one: Slice) -> str:
    return f"{one.property} {one.slice}" if one.slice[:1].isdigit() else f"{one.property}: {one.slice}"


def _shown(study: Study) -> list[Slice]:
    return study.slices[:MOST_LISTED]


def _title(study: Study) -> str:
    known = weak(study)
    start = f"{plural(len(known), 'slice')} of {len(study.slices):,}" if known else "No slice"
    return f"{start} on which the best model is worse than on the rest, beyond noise"


@floats.figure(
    "fig-slices",
    "Accuracy of the best model on its weakest slices, 95 % intervals; red: below the rest beyond noise, "
    "Holm. "
    "Dotted: all test images.",
    _title,
    when=weak,
    alternative="Dots with interval bars: accuracy on each slice of the test images, weakest first.",
    data=lambda study: listed(study),
)
def figure(study: Study) -> Figure:
    """Draw the weakest slices with their intervals, beside the accuracy on all test images."""
    shown, best = _shown(study), study.best
    drawing = theme.figure(0.8 + 0.26 * len(shown))
    axes = drawing.subplots()
    for place, one in enumerate(shown):
        color = theme.BAD.light if one.weak else theme.MUTED.light
        axes.plot([100 * one.low, 100 * one.high], [place, place], color=color, lw=1.5)
        axes.plot(100 * one.accuracy, place, "o", color=color, ms=5)
    axes.set_yticks(range(len(shown)), [short(_name(one), 40) for one in shown])
    axes.set(ylim=(len(shown) - 0.5, -0.5), xlabel="accuracy in %")
    if best is not None:
        axes.axvline(100 * best.test_accuracy, color=theme.MUTED.light, lw=0.8, ls=":")
    return drawing


@floats.table(
    "tbl-slices",
    "Each against all other test images, in points; results.json has all of them.",
    floats.named("Slices on which the best model is weakest"),
    when=weak,
)
def listed(study: Study) -> Table:
    """List the weakest slices; the CSV beside the report has all."""
    rows = [
        [
            name(one.property, 30),
            name(one.slice, 40),
            f"{one.images:,}",
            percent(one.accuracy),
            f"{100 * one.low:.1f}–{100 * one.high:.1f}",
            signed(one.difference),
            f"{one.p_holm:.3f}" if one.p_holm >= 0.001 else "\\< 0.001",
        ]
        for one in _shown(study)
    ]
    return table(
        ["By", "Slice", "Images", "Accuracy", "95 % interval", "Against the rest", "p"], rows, "llrrrrr"
    )
