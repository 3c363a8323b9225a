"""What a probability is worth: calibration, temperature scaling, coverage."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from pipeline.confidence import SURE, Coverage, UnsureBelow
from pipeline.report.evidence.calibration import Calibration, Meaning
from pipeline.report.evidence.tests import ALPHA, holm
from pipeline.report.look import floats, theme
from pipeline.report.look.paragraph import Words
from pipeline.report.look.table import NONE, Table, name, table
from pipeline.report.look.theme import letters
from pipeline.report.model import Model
from pipeline.report.study import Study
from pipeline.report.words.english import join, number_word, opened, plural
from pipeline.report.words.numbers import percent, percent_range, points, signed
from pipeline.report.words.phrases import each_or_span, of_one_seed, spoken_list
from pipeline.report.words.sentence import Sentence

REFERENCES = ("fig-calibration", "tbl-calibration")
THRESHOLD = SURE
FEWEST_IMAGES = 20  # below which the accuracy of those left is mostly noise


@dataclass(frozen=True)
class Calibrated:
    """A model with the calibration of its chosen seed."""

    model: Model
    found: Calibration
    p: float  # that chance alone gives its calibration error, Holm over the models
    gain_p: float  # that a temperature changes nothing, the same

    @property
    def kind(self) -> str:
        """Whether its confidence exceeds its accuracy beyond noise: over, under, fair or uneven."""
        measured = self.found.before
        if self.p >= ALPHA:
            return "fair"
        return "over" if measured.gap.low > 0 else "under" if measured.gap.high < 0 else "uneven"

    @property
    def evidence(self) -> dict[str, float]:
        before, after = self.found.before, self.found.after
        return {
            "ece": before.ece,
            "ece_limit": before.ece_limit,
            "p": before.p,
            "p_holm": self.p,
            "gap": before.gap.value,
            "gap_low": before.gap.low,
            "gap_high": before.gap.high,
            "temperature": self.found.temperature,
            "ece_scaled": after.ece,
        }


@dataclass(frozen=True)
class Facts:
    """The calibration of every model, and what the best on val is worth where it is sure."""

    every: Sequence[Calibrated]
    best: Model
    meaning: Meaning | None
    coverage: Coverage
    unsure_below: UnsureBelow

    def who(self, some: Sequence[Calibrated]) -> str:
        models, of = [one.model for one in some], [one.model for one in self.every]
        if len(models) == len(of) > 2:
            return f"All {number_word(len(of))} models"
        return opened(spoken_list(models, of=of)) if some else ""


def facts(study: Study) -> Facts | None:
    """Return what confidences are worth; None without a model."""
    best = study.best
    if best is None:
        return None
    found = [model.calibration for model in study.models]
    p, gain_p = holm(np.array([one.before.p for one in found])), holm(np.array([one.gain_p for one in found]))
    every = [Calibrated(*one) for one in zip(study.models, found, p.tolist(), gain_p.tolist(), strict=True)]
    return Facts(every, best, best.meaning(THRESHOLD), best.coverage, best.unsure_below)


def words(study: Study) -> Words:
    """Say what probabilities are worth, and what one temperature mends."""
    return Words(study, [*confidence_words(study), *temperature_words(study)])


def confidence_words(study: Study) -> Words:
    """Say whose confidence can be believed, and what is gained by leaving out the doubtful images."""
    found = facts(study)
    sentences = [*_gaps(found), _meaning(found), _coverage(found)] if found else []
    return Words(study, sentences)


def temperature_words(study: Study) -> Words:
    """Say what one temperature per model does to its probabilities."""
    found = facts(study)
    return Words(study, [_scaling(found)] if found else [])


def _gaps(found: Facts) -> list[Sentence]:
    """Group the models by whether their confidence exceeds their accuracy beyond noise."""
    say = {"over": _over, "under": _under, "uneven": _uneven, "fair": _fair}
    groups = {kind: [one for one in found.every if one.kind == kind] for kind in say}
    return [
        Sentence(
            say[kind](some, found.who(some)),
            f"calibration.{kind}",
            {one.model: one.evidence for one in some},
            REFERENCES,
        )
        for kind, some in groups.items()
        if some
    ]


def _over(some: Sequence[Calibrated], who: str) -> str:
    return _gap(some, who, "too sure of " + ("itself" if len(some) == 1 else "themselves"), "above")


def _under(some: Sequence[Calibrated], who: str) -> str:
    return _gap(some, who, "too modest", "below")


def _gap(some: Sequence[Calibrated], who: str, what: str, side: str) -> str:
    gaps = [abs(one.found.before.gap.value) for one in some]
    if len(some) == 1:
        return f"{who} is {what}: on average its confidence is {points(gaps[0])} {side} its accuracy."
    span = f"{100 * min(gaps):.1f} to {points(max(gaps))}"
    if points(min(gaps)) == points(max(gaps)):
        span = points(max(gaps))
    return f"{who} are {what}: on average their confidence is {span} {side} their accuracy."


def _uneven(some: Sequence[Calibrated], who: str) -> str:
    return (
        f"{who} {'has' if len(some) == 1 else 'have'} a calibration error (ECE) of {_eces(some)}, more than "
        "chance gives, though on average confidence and accuracy do not differ beyond noise."
    )


def _fair(some: Sequence[Calibrated], who: str) -> str:
    do = "shows" if len(some) == 1 else "show"
    limit = each_or_span([one.found.before.ece_limit for one in some], percent)
    return (
        f"{who} {do} no miscalibration that these images could reveal: the calibration error (ECE) is "
        f"{_eces(some)}, and chance alone may make it {limit}."
    )


def _eces(some: Sequence[Calibrated]) -> str:
    return each_or_span([one.found.before.ece for one in some], percent)


def _meaning(found: Facts) -> Sentence | None:
    meaning = found.meaning
    if meaning is None or meaning.images < FEWEST_IMAGES:
        return None
    right = meaning.accuracy
    text = (
        f"When {found.best.spoken} says {THRESHOLD} (0.85 to 0.95), it is right in {percent(right.value)} of "
        f"cases (95 % interval {percent_range(right.low, right.high)}, {plural(meaning.images, 'image')})."
    )
    evidence = {
        "model": found.best,
        "images": meaning.images,
        "accuracy": right.value,
        "low": right.low,
        "high": right.high,
    }
    return Sentence(text, "calibration.meaning", evidence, REFERENCES)


def _scaling(found: Facts) -> Sentence:
    """Say what one temperature, fitted on val, does on test: judged by the paired gain in log loss."""
    known = [one for one in found.every if one.gain_p < ALPHA]
    helped = [one for one in known if one.found.log_loss_gain.value > 0]
    hurt = [one.model for one in known if one.found.log_loss_gain.value < 0]
    text = "One temperature per model, fitted on val, makes the probabilities on test no better beyond noise"
    if helped:
        text = _helped(found, helped)
    if hurt:
        text += f"; it makes those of {spoken_list(hurt)} worse"
    evidence = {one.model: {**one.evidence, **_gain(one.found)} for one in found.every}
    return Sentence(f"{text}.", "calibration.temperature", evidence, REFERENCES)


def _gain(found: Calibration) -> dict[str, float]:
    gain = found.log_loss_gain
    return {"log_loss_gain": gain.value, "gain_low": gain.low, "gain_high": gain.high}


def _helped(found: Facts, helped: Sequence[Calibrated]) -> str:
    shown = max(helped, key=lambda one: one.found.log_loss_gain.value)
    before, after = shown.found.before, shown.found.after
    ece = f"{percent(before.ece)} to {percent(after.ece)}"
    errors = f"though the ECE rises from {ece}" if after.ece > before.ece else f"ECE {ece}"
    everyone = len(helped) == len(found.every) > 1
    who = "every model" if everyone else spoken_list([one.model for one in helped])
    example = "" if len(helped) == 1 else f", those of {shown.model.spoken} most"
    return (
        f"Dividing the logits by one temperature fitted on val makes the probabilities of {who} better "
        f"on test{example} (temperature {shown.found.temperature:.2f}: log loss "
        f"{before.log_loss:.2f} to {after.log_loss:.2f}, {errors})"
    )


def _coverage(found: Facts) -> Sentence | None:
    best, curve, sure = found.best, found.coverage, found.unsure_below
    place = int(np.searchsorted(curve.threshold, sure.confidence))
    kept, right = float(curve.coverage[place]), float(curve.accuracy[place])
    if kept == 0 or kept == 1:
        return None
    everywhere = percent(float(curve.accuracy[0]))
    against = f"instead of {everywhere} of all" if percent(right) != everywhere else "as of all"
    text = (
        f"If {best.spoken}, with its temperature, answers only when at least {sure.confidence} sure "
        f"({sure.reason}), it answers for {percent(kept)} of the images and gets {percent(right)} of those "
        f"right, {against}{of_one_seed(best)}; headstart predict calls the others unsure."
    )
    evidence = {
        "model": best,
        "threshold": sure.confidence,
        "chosen_on_val": sure.chosen_on_val,
        "coverage": kept,
        "accuracy": right,
    }
    return Sentence(text, "calibration.coverage", evidence, ("fig-calibration",))


KIND_WORDS = {
    "over": "too sure by {}", "under": "too modest by {}",
    "uneven": "off, without a known direction", "fair": "not shown to be off",
}  # fmt: skip


def _pair(study: Study) -> list[Model]:
    """Return the best on val and its rival."""
    best = study.best
    return [model for model in (best, *(m for m in study.pair or () if m is not best)) if model][:2]


def _title(study: Study) -> str:
    """Say of the two models whether their confidence can be believed."""
    found, said = facts(study), dict[str, list[str]]()  # what is said → of whom
    assert found is not None
    for model in _pair(study):
        one = next(one for one in found.every if one.model is model)
        words = KIND_WORDS[one.kind].format(points(one.found.before.gap.value))
        said.setdefault(words, []).append(letters(study)[model.key])
    parts = [f"{join(of)} {'is' if len(of) == 1 else 'are'} {words}" for words, of in said.items()]
    return f"Confidence: {', '.join(parts)}"


@floats.figure(
    "fig-calibration",
    "Left: how often answers of each confidence were right; on the diagonal confidence is honest. Right: "
    "share "
    "right of the surest images.",
    _title,
    alternative="Share of right answers against confidence beside the diagonal of perfect calibration, "
    "and against "
    "the share of images answered.",
    data=lambda study: _coverages(study),
)
def figure(study: Study) -> list[Figure]:
    """Draw reliability and coverage of the best on val and its rival."""
    drawn = [_draw_pair(study)]
    return drawn if _too_few(study) else [*drawn, _draw_coverages(study)]


def _draw_pair(study: Study) -> Figure:
    drawing = theme.figure(2.9, theme.PANEL)
    drawing.set_label("reliability")
    axes = drawing.subplots()
    axes.plot([0, 1], [0, 1], color=theme.GRID.light, lw=1.2, zorder=0)
    styles = theme.model_styles(study)
    for model in _pair(study):
        bins, style = model.calibration.before.bins, styles[model.key]
        axes.vlines(bins.confidence, bins.low, bins.high, color=style.color, alpha=0.45, lw=1.5)
        axes.plot(bins.confidence, bins.accuracy, f"{style.marker}-", color=style.color, ms=5, lw=1)
    axes.set(xlim=(0, 1.02), ylim=(0, 1.02), xlabel="confidence", ylabel="share right")
    for axis in (axes.xaxis, axes.yaxis):
        theme.percent(axis)
    theme.legend(drawing, study, _pair(study))
    return drawing


def _draw_coverages(study: Study) -> Figure:
    drawing = theme.figure(2.9, theme.PANEL)
    drawing.set_label("coverage")
    axes = drawing.subplots()
    styles = theme.model_styles(study)
    for model in _pair(study):
        _draw_coverage(axes, model, styles[model.key])
    low = max(axes.get_ylim()[0], -0.02)
    axes.set_ylim(low, 1.02)
    axes.set(xlim=(0, 1.02), xlabel="share of images answered, surest first", ylabel="share of them right")
    for axis in (axes.xaxis, axes.yaxis):
        theme.percent(axis)
    axes.set_yticks([tick for tick in axes.get_yticks() if max(low, 0) <= tick <= 1])  # no share above all
    axes.grid(axis="y")
    theme.legend(drawing, study, _pair(study))
    return drawing


def _coverages(study: Study) -> Table:
    """List, for each threshold, the share answered and how much of it is right."""
    rows = [
        [name(model.label), f"{t:.2f}", f"{share:.6g}", f"{right:.6g}" if np.isfinite(right) else NONE]
        for model in study.models
        for t, share, right in zip(
            model.coverage.threshold, model.coverage.coverage, model.coverage.accuracy, strict=True
        )
    ]
    return table(["Model", "Confidence at least", "Answered", "Of these right"], rows, "lrrr")


@floats.figure(
    "fig-reliability",
    "As in the body, of every model. Grey: after dividing the logits by a temperature fitted on val.",
    floats.named("Reliability of every model"),
    when=lambda study: len(study.models) > 2,  # the body shows two
    alternative="For each model a chart of the share of right answers against confidence, beside the "
    "diagonal.",
    data=lambda study: _bins(study),
    wide=True,
)
def figure_of_each(study: Study) -> list[Figure]:
    """Draw the reliability of each model's confidence, as it is and (grey) with a fitted temperature."""
    shown, styles = floats.shown_models(study), theme.model_styles(study)
    drawings = []
    for model in shown:
        drawing = theme.figure(2.6, theme.SMALL)
        drawing.set_label(model.label)
        theme.heading(drawing, study, model, f"ECE {percent(model.calibration.before.ece)}")
        _draw_reliability(drawing.subplots(), model, styles[model.key])
        drawings.append(drawing)
    return drawings


