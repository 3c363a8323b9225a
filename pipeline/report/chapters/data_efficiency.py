"""How many images: accuracy against training images, where one start catches up, what images are worth."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from pipeline.experiment import MOST_PASSES
from pipeline.report.evidence.crossover import Images, crossover, images_to_reach, worth
from pipeline.report.evidence.data_efficiency import LEVEL, REACH, Efficiency
from pipeline.report.look import floats, theme
from pipeline.report.look.paragraph import Words
from pipeline.report.look.table import NONE, Table, name, table
from pipeline.report.look.theme import letters
from pipeline.report.model import Model
from pipeline.report.study import Study
from pipeline.report.words.english import join, number_word, opened
from pipeline.report.words.numbers import NBSP, percent, points
from pipeline.report.words.sentence import Sentence

TARGETS = (0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.98, 0.99)  # accuracies that people ask for
MEETING = "data_efficiency.crossover"  # how the rules of sentences on where curves meet begin
REFERENCES = ("fig-efficiency", "tbl-efficiency")


@dataclass(frozen=True)
class Facts:
    """The curves, and where the best model from scratch meets the best pretrained one."""

    models: Mapping[str, Model]  # by key
    curves: Sequence[Efficiency]
    budgets: Sequence[str]  # of the runs on fewer images
    pair: tuple[Model, Model] | None  # from scratch, pretrained; None where one has no curve
    meeting: Images | None
    failed: int  # runs on fewer images
    margin: float  # the difference of accuracy that matters

    def curve(self, model: Model) -> Efficiency:
        return next(one for one in self.curves if one.name == model.key)

    @property
    def sizes(self) -> list[int]:
        """The training sizes of all models, rising."""
        return sorted({size for one in self.curves for size in one.curve.sizes})


def facts(study: Study) -> Facts | None:
    """Return what the sizes show; None where no model ran at several."""
    curves = study.efficiencies
    if not curves:
        return None
    models = {one.name: study.model(one.name) for one in curves}
    own, transfer = study.best_scratch, study.best_transfer
    pair = (own, transfer) if own and transfer and {own.key, transfer.key} <= set(models) else None
    found = Facts(
        models,
        curves,
        sorted({record.settings.budget for record in study.smaller}),
        pair,
        None,
        failed=sum(not record.complete for record in study.smaller),
        margin=study.margin,
    )
    if pair is None:
        return found
    meeting = crossover(found.curve(pair[0]), found.curve(pair[1]), study.margin)
    return replace(found, meeting=meeting)


def words(study: Study) -> Words:
    """Say what was held equal, where the curves meet, what images are worth, and what intervals cover."""
    found = facts(study)
    if found is None:
        return Words(study, [])
    return Words(
        study,
        [_held_equal(found), _meeting(found), _worth(found), _to_reach(found), _laws(found), _covered(found),
         _failed(found)],
    )  # fmt: skip


def more_words(study: Study) -> Words:
    """Say the same but where the curves meet, which the answer says in short."""
    rest = [one for one in words(study) if not one.rule.startswith(MEETING)]
    return Words(study, rest, told=REFERENCES if in_short(study) else ())


def meeting_words(study: Study) -> Words:
    """Say where the curves meet."""
    return Words(study, [one for one in words(study) if one.rule.startswith(MEETING)])


def in_short(study: Study) -> list[Sentence]:
    """Return what the answer to the report's question says of numbers of images: one sentence or none."""
    found = facts(study)
    if found is None or found.pair is None or found.meeting is None:
        return []
    text = f"Number of images: {_short(found, found.meeting)}."
    return [Sentence(text, "answer.images", _evidence(found), REFERENCES)]


def results(study: Study) -> dict[str, Any] | None:
    """Return what results.json holds: each model's curve, and the crossover or why there is none."""
    found = facts(study)
    if found is None:
        return None
    meeting = found.meeting
    return {
        "budget": found.budgets[0] if len(found.budgets) == 1 else found.budgets,
        "models": {one.name: _result(one) for one in found.curves},
        "pair": [model.key for model in found.pair] if found.pair else None,
        "crossover": _numbers(meeting) if meeting and meeting.images is not None else None,
        "why": meeting.why if meeting else "no pair of models from scratch and pretrained",
    }


