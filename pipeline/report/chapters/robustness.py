"""Whether the answer stands up to other ways of counting."""

from collections.abc import Sequence
from dataclasses import dataclass

from pipeline.report.evidence.robustness import Recount, Way
from pipeline.report.evidence.tests import Comparison
from pipeline.report.look.paragraph import Words
from pipeline.report.model import Model
from pipeline.report.study import Study
from pipeline.report.words.claims import claim
from pipeline.report.words.english import join, opened
from pipeline.report.words.numbers import points, points_range, signed
from pipeline.report.words.sentence import Sentence

WAYS: dict[Way, str] = {  # continues "ahead by 3.1 points"
    "without duplicates": "without the copies",
    "without doubted labels": "without the doubtful labels",
    "macro F1": "in macro F1",
}
SECTION = "tradeoffs"  # its place in results.json


@dataclass(frozen=True)
class Facts:
    """The report's main difference, counted in other ways."""

    first: Model  # the one that scored higher
    second: Model
    settled: bool  # whether it is beyond noise, as the report counts
    recounts: Sequence[Recount]


def facts(study: Study) -> Facts | None:
    """Count the report's main difference again; None for fewer than two models."""
    if study.pair is None or not study.learned:
        return None
    said = claim(study, *study.pair)
    first, second = study.pair if said.test.difference >= 0 else study.pair[::-1]
    return Facts(first, second, said.settled, study.recounts)


def words(study: Study) -> Words:
    """Say whether the main difference, or the tie, stands when it is counted otherwise."""
    found = facts(study)
    if found is None:
        return Words(study, [])
    text, rule = _of_a_difference(found) if found.settled else _of_a_tie(found)
    evidence = {
        "first": found.first,
        "second": found.second,
        "ways": {
            WAYS[r.way]: [r.comparison.difference, r.comparison.low, r.comparison.high]
            for r in found.recounts
        },
    }
    return Words(study, [Sentence(text, rule, evidence, ("tbl-duplicates", "tbl-label-errors"))])


def _of_a_difference(found: Facts) -> tuple[str, str]:
    first, second = found.first.spoken, found.second.spoken
    turned = [recount for recount in found.recounts if recount.comparison.verdict != "first"]
    if not turned:
        sizes = [f"{_size(r.comparison, i)} {WAYS[r.way]}" for i, r in enumerate(found.recounts)]
        text = f"Counted otherwise, the result stands: {first} is ahead of {second} by {join(sizes)}."
        return text, "robustness.stands"
    said = {
        "undecided": "it is within noise",
        "equivalent": "the two are equivalent",
        "second": f"{first} is behind",
    }
    doubts = [
        f"{said[recount.comparison.verdict]} {WAYS[recount.way]} ({_range(recount.comparison)})"
        for recount in turned
    ]
    text = f"The lead of {first} over {second} does not stand up to every way of counting: {join(doubts)}."
    return text, "robustness.falls"


def _of_a_tie(found: Facts) -> tuple[str, str]:
    first, second = found.first.spoken, found.second.spoken
    decided = [recount for recount in found.recounts if recount.comparison.distinguishable]
    if not decided:
        ways = [
            f"{signed(r.comparison.difference)}{' points' if i == 0 else ''} {WAYS[r.way]}"
            for i, r in enumerate(found.recounts)
        ]
        text = f"Counted otherwise, too, neither {first} nor {second} is better beyond noise: {join(ways)}."
        return text, "robustness.level"
    sizes = [f"{_range(recount.comparison)} {WAYS[recount.way]}" for recount in decided]
    text = (
        f"{opened(first)} and {second} part only by some ways of counting ({join(sizes)}), which one report "
        "should not be trusted to choose among."
    )
    return text, "robustness.depends"


def _size(found: Comparison, place: int) -> str:
    return points(found.difference) if place == 0 else f"{100 * found.difference:.1f}"


def _range(found: Comparison) -> str:
    if found.corrected:  # the verdict is that of the family, and so is the interval beside it
        return points_range(found.family_low, found.family_high)
    return points_range(found.low, found.high)