def _bins(study: Study) -> Table:
    """List the bins of every model's confidence, as it is."""
    rows = []
    for model in study.models:
        bins = model.calibration.before.bins
        columns = (bins.confidence, bins.accuracy, bins.low, bins.high)
        for count, *shares in zip(bins.count, *columns, strict=True):
            rows.append([name(model.label), str(int(count)), *(f"{share:.6g}" for share in shares)])
    return table(["Model", "Images", "Confidence", "Right", "Low", "High"], rows, "lrrrrr")


def _draw_reliability(axes: Axes, model: Model, style: theme.ModelStyle) -> None:
    before, after = model.calibration.before, model.calibration.after
    axes.plot([0, 1], [0, 1], color=theme.GRID.light, lw=1.2, zorder=0)
    axes.plot(after.bins.confidence, after.bins.accuracy, "-", color=theme.BAR.light, lw=1.4)
    bins = before.bins
    axes.vlines(bins.confidence, bins.low, bins.high, color=style.color, alpha=0.5, lw=1.6)
    axes.plot(bins.confidence, bins.accuracy, style.marker, color=style.color, ms=5)
    axes.set(xlim=(0, 1.02), ylim=(0, 1.02), aspect="equal", xlabel="confidence, %", ylabel="share right, %")
    axes.set_xticks((0, 0.5, 1), ("0", "50", "100"))
    axes.set_yticks((0, 0.5, 1), ("0", "50", "100"))