def _result(one: Efficiency) -> dict[str, Any]:
    law = one.law
    return {
        "sizes": [point.size for point in one.points],
        "accuracy": [point.accuracy for point in one.points],
        "low": [point.low for point in one.points],
        "high": [point.high for point in one.points],
        "covers_seeds": one.seeds_covered,
        "law": {"floor": float(law.floor), "scale": float(law.scale), "exponent": float(law.exponent),
                "unit": law.unit} if law else None,
        "no_law": one.no_law,
    }  # fmt: skip


def _numbers(found: Images) -> dict[str, Any]:
    return {
        "images": found.images,
        "low": found.low,
        "high": found.high,
        "extrapolated": found.extrapolated,
    }


def _evidence(found: Facts) -> dict[str, Any]:
    return {"models": found.pair, "crossover": found.meeting, "margin": found.margin}


HELD_EQUAL = {
    "steps": "at every size training may take as many steps as on all images, though no image is shown more "
    f"than {MOST_PASSES} times an epoch",
    "epochs": "at every size training may take as many epochs, so that fewer images also mean fewer steps",
}


def _held_equal(found: Facts) -> Sentence:
    shown = join([f"{size:,}" for size in found.sizes])
    mixed = "some sizes were held to equal steps and some to equal epochs"
    equal = HELD_EQUAL[found.budgets[0]] if len(found.budgets) == 1 else mixed
    who = "The models"
    if len(found.curves) == 1:
        who = opened(next(iter(found.models.values())).spoken)
    text = (
        f"{who} learned from {shown} training images, smaller sets within larger ones and every class "
        f"in each; {equal}. A seed also varies which images these are; val and test stay the same."
    )
    return Sentence(
        text, "data_efficiency.sizes", {"sizes": found.sizes, "budgets": found.budgets}, REFERENCES
    )


def images_words(count: float) -> str:
    """2134.2 → 2,100: two digits, as no curve knows more."""
    if count < 100:
        return f"{count:.0f}"
    digits = int(np.floor(np.log10(count))) - 1
    return f"{round(count / 10**digits) * 10**digits:,.0f}"


def _interval(found: Images) -> str:
    """95 % interval 1,200 to 4,000; its ends may be open."""
    low = images_words(found.low) if found.low is not None else "below the smallest size"
    if found.high is None:
        start = f"from {low} on" if found.low is not None else f"from {low}"
        return f"95 % interval {start}, without an upper end"
    return f"95 % interval {low} to {images_words(found.high)}"


def _meeting(found: Facts) -> Sentence | None:
    if found.pair is None or found.meeting is None:
        return None
    text = _met(found, found.meeting) if found.meeting.images is not None else _unmet(found, found.meeting)
    rule = (found.meeting.why or "found").replace(" ", "-")
    return Sentence(f"{text}.", f"{MEETING}.{rule}", _evidence(found), REFERENCES)


def _met(found: Facts, meeting: Images) -> str:
    own, transfer = (model.spoken for model in found.pair or ())
    images = f"{images_words(meeting.images or 0)} training images ({_interval(meeting)})"
    if meeting.extrapolated:
        largest = max(found.sizes)
        return (
            f"{opened(own)} would catch up with {transfer} at about {images}: an extrapolation of the fitted "
            f"curves beyond the {largest:,} that there are"
        )
    return f"{opened(own)} catches up with {transfer} at about {images}"


def _unmet(found: Facts, meeting: Images) -> str:
    own, transfer = (model.spoken for model in found.pair or ())
    smallest, largest = min(found.sizes), max(found.sizes)
    after = f", and not before about {images_words(meeting.low)}" if meeting.low is not None else ""
    said = {
        "not within 10 times these data": f"The fitted curves of {own} and {transfer} do not meet within "
        f"{REACH} times these data{after}; whether they do with more, these runs cannot say",
        "level all along": f"{opened(own)} and {transfer} are level at every size, within "
        f"{points(found.margin)}",
        "not told apart at any size": f"{opened(own)} and {transfer} are too near each other at every size "
        "to say at how many images one catches up",
        "ahead already at the smallest size": f"Already at {smallest:,} images {own} is not "
        f"behind {transfer}",
        "crosses twice": f"The curves of {own} and {transfer} cross more than once, so no single number of "
        "images parts them",
    }
    why = str(meeting.why)
    return said.get(why) or (
        f"Up to {largest:,} images {own} is not shown to catch up with {transfer}; beyond that nothing can "
        f"be said{', since there are ' if why.startswith('fewer') else ': '}{why}"
    )


