"""The answer where one side of the question, or both, did not run."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from pipeline.report.evidence.baselines import COMMONEST, Baseline
from pipeline.report.evidence.per_image import recall_scores
from pipeline.report.evidence.tests import Comparison, beats, beats_chance
from pipeline.report.model import Model
from pipeline.report.study import Study
from pipeline.report.words.claims import Standing, standing
from pipeline.report.words.english import join, number_word, opened
from pipeline.report.words.numbers import percent, points
from pipeline.report.words.phrases import (
    MOST_NAMED,
    accuracy_words,
    averaged,
    commonest,
    spoken_list,
    test_images,
)
from pipeline.report.words.prices import bill_evidence, price_of_one
from pipeline.report.words.sentence import Sentence


@dataclass(frozen=True)
class Half:
    """The best on val of the one side that ran, and what became of the other side."""

    model: Model
    standing: Standing  # of the model to the rest of its side
    unlearned: Sequence[Model]  # models of the other side that learned nothing
    chance: float  # share of the commonest class among the test images
    failed: Sequence[str]  # models of the other side, for sentences
    runs: int
    images: str


@dataclass(frozen=True)
class Nothing:
    """What became of runs none of which is whole."""

    runs: Sequence[str]  # ids of the failed runs
    reasons: Mapping[str, str]  # id of a run → the reason that it left
    models: Sequence[str]  # those that left a reason, for sentences


def sentences(study: Study) -> list[Sentence]:
    """Return three sentences: what is missing, what is known all the same, and what to do next."""
    model = study.best_scratch or study.best_transfer
    if model is None:
        return _nothing_finished(_nothing(study))
    if not study.learned:
        return _nothing_learned(_chance(study))
    half = Half(
        model=model,
        standing=standing(study, model),
        unlearned=[other for other in study.unlearned if other.pretrained != model.pretrained],
        chance=commonest(study),
        failed=_failed(study, model),
        runs=len(study.records),
        images=test_images(study),
    )
    return [_missing(half), _known(half), _cost(half)]


@dataclass(frozen=True)
class Chance:
    """Models none of which does better than always naming the commonest class."""

    models: Mapping[Model, Comparison]  # each against the commonest class
    balanced: Sequence[Model]  # of these, that tell classes apart where each counts alike
    chance: float
    images: str
    visible: float  # the smallest lead over chance that the test images could have shown
    simple: Baseline | None  # the most accurate answer that beats chance without a network


def _chance(study: Study) -> Chance:
    found = {model: study.beyond_chance[model.key] for model in study.models}
    visible = max(one.smallest_visible for one in found.values())
    balanced = _tell_classes_apart(study)
    return Chance(found, balanced, commonest(study), test_images(study), visible, _simple(study))


def _simple(study: Study) -> Baseline | None:
    """Return the most accurate simple answer that beats the commonest class: the images show their labels."""
    others = {one.name: one for one in study.baselines if one.name != COMMONEST}
    if not others:
        return None
    correct = {name: one.correct for name, one in others.items()}
    found = beats_chance(correct, study.targets, study.margin, study.groups)
    beating = [one for name, one in others.items() if found[name].verdict == "first"]
    return max(beating, key=lambda one: one.accuracy.value, default=None)


def _tell_classes_apart(study: Study) -> list[Model]:
    """Return the models whose mean recall over classes is better than that of one answer for all."""
    present = len(np.unique(study.targets))
    blind = np.full((1, len(study.targets)), 1 / present)
    pairs = {
        model.key: (recall_scores(study.targets, np.stack([one.predicted for one in model.test])), blind)
        for model in study.models
    }
    found = beats(pairs, study.margin, study.groups)
    return [model for model in study.models if found[model.key]]


def _nothing_learned(found: Chance) -> list[Sentence]:
    """Say that no model beats the commonest class, and recommend nothing."""
    evidence = {
        "chance": found.chance,
        "models": {m.key: [one.difference, one.low, one.high] for m, one in found.models.items()},
    }
    what = "to be more accurate than one answer for all" if found.balanced else "to have learned anything"
    start = f"None of the {number_word(len(found.models))} models is shown {what}"
    most = max(model.accuracy.value for model in found.models)
    best = [model for model in found.models if model.accuracy.value == most]
    which = f"the most accurate on test, {spoken_list(best)}, {'gets' if len(best) == 1 else 'get'}"
    if len(found.models) == 1:
        start, which = f"The one model is not shown {what}", f"{best[0].spoken} gets"
    text = (
        f"{start}: {which} {percent(most)} of the {found.images} right, and always "
        f"naming their commonest class {percent(found.chance)}, which is not beaten beyond noise."
    )
    no_choice = "So these runs recommend nothing, whichever model scores higher."
    if len(found.models) == 1:
        no_choice = "So this run recommends nothing."
    simple = found.simple
    needed = f"{_visible(found)}; what may be missing is more epochs, another learning rate"
    needed += ", more images, or labels that the images show." if simple is None else " or more images."
    visible: dict[str, object] = {"smallest_visible": found.visible}
    if simple is not None:
        score = percent(simple.accuracy.value)
        needed += f" The labels can be told: {simple.name} gets {score}, beyond chance."
        visible["simple"] = simple.name
    references = ("tbl-headline", "fig-accuracy")
    return [
        Sentence(text, "answer.chance", evidence, references),
        Sentence(no_choice, "answer.chance.no-choice", evidence, references),
        Sentence(needed, "answer.chance.needed", visible),
        *_by_class(found),
    ]


def _by_class(found: Chance) -> list[Sentence]:
    """Say which models tell the classes apart although accuracy, which a common class rules, hides it."""
    if not found.balanced:
        return []
    does = "does" if len(found.balanced) == 1 else "do"
    text = (
        f"Where each class counts alike, {spoken_list(found.balanced)} {does} better than one answer for all "
        "beyond noise: accuracy, which the commonest class rules, hides what was learned."
    )
    recall = {model: model.mean("recall_macro") for model in found.balanced}
    return [Sentence(text, "answer.chance.by-class", recall, ("tbl-scores",))]


def _visible(found: Chance) -> str:
    """Say what lead over chance these test images would have shown."""
    if found.chance + found.visible > 1:
        return f"With {found.images} hardly any lead over chance can be seen"
    return (
        f"A lead over chance of about {points(found.visible)} would have been seen in four of five such "
        "studies with these test images"
    )


def _failed(study: Study, model: Model) -> list[str]:
    other = [record for record in study.failures if record.settings.pretrained != model.pretrained]
    return list(dict.fromkeys(study.spoken[record.run_id] for record in other))


def _nothing(study: Study) -> Nothing:
    reasons = {r.run_id: r.details.failure.message for r in study.failures if r.details.failure}
    models = list(dict.fromkeys(study.spoken[run_id] for run_id in reasons))
    return Nothing([record.run_id for record in study.failures], reasons, models)


def _missing(half: Half) -> Sentence:
    pretrained = half.model.pretrained
    if half.unlearned:
        side = "was trained from scratch" if pretrained else "started from a pretrained network"
        scores = join([f"{one.spoken} {percent(one.accuracy.value)}" for one in half.unlearned[:MOST_NAMED]])
        text = (
            f"Only one side is shown to have learned anything: what {side} reached on the test images, "
            f"{scores}, does not beat the {percent(half.chance)} of always naming their commonest class "
            "beyond noise."
        )
        return Sentence(
            text, "answer.one-side.unlearned", {"unlearned": half.unlearned, "chance": half.chance}
        )
    if half.failed:
        side = "was to train from scratch" if pretrained else "was to start from a pretrained network"
        what = f"everything that {side} failed ({join(half.failed)})"
        text = f"These runs answer only half of the question: {what}."
    elif half.runs == 1:
        does = "train a network from scratch" if pretrained else "start from a pretrained network"
        text = f"This one run answers only half of the question: it does not {does}."
    else:
        none = "trains a network from scratch" if pretrained else "starts from a pretrained network"
        text = f"These runs answer only half of the question: none of them {none}."
    return Sentence(text, "answer.one-side.missing", {"failed": half.failed})


def _known(half: Half) -> Sentence:
    model = half.model
    text = (
        f"{'What it does' if half.runs == 1 else 'What they do'} show: {model.spoken} gets "
        f"{accuracy_words(model)} of the {half.images} right{averaged(model)}{_place(half.standing)}."
    )
    found = model.accuracy
    evidence = {"model": model, "accuracy": found.value, "low": found.low, "high": found.high}
    return Sentence(text, "answer.one-side.accuracy", evidence, ("tbl-headline", "fig-accuracy"))


def _place(found: Standing) -> str:
    """Say how the best on val of one side stands to the rest of that side."""
    others = [claim.second for claim in found.claims]
    if not others:
        return ""
    if len(found.beaten) == len(others):
        scope = ", of these trained networks" if found.of_runs else ""
        return f", and does better than {spoken_list(others)} beyond noise{scope}"
    if found.ahead:
        does = "does" if len(found.ahead) == 1 else "do"
        return f", chosen on val, though on test {spoken_list(found.ahead)} {does} better beyond noise"
    if found.undecided:
        return f", though {spoken_list(found.undecided, 'or')} cannot be told from it"
    if found.equivalent:
        return f", and {spoken_list(found.equivalent)} is equivalent to it"
    return f", chosen on val from {number_word(len(others) + 1)}"


def _cost(half: Half) -> Sentence:
    model = half.model
    text = f"{opened(price_of_one(model))}; {_next(half)}."
    if model.cost is None:
        return Sentence(text, "answer.one-side.cost", {"cost": None})
    return Sentence(text, "answer.one-side.cost", bill_evidence(model), ("tbl-cost",))


def _next(half: Half) -> str:
    if half.unlearned:
        return "for the other half, give the other side more epochs, images or another learning rate"
    if half.failed:
        return "for the other half, mend the failed runs and start the experiment again"
    if half.model.pretrained:
        return "for the other half, add custom_cnn or the same network with mode scratch to the params file"
    return (
        "for the other half, add a pretrained network to the params file, such as efficientnet_lite0, which "
        "needs no download"
    )


def _nothing_finished(found: Nothing) -> list[Sentence]:
    """Say that there is no answer, why, and what to do."""
    runs = len(found.runs)
    few = {0: "no run was made", 1: "the only run failed", 2: "both runs failed"}
    which = few.get(runs, f"all {number_word(runs)} runs failed")
    next_step = (
        "Each executed notebook is kept and shows where its run stopped; with the cause mended, start the "
        "experiment again."
    )
    text = f"There is no answer yet: {which}."
    return [
        Sentence(text, "answer.failed", {"failed_runs": runs}, ("tbl-runs",)),
        Sentence(_reasons(found), "answer.failed.reason", {"reasons": found.reasons}, ("tbl-runs",)),
        Sentence(next_step, "answer.failed.next", {"runs": found.runs}),
    ]


def _reasons(found: Nothing) -> str:
    if not found.reasons:
        return "No reason was recorded."
    reasons = list(dict.fromkeys(reason.rstrip(".") for reason in found.reasons.values()))
    if len(reasons) == 1:
        return f"{opened(join(found.models))} gave the same reason: {reasons[0]}."
    return f"{opened(found.models[0])} gave as its reason: {reasons[0]}."
