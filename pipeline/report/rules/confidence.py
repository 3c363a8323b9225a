"""What the models' probabilities are worth: calibration, temperature scaling, coverage."""

import numpy as np

from pipeline.report.model import Model
from pipeline.report.study import Study
from pipeline.report.words.english import opened, percent, percent_range, plural, points
from pipeline.report.words.phrases import each_or_span, spoken_list
from pipeline.report.words.sentence import Sentence

REFERENCES = ["fig-calibration", "tbl-calibration"]
THRESHOLD = 0.9


def confidence(study: Study) -> list[Sentence]:
    """Argue the calibration section."""
    best = study.best
    if best is None:
        return []
    found = [*_gaps(study), _meaning(best), _scaling(study), _coverage(best)]
    return [sentence for sentence in found if sentence]


def _gaps(study: Study) -> list[Sentence]:
    """Group the models by whether their confidence exceeds their accuracy beyond noise."""
    over, under, fair, uneven = [], [], [], []
    for group in study.models:
        measured = group.calibration.before
        if not measured.miscalibrated:
            fair.append(group)
        elif measured.gap.low > 0:
            over.append(group)
        elif measured.gap.high < 0:
            under.append(group)
        else:
            uneven.append(group)

    def who(groups: list[Model]) -> str:
        return opened(spoken_list(groups, of=study.models)) if groups else ""

    return [
        *_gap_sentence(over, who(over), "too sure of {}", "above", "calibration.over"),
        *_gap_sentence(under, who(under), "too modest", "below", "calibration.under"),
        *_uneven(uneven, who(uneven)),
        *_fair(fair, who(fair)),
    ]


def _gap_sentence(groups: list[Model], who: str, what: str, side: str, rule: str) -> list[Sentence]:
    if not groups:
        return []
    gaps = [abs(group.calibration.before.gap.value) for group in groups]
    evidence = {group.key: _numbers(group) for group in groups}
    if len(groups) == 1:
        what = what.format("itself")
        text = f"{who} is {what}: on average its confidence is {points(gaps[0])} {side} its accuracy."
    else:
        span, what = f"{100 * min(gaps):.1f} to {points(max(gaps))}", what.format("themselves")
        text = f"{who} are {what}: on average their confidence is {span} {side} their accuracy."
    return [Sentence(text, rule, evidence, REFERENCES)]


def _uneven(groups: list[Model], who: str) -> list[Sentence]:
    if not groups:
        return []
    evidence = {group.key: _numbers(group) for group in groups}
    text = (
        f"{who} {'is' if len(groups) == 1 else 'are'} too sure at some confidences and too modest at others: "
        f"right on average, with a calibration error (ECE) of {_eces(groups)}."
    )
    return [Sentence(text, "calibration.uneven", evidence, REFERENCES)]


def _fair(groups: list[Model], who: str) -> list[Sentence]:
    if not groups:
        return []
    evidence = {group.key: _numbers(group) for group in groups}
    its = "its" if len(groups) == 1 else "their"
    text = (
        f"{who} can be taken at {its} word: the calibration error (ECE) of {_eces(groups)} is no more than "
        "chance gives a perfectly calibrated model on so many images."
    )
    return [Sentence(text, "calibration.fair", evidence, REFERENCES)]


def _eces(groups: list[Model]) -> str:
    return each_or_span([group.calibration.before.ece for group in groups], percent)


def _numbers(group: Model) -> dict[str, float]:
    before, after = group.calibration.before, group.calibration.after
    return {
        "ece": before.ece,
        "ece_limit": before.ece_limit,
        "p": before.p,
        "gap": before.gap.value,
        "gap_low": before.gap.low,
        "gap_high": before.gap.high,
        "temperature": group.calibration.temperature,
        "ece_scaled": after.ece,
    }


def _meaning(best: Model) -> Sentence | None:
    found = best.meaning(THRESHOLD)
    if found is None:
        return None
    right = found.accuracy
    text = (
        f"When {best.spoken} says {THRESHOLD} (0.85 to 0.95), it is right in {percent(right.value)} of "
        f"cases (95 % interval {percent_range(right.low, right.high)}, {plural(found.images, 'image')})."
    )
    evidence = {"model": best.key, "images": found.images, "accuracy": right.value,
                "low": right.low, "high": right.high}  # fmt: skip
    return Sentence(text, "calibration.meaning", evidence, REFERENCES)


def _scaling(study: Study) -> Sentence | None:
    """Say what one temperature, fitted on val, does on test: judged by the paired gain in log loss."""
    helped = [g for g in study.models if g.calibration.log_loss_gain.low > 0]
    hurt = [g for g in study.models if g.calibration.log_loss_gain.high < 0]
    evidence = {
        group.key: {**_numbers(group), "log_loss_gain": group.calibration.log_loss_gain.value,
                    "gain_low": group.calibration.log_loss_gain.low,
                    "gain_high": group.calibration.log_loss_gain.high}
        for group in study.models
    }  # fmt: skip
    if not helped:
        text = (
            "One temperature per model, fitted on val, makes the probabilities on test no better beyond noise"
        )
    else:
        shown = max(helped, key=lambda group: group.calibration.log_loss_gain.value)
        before, after = shown.calibration.before, shown.calibration.after
        ece = f"{percent(before.ece)} to {percent(after.ece)}"
        errors = f"though the ECE rises from {ece}" if after.ece > before.ece else f"ECE {ece}"
        everyone = len(helped) == len(study.models) > 1
        who = "every model" if everyone else spoken_list(helped)
        example = "" if len(helped) == 1 else f", those of {shown.spoken} most"
        text = (
            f"Dividing the logits by one temperature fitted on val makes the probabilities of {who} better "
            f"on test{example} (temperature {shown.calibration.temperature:.2f}: log loss "
            f"{before.log_loss:.2f} to {after.log_loss:.2f}, {errors})"
        )
    if hurt:
        text += f"; it makes those of {spoken_list(hurt)} worse"
    return Sentence(f"{text}.", "calibration.temperature", evidence, REFERENCES)


def _of_one_seed(group: Model) -> str:
    return " (its chosen seed)" if len(group.records) > 1 else ""


def _coverage(best: Model) -> Sentence | None:
    curve = best.coverage
    place = int(np.argmin(np.abs(curve.threshold - THRESHOLD)))
    kept, right = float(curve.coverage[place]), float(curve.accuracy[place])
    if kept == 0 or kept == 1:
        return None
    everywhere = percent(float(curve.accuracy[0]))
    against = f"instead of {everywhere} of all" if percent(right) != everywhere else "as of all"
    text = (
        f"If {best.spoken} answers only when it is at least {THRESHOLD} sure, it answers for {percent(kept)} "
        f"of the images and gets {percent(right)} of those right, {against}{_of_one_seed(best)}."
    )
    evidence = {"model": best.key, "threshold": THRESHOLD, "coverage": kept, "accuracy": right}
    return Sentence(text, "calibration.coverage", evidence, ["fig-coverage"])