def _short(found: Facts, meeting: Images) -> str:
    own, transfer = (model.spoken for model in found.pair or ())
    if meeting.images is not None:
        about = f"{images_words(meeting.images)} training images ({_interval(meeting)})"
        reached = ", an extrapolation beyond these data," if meeting.extrapolated else ""
        return (
            f"below about {about}{reached} start from pretrained weights; from there on {own} is no longer "
            f"behind {transfer}"
        )
    text = _unmet(found, meeting)
    return text if text.startswith(own) else text[0].lower() + text[1:]


def _worth(found: Facts) -> Sentence | None:
    """Say how many images from scratch a few with a pretrained start are worth."""
    if found.pair is None:
        return None
    own, transfer = (found.curve(model) for model in found.pair)
    inner = [size for size in transfer.curve.sizes if size < transfer.largest]
    for size in reversed(inner):
        equal = worth(transfer, size, own)
        if equal.images is not None and equal.images > size:
            return _worth_sentence(found, size, equal)
    return None


def _worth_sentence(found: Facts, size: int, equal: Images) -> Sentence:
    own, transfer = (model.spoken for model in found.pair or ())
    beyond = ", by extrapolation" if equal.extrapolated else ""
    text = (
        f"{size:,} images with {transfer} are worth about {images_words(equal.images or 0)} with {own} "
        f"({_interval(equal)}{beyond})."
    )
    return Sentence(text, "data_efficiency.worth", {"images": size, "worth": equal}, ("fig-efficiency",))


def _to_reach(found: Facts) -> Sentence | None:
    """Say how many images the most accurate model would need for the next accuracy that people ask for."""
    best = max(found.curves, key=lambda one: one.points[-1].accuracy)
    target = next((t for t in TARGETS if t > best.points[-1].accuracy), None)
    wanted = images_to_reach(best, target) if target else None
    if wanted is None or target is None or wanted.images is None:
        return None
    text = (
        f"To reach {percent(target, 0)}, {found.models[best.name].spoken} would need about "
        f"{images_words(wanted.images)} images ({_interval(wanted)}), if its curve goes on as it began."
    )
    facts = {"model": best.name, "accuracy": target, "images": wanted}
    return Sentence(text, "data_efficiency.reach", facts, REFERENCES)


def _laws(found: Facts) -> Sentence | None:
    """Name the models whose curve no law was fitted to."""
    without = {one.name: one.no_law for one in found.curves if one.no_law}
    if not without:
        return None
    few = [found.models[key].spoken for key, why in without.items() if why == "fewer than three sizes"]
    unfit = [found.models[key].spoken for key, why in without.items() if why == "no power law fits"]
    parts = [f"fewer than three sizes ran of {join(few)}"] if few else []
    parts += [f"the errors of {join(unfit)} fall by no power law"] if unfit else []
    text = f"Nothing is drawn or said beyond the data where {join(parts)}."
    return Sentence(text, "data_efficiency.laws", without)


def _covered(found: Facts) -> Sentence | None:
    single = [one.name for one in found.curves if not one.seeds_covered]
    if not single:
        return None
    text = (
        "With one run at a size the intervals cover the choice of test images alone: not which images were "
        "learned from, nor the luck of training."
    )
    return Sentence(text, "data_efficiency.one_seed", {"models": single})


def _failed(found: Facts) -> Sentence | None:
    if not found.failed:
        return None
    count = number_word(found.failed).capitalize()
    text = f"{count} {'run' if found.failed == 1 else 'runs'} on fewer images failed and left a gap."
    return Sentence(text, "data_efficiency.failed", {"failed": found.failed}, ("tbl-runs",))


def _title(study: Study) -> str:
    """Say where the better of each side meet."""
    found = facts(study)
    assert found is not None
    if found.pair is None or found.meeting is None:
        return "Accuracy by the number of training images"
    own, transfer = (letters(study)[model.key] for model in found.pair)
    if found.meeting.images is None:
        near = found.meeting.why == "not told apart at any size"  # surely enough for that; one may be better
        return f"{own} and {transfer}: {'too near to say where they meet' if near else found.meeting.why}"
    about = f"at about {images_words(found.meeting.images)} training images"
    reached = ", by extrapolation" if found.meeting.extrapolated else ""
    return f"{own} catches up with {transfer} {about}{reached}"


