"""Under worse conditions: what each model keeps of its accuracy, and what pretraining gives there."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from pipeline.record import CONDITIONS
from pipeline.report.evidence.conditions import Endurance, of_pair
from pipeline.report.evidence.tests import Comparison
from pipeline.report.look import floats, theme
from pipeline.report.look.paragraph import Words
from pipeline.report.look.table import Table, bold, name, table
from pipeline.report.model import Model
from pipeline.report.study import Study
from pipeline.report.words.claims import same_network
from pipeline.report.words.english import join, opened, plural
from pipeline.report.words.numbers import percent, points, points_range, signed
from pipeline.report.words.sentence import Sentence

REFERENCES = ("fig-conditions", "tbl-conditions")
SPOKEN = {
    "blur": "blur",
    "noise": "noise",
    "jpeg": "JPEG compression",
    "brightness": "brightness",
    "contrast": "less contrast",
    "resolution": "fewer pixels",
}


@dataclass(frozen=True)
class Facts:
    """What the models that were asked keep; ``worse`` and ``kept`` compare each two of them."""

    models: Mapping[str, Model]  # by key
    found: Mapping[str, Endurance]
    worse: Sequence[Comparison]  # accuracy under all conditions
    kept: Sequence[Comparison]  # the same minus accuracy on clean images
    images: int

    @property
    def steadiest(self) -> str:
        """The model that loses least."""
        return min(self.found, key=lambda key: self.found[key].lost)

    def mean(self, condition: str, strength: int) -> float:
        """Return the accuracy under one condition, mean over models."""
        return float(np.mean([one.by_condition[condition][strength].value for one in self.found.values()]))


def facts(study: Study) -> Facts | None:
    """Return what is known; None where the study did not ask, or no model was asked in all its runs."""
    if not study.experiment.robustness:
        return None
    asked = study.conditions
    if asked is None:
        return None
    models = {key: study.model(key) for key in asked.found}
    return Facts(models, asked.found, asked.worse, asked.kept, asked.images)


def words(study: Study) -> Words:
    """Say what was done to the images, who keeps most, what costs most, and what pretraining gives there."""
    found = facts(study)
    if found is None:
        return Words(study, [])
    said = [_asked(found), _best(found), _steadiest(found), _hardest(found), _pretraining(study, found)]
    return Words(study, [*said, *_probes(study, found), _sizes(found)])


def results(study: Study) -> dict[str, Any] | None:
    """Return what results.json holds; None where the study did not ask."""
    found = facts(study)
    if found is None:
        return None
    return {
        "images": found.images,
        "strengths": {name: list(values) for name, values in CONDITIONS.items()},
        "models": found.found,
        "worse": found.worse,
        "kept": found.kept,
    }


def _asked(found: Facts) -> Sentence:
    text = (
        f"{plural(found.images, 'test image')} came again under {join(list(SPOKEN.values()))}, each at three "
        "strengths. No network was trained on such images here or chosen by them."
    )
    return Sentence(text, "conditions.asked", {"images": found.images, "strengths": CONDITIONS}, REFERENCES)


def _best(found: Facts) -> Sentence | None:
    if len(found.found) < 2:
        return None
    key = max(found.found, key=lambda one: found.found[one].worse.value)
    it, score = found.models[key].spoken, found.found[key].worse
    text = (
        f"{opened(it)} is right most often under them, in {percent(score.value)} on average"
        f"{_standing(found, found.worse, key, 'more often than')}."
    )
    tests = [of_pair(found.worse, key, other) for other in found.found if other != key]
    return Sentence(text, "conditions.best", {"best": found.models[key], "tests": tests}, REFERENCES)


def _steadiest(found: Facts) -> Sentence:
    key = found.steadiest
    kept, it = found.found[key], found.models[key].spoken
    fall = (
        f"from {percent(kept.clean.value)} to {percent(kept.worse.value)} on average over all of them, by "
        f"{points(kept.lost)}"
    )
    if len(found.found) == 1:
        return Sentence(f"The accuracy of {it} falls {fall}.", "conditions.alone", {key: kept}, REFERENCES)
    tests = [of_pair(found.kept, key, other) for other in found.found if other != key]
    text = (
        f"{opened(it)} keeps most of its accuracy, which falls {fall}"
        f"{_standing(found, found.kept, key, 'less than that of')}; what starts lower has less to lose."
    )
    beaten = sum(test.better == key for test in tests)
    rule = "keeps_most" if beaten == len(tests) else "keeps_more" if beaten else "level"
    facts = {"steadiest": found.models[key], "tests": tests}
    return Sentence(text, f"conditions.{rule}", facts, REFERENCES)


def _standing(found: Facts, comparisons: Sequence[Comparison], key: str, than: str) -> str:
    """Return in words which others a model is told from: ", less than that of a, beyond noise; ..."."""
    tests = {other: of_pair(comparisons, key, other) for other in found.found if other != key}
    beaten = [found.models[other].spoken for other, test in tests.items() if test.better == key]
    rest = [found.models[other].spoken for other, test in tests.items() if test.better != key]
    if not rest:
        return f", {than} {'the other' if len(beaten) == 1 else 'all others'}, beyond noise"
    if beaten:
        return f", {than} {join(beaten)}, beyond noise; from {join(rest)} it cannot be told"
    return f"; from {'the other' if len(rest) == 1 else 'the others'} it cannot be told"


def _hardest(found: Facts) -> Sentence:
    last = {condition: found.mean(condition, -1) for condition in CONDITIONS}
    hardest, easiest = min(last, key=lambda one: last[one]), max(last, key=lambda one: last[one])
    over = f" on average over {plural(len(found.found), 'model')}" if len(found.found) > 1 else ""
    text = (
        f"At the greatest strength {SPOKEN[hardest]} costs most: {percent(last[hardest])} are still right"
        f"{over}, against {percent(last[easiest])} under {SPOKEN[easiest]}."
    )
    return Sentence(text, "conditions.hardest", last, REFERENCES)


def _pretraining(study: Study, found: Facts) -> Sentence | None:
    """Compare what pretrained weights give one network there with what they give on clean images."""
    said = same_network(study)
    if said is None or not {said.first.key, said.second.key} <= set(found.found):
        return None
    warm, cold = said.first, said.second
    there = of_pair(found.worse, warm.key, cold.key)
    clean = found.found[warm.key].clean.value - found.found[cold.key].clean.value
    change = of_pair(found.kept, warm.key, cold.key)
    mixed = f" and another {join(said.mixed_in)}" if said.mixed_in else ""
    text = (
        f"What pretrained weights{mixed} give {warm.network_name} is {signed(clean)} points on clean images "
        f"and {signed(there.difference)} under these conditions (95 % interval "
        f"{points_range(there.low, there.high)}): {_gain(change)}."
    )
    facts = {"first": warm, "second": cold, "clean": clean, "there": there, "change": change}
    return Sentence(text, f"conditions.pretraining.{change.verdict}", facts, REFERENCES)


def _gain(change: Comparison) -> str:
    size = f"{points(change.difference)}; 95 % interval {points_range(change.low, change.high)}"
    return {
        "first": f"more there, beyond noise ({size})",
        "second": f"less there, beyond noise ({size})",
        "equivalent": f"as much, within the difference that matters ({size})",
        "undecided": f"whether it is more or less there cannot be told from noise ({size})",
    }[change.verdict]


def _probes(study: Study, found: Facts) -> list[Sentence]:
    """Compare fine-tuned networks with their linear probes (Kumar et al. 2022, arXiv 2202.10054)."""
    said = []
    for ways in study.three_ways.values():
        tuned, probe = ways.get("fine_tune"), ways.get("linear_probe")
        if tuned is None or probe is None or not {tuned.key, probe.key} <= set(found.found):
            continue
        there = of_pair(found.worse, tuned.key, probe.key)
        clean = found.found[tuned.key].clean.value - found.found[probe.key].clean.value
        change = of_pair(found.kept, tuned.key, probe.key)
        text = (
            "Fine-tuning can distort features that a probe leaves as they are, and lose more than it does "
            f"away from the training images (Kumar et al. 2022). Here {tuned.network_name} fine-tuned is "
            f"{_ahead(clean)} its probe clean and {_ahead(there.difference)} it under these conditions: "
            f"{_loses(change)}."
        )
        facts = {"first": tuned, "second": probe, "clean": clean, "there": there, "change": change}
        said.append(Sentence(text, f"conditions.tuning.{change.verdict}", facts, REFERENCES))
    return said


def _ahead(difference: float) -> str:
    return f"{points(difference)} {'ahead of' if difference >= 0 else 'behind'}"


def _loses(change: Comparison) -> str:
    size = f"{points(change.difference)}; 95 % interval {points_range(change.low, change.high)}"
    return {
        "first": f"it loses less than the probe, beyond noise ({size})",
        "second": f"it loses more than the probe, beyond noise ({size})",
        "equivalent": f"both lose as much, within the difference that matters ({size})",
        "undecided": f"which of them loses more cannot be told from noise ({size})",
    }[change.verdict]


def _sizes(found: Facts) -> Sentence:
    sides = sorted({one.side for one in found.found.values() if one.side})
    text = (
        "These changes are made up: they tell what such a change does, not how often it occurs where the "
        "network is to work."
    )
    if len(sides) > 1:
        text = (
            "Images were changed at the size that each network keeps them at "
            f"({join([f'{s} px' for s in sides])}), so noise and compression are not the same for all. {text}"
        )
    return Sentence(text, "conditions.made_up", {"sides": sides})


def _title(study: Study) -> str:
    found = facts(study)
    assert found is not None
    one = found.found[found.steadiest]
    loses = "loses least, as measured:" if len(found.found) > 1 else "loses"
    return f"{found.models[found.steadiest].label} {loses} {points(one.lost)} over all conditions"


@floats.figure(
    "fig-conditions",
    "The same test images, clean and under worse conditions of three strengths (Hendrycks and Dietterich "
    "2019). "
    "Bands: 95 % intervals.",
    _title,
    when=facts,
    alternative="A chart for each condition: accuracy against strength, a line with its band for each model.",
    data=lambda study: kept(study),
    wide=True,
)
def figure(study: Study) -> list[Figure]:
    """Draw accuracy against strength, a chart for each condition, a line for each model."""
    found, styles, marks = facts(study), theme.model_styles(study), theme.letters(study)
    assert found is not None
    every = [score for one in found.found.values() for row in one.by_condition.values() for score in row]
    every += [one.clean for one in found.found.values()]
    low, high = min(score.low for score in every), max(score.high for score in every)
    drawings = []
    for condition in CONDITIONS:
        name, drawing = SPOKEN[condition][0].upper() + SPOKEN[condition][1:], theme.figure(1.9, theme.SMALL)
        drawing.set_label(name)
        axes = drawing.subplots()
        for key, one in found.found.items():
            _draw_line(axes, one, condition, styles[key])
        axes.set(title=name, ylim=(low - 0.02, high + 0.02), xlabel="strength", ylabel="test accuracy")
        axes.set_xticks([0, 1, 2, 3], ["clean", "1", "2", "3"])
        axes.grid(axis="y")
        theme.percent(axes.yaxis)
        ends = [
            (one.by_condition[condition][-1].value, marks[key], styles[key].color)
            for key, one in found.found.items()
        ]
        theme.label_ends(axes, ends, height=1.5)
        drawings.append(drawing)
    return drawings


def _draw_line(axes: Axes, one: Endurance, condition: str, style: theme.ModelStyle) -> None:
    scores = (one.clean, *one.by_condition[condition])
    places = np.arange(len(scores))
    axes.fill_between(
        places, [s.low for s in scores], [s.high for s in scores], color=style.color, alpha=0.13, lw=0
    )
    axes.plot(
        places,
        [s.value for s in scores],
        color=style.color,
        marker=style.marker,
        ms=4,
    )


@floats.table(
    "tbl-conditions",
    "Mean of three strengths each, and over all; of several seeds the mean. Change: all minus clean, points. "
    "Bold: loses least.",
    floats.named("Accuracy under worse conditions"),
    when=facts,
)
def kept(study: Study) -> Table:
    """List each model's accuracy clean, under each condition (mean of strengths), and over all."""
    found = facts(study)
    assert found is not None
    header = ["Model", "Clean", *(one.capitalize() if one != "jpeg" else "JPEG" for one in CONDITIONS)]
    rows = [
        [
            bold(name(found.models[key].label), key == found.steadiest and len(found.found) > 1),
            percent(one.clean.value),
            *(percent(one.mean_of(condition)) for condition in CONDITIONS),
            percent(one.worse.value),
            signed(-one.lost),
        ]
        for key, one in found.found.items()
    ]
    return table([*header, "All", "Change"], rows, "l" + "r" * (len(header) + 1))