def _too_few(study: Study) -> bool:
    """Whether the share right of the surest images would be chance."""
    return len(study.models[0].chosen_test.target) < FEWEST_IMAGES


def _draw_coverage(axes: Axes, model: Model, style: theme.ModelStyle) -> None:
    curve = model.coverage
    images = len(model.chosen_test.target)
    enough = (curve.coverage * images >= FEWEST_IMAGES) & np.isfinite(curve.accuracy)
    share, right = curve.coverage[enough], curve.accuracy[enough]
    axes.plot(share, right, color=style.color)
    axes.plot(share[:1], right[:1], style.marker, color=style.color, clip_on=False)


@floats.table(
    "tbl-calibration",
    "ECE: 15 bins. By chance: what a perfectly calibrated model would show on so many images. Too sure by: "
    "confidence minus accuracy, points.",
    floats.named("Calibration of every model"),
)
def scores(study: Study) -> Table:
    """List how far each model's confidence is from the truth, and what one temperature mends."""
    header = [
        "Model",
        "ECE",
        "By chance",
        "Too sure by",
        "Temperature",
        "ECE after",
        "Of “about 90 %”, right",
    ]
    return table(header, [_score(model) for model in study.models], "lrrrrrr")


def _score(model: Model) -> list[str]:
    found, meaning = model.calibration, model.meaning(THRESHOLD)
    return [
        name(model.label),
        percent(found.before.ece),
        percent(found.before.ece_expected),
        signed(found.before.gap.value),
        f"{found.temperature:.2f}",
        percent(found.after.ece),
        _about(meaning) if meaning else NONE,
    ]


def _about(meaning: Meaning) -> str:
    """90 % of 120; of few images their count alone: 1 of 1."""
    if meaning.images < FEWEST_IMAGES:
        return f"{round(meaning.accuracy.value * meaning.images)} of {meaning.images}"
    return f"{percent(meaning.accuracy.value, 0)} of {meaning.images}"