@floats.figure(
    "fig-efficiency",
    "Logarithmic axis; bars and bands: 95 % intervals. Dashed: the fitted law beyond the data. Dotted "
    "line and grey "
    "span: where they meet.",
    _title,
    when=lambda study: study.efficiencies,
    alternative="A curve with an interval band for each model: test accuracy against the number of "
    "training images.",
    data=lambda study: fits(study),
)
def figure(study: Study) -> Figure:
    """Draw accuracy against training images, with bands, laws dashed beyond the data, and the crossover."""
    found, styles = facts(study), theme.model_styles(study)
    assert found is not None
    drawing = theme.figure(3.2)
    axes = drawing.subplots()
    axes.set_xscale("log")
    for one in found.curves:
        _draw_curve(axes, one, styles[one.name])
    if found.meeting and found.meeting.images is not None:
        _draw_meeting(axes, found.meeting)
    axes.set(xlabel="training images", ylabel="test accuracy")
    axes.set_xticks(found.sizes, [theme.amount(size) for size in found.sizes])
    axes.minorticks_off()
    theme.percent(axes.yaxis)
    axes.grid(axis="y")
    theme.legend(drawing, study, [study.model(one.name) for one in found.curves])
    return drawing


def _draw_curve(axes: Axes, one: Efficiency, style: theme.ModelStyle) -> None:
    sizes, points_ = np.array(one.curve.sizes, float), one.points
    end = min(one.reach, 3 * one.largest)
    inside, beyond = np.geomspace(one.smallest, one.largest, 60), np.geomspace(one.largest, end, 30)
    axes.plot(inside, 1 - one.errors(inside)[0], color=style.color)
    for part in (inside, beyond) if one.law else (inside,):
        low, high = np.quantile(1 - one.errors(part)[1], ((1 - LEVEL) / 2, (1 + LEVEL) / 2), axis=0)
        axes.fill_between(part, np.clip(low, 0, 1), np.clip(high, 0, 1), color=style.color, alpha=0.13, lw=0)
    if one.law:
        axes.plot(beyond, 1 - one.errors(beyond)[0], "--", color=style.color, lw=1.4)
    ends = [(point.low, point.high) for point in points_]
    axes.vlines(sizes, *zip(*ends, strict=True), color=style.color, lw=1.4)
    accuracies = [point.accuracy for point in points_]
    axes.plot(sizes, accuracies, style.marker, color=style.color, ms=5)


def _draw_meeting(axes: Axes, meeting: Images) -> None:
    low, high = axes.get_xlim()
    at = float(meeting.images or 0)
    if at <= high:
        axes.axvspan(
            meeting.low or low, min(meeting.high or high, high), color=theme.GRID.light, alpha=0.5, lw=0
        )
        axes.axvline(at, color=theme.MUTED.light, lw=1.2, ls=":")
        axes.annotate(f"level at about {images_words(at)}", (at, 0), xycoords=axes.get_xaxis_transform(),
                      xytext=(4, 4), textcoords="offset points", size=9, color=theme.MUTED.light)  # fmt: skip
    axes.set_xlim(low, high)


@floats.table(
    "tbl-efficiency",
    "Means over seeds; the power law fitted to the error: where accuracy levels off, and what ten times "
    "the images "
    "do to the rest.",
    floats.named("Accuracy by training images"),
    when=lambda study: study.efficiencies,
)
def fits(study: Study) -> Table:
    """List each model's accuracy at its sizes, and what the fitted law says of its error."""
    found = facts(study)
    assert found is not None
    shown = found.sizes if len(found.sizes) <= 5 else [found.sizes[0], found.sizes[-1]]
    header = ["Model", *(f"{size:,}" for size in shown), "Levels off at", "Ten times the images"]
    rows = [_fit(one, found.models[one.name], shown) for one in found.curves]
    return table(header, rows, "l" + "r" * (len(shown) + 2))


def _fit(one: Efficiency, model: Model, shown: Sequence[int]) -> list[str]:
    at = {point.size: point for point in one.points}
    cells = [percent(at[size].accuracy) if size in at else NONE for size in shown]
    if one.law is None or one.laws is None:
        return [name(model.label), *cells, NONE, NONE]
    low, high = np.quantile(1 - one.laws.floor, ((1 - LEVEL) / 2, (1 + LEVEL) / 2))
    levels = f"{percent(float(1 - one.law.floor))} ({100 * low:.1f} to {100 * high:.1f})"
    return [name(model.label), *cells, levels, f"error{NBSP}÷{NBSP}{float(10**one.law.exponent):.1f}"]
