"""Who is more accurate than whom, and which differences are noise."""

import numpy as np

from pipeline.report.model import Model
from pipeline.report.study import Study
from pipeline.report.words.english import (
    join,
    number_word,
    opened,
    percent,
    percent_range,
    plural,
    points,
)
from pipeline.report.words.phrases import MOST_NAMED, evidence_of, spoken_list
from pipeline.report.words.sentence import Sentence

F1_APART = 0.02  # macro F1 this far from accuracy is worth a sentence


def accuracy(study: Study) -> list[Sentence]:
    """Argue the headline: range, leader, ties, macro F1, seeds."""
    if not study.models:
        return []
    found = [_range(study), _chance(study), _leader(study), _ties(study), _macro_f1(study), _seeds(study)]
    return [sentence for sentence in found if sentence]


def _range(study: Study) -> Sentence:
    ranked = sorted(study.models, key=lambda group: group.accuracy.value)
    low, high = ranked[0], ranked[-1]
    evidence = {group.key: group.accuracy.value for group in study.models}
    references = ["tbl-headline", "fig-accuracy"]
    if low is high:
        estimate = low.accuracy
        text = (
            f"{opened(low.spoken)} gets {percent(estimate.value)} of the test images right; other images of "
            f"the same kind could have given {percent_range(estimate.low, estimate.high)}."
        )
        return Sentence(text, "accuracy.one", evidence, references)
    if percent(low.accuracy.value) == percent(high.accuracy.value):
        text = f"{opened(spoken_list(study.models))} reach the same {percent(low.accuracy.value)} on test."
        return Sentence(text, "accuracy.same", evidence, references)
    text = (
        f"Test accuracy runs from {percent(low.accuracy.value)} ({low.spoken}) to "
        f"{percent(high.accuracy.value)} ({high.spoken})."
    )
    return Sentence(text, "accuracy.range", evidence, references)


def _chance(study: Study) -> Sentence:
    """State the accuracy of always answering the commonest class of the test images."""
    share = float(np.bincount(study.targets).max() / len(study.targets))
    below = [group for group in study.models if group.accuracy.low <= share]
    text = f"Always naming the commonest class would score {percent(share)}"
    if below:
        does = "does" if len(below) == 1 else "do"
        text += f", which {spoken_list(below)} {does} not beat beyond noise"
    return Sentence(
        f"{text}.", "accuracy.chance", {"share": share, "not_above": [g.key for g in below]}, ["tbl-headline"]
    )


def _leader(study: Study) -> Sentence | None:
    leader = study.best
    if leader is None or len(study.models) < 2:
        return None
    others = [group for group in study.models if group is not leader]
    tests = [study.test(leader, other) for other in others]
    evidence = {"leader": leader.key, "tests": [evidence_of(test) for test in tests]}
    ahead = [g for g, t in zip(others, tests, strict=True) if t.distinguishable and t.difference.value > 0]
    behind = [g for g, t in zip(others, tests, strict=True) if t.distinguishable and t.difference.value < 0]
    level = [group for group in others if group not in ahead and group not in behind]
    text = f"{opened(leader.spoken)}, the best on val, {_standing(ahead, behind, level)}."
    return Sentence(text, "accuracy.leader", evidence, ["tbl-tests"])


def _standing(ahead: list[Model], behind: list[Model], level: list[Model]) -> str:
    if not behind and not level:
        rest = "the other model" if len(ahead) == 1 else f"each of the other {number_word(len(ahead))} models"
        return f"is more accurate on test than {rest} beyond noise"
    parts = []
    if level:
        parts.append(f"cannot be told from {spoken_list(level, 'or')} on test")
    if behind:
        parts.append(f"is less accurate on test than {spoken_list(behind)} beyond noise")
    if ahead:
        parts.append(f"is more accurate than {_rest(ahead)} beyond noise")
    return join(parts, "but")


def _rest(groups: list[Model]) -> str:
    return spoken_list(groups) if len(groups) <= MOST_NAMED else f"the other {number_word(len(groups))}"


def _ties(study: Study) -> Sentence | None:
    """Count the pairs that differ beyond noise and name those that do not."""
    tests = study.tests
    if len(tests) < 2:
        return None
    tied = [test for test in tests if not test.distinguishable]
    evidence = {"pairs": len(tests), "ties": [evidence_of(test) for test in tied]}
    if not tied:
        text = f"All {number_word(len(tests))} pairs of models differ beyond noise"
    elif len(tied) == len(tests):
        text = f"None of the {number_word(len(tests))} pairs of models can be told apart"
    else:
        names = [_pair(study, test.first, test.second) for test in tied[:MOST_NAMED]]
        more = len(tied) - len(names)
        names += [plural(more, "other pair")] if more else []
        cannot = "those that do not are" if len(tied) > 1 else "the one that does not is"
        differ = len(tests) - len(tied)
        text = (
            f"Of the {number_word(len(tests))} pairs of models, {number_word(differ)} "
            f"{'differs' if differ == 1 else 'differ'} beyond noise; {cannot} {'; '.join(names)}"
        )
    text += " (exact McNemar test at 5 %, Holm-corrected)."
    return Sentence(text, "accuracy.ties", evidence, ["tbl-tests"])


def _pair(study: Study, first: str, second: str) -> str:
    return f"{study.model(first).spoken} and {study.model(second).spoken}"


def _macro_f1(study: Study) -> Sentence | None:
    """Point at the model whose macro F1 is furthest from its accuracy, where that is far."""
    group = max(study.models, key=lambda g: abs(g.f1_macro.value - g.accuracy.value))
    gap = group.f1_macro.value - group.accuracy.value
    if abs(gap) < F1_APART:
        return None
    side = "below" if gap < 0 else "above"
    text = (
        f"Macro F1, in which every class counts alike, is {points(gap)} {side} accuracy for {group.spoken} "
        f"({percent(group.f1_macro.value)}): its errors fall unevenly on the classes."
    )
    evidence = {"model": group.key, "f1_macro": group.f1_macro.value, "accuracy": group.accuracy.value}
    return Sentence(text, "accuracy.macro-f1", evidence, ["tbl-headline"])


def _seeds(study: Study) -> Sentence | None:
    several = [group for group in study.models if len(group.records) > 1]
    if not several:
        return None
    widest = max(several, key=lambda g: g.accuracy.spread[1] - g.accuracy.spread[0])
    low, high = widest.accuracy.spread
    evidence = {group.key: list(group.accuracy.per_seed) for group in several}
    text = (
        f"From seed to seed, accuracy moves by {points(high - low)} at most ({widest.spoken}, "
        f"{percent_range(low, high)}); the intervals allow for other test images, but not for that."
    )
    return Sentence(text, "accuracy.seeds", evidence, ["fig-accuracy"])
