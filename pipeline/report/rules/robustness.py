"""Whether the answer stands up to other ways of counting."""

from pipeline.report.evidence.interval import Interval
from pipeline.report.evidence.robustness import Recount, recounts
from pipeline.report.rules.errors import MANY
from pipeline.report.study import Study
from pipeline.report.words.english import join, opened, points, points_range, signed
from pipeline.report.words.phrases import pair_of
from pipeline.report.words.sentence import Sentence

REFERENCES = ["tbl-duplicates", "tbl-label-errors"]


def robustness(study: Study) -> list[Sentence]:
    """Count the report's main difference again, in other ways; nothing for fewer than two models."""
    pair = pair_of(study)
    if pair is None:
        return []
    test = study.test(*pair)
    first, second = pair if test.difference.value >= 0 else pair[::-1]
    twins = study.dataset.near_duplicates if study.dataset else []
    doubted = [issue.index for issue in study.label_issues]
    if len(doubted) > MANY * len(study.targets):
        doubted = []  # weak models doubt what they get wrong: leaving that out would flatter them
    found = recounts(first, second, twins, doubted)
    evidence = {
        "first": first.key,
        "second": second.key,
        "ways": {r.way: [r.difference.value, r.difference.low, r.difference.high] for r in found},
    }
    if test.distinguishable:
        text, rule = _of_a_difference(first.spoken, second.spoken, found)
    else:
        text, rule = _of_a_tie(first.spoken, second.spoken, found)
    return [Sentence(text, rule, evidence, REFERENCES)]


def _of_a_difference(first: str, second: str, found: list[Recount]) -> tuple[str, str]:
    turned = [recount for recount in found if recount.difference.low <= 0]
    if not turned:
        sizes = [f"{_size(recount.difference, i)} {recount.way}" for i, recount in enumerate(found)]
        text = f"Counted otherwise, the result stands: {first} is ahead of {second} by {join(sizes)}."
        return text, "robustness.stands"
    doubts = [f"{recount.way} ({_range(recount.difference)})" for recount in turned]
    text = (
        f"The lead of {first} over {second} does not stand up to every way of counting: it is within noise "
        f"{join(doubts)}."
    )
    return text, "robustness.falls"


def _of_a_tie(first: str, second: str, found: list[Recount]) -> tuple[str, str]:
    decided = [recount for recount in found if recount.difference.excludes_zero]
    if not decided:
        ways = [
            f"{signed(r.difference.value)}{' points' if i == 0 else ''} {r.way}" for i, r in enumerate(found)
        ]
        text = f"Counted otherwise, {first} and {second} stay level within noise: {join(ways)}."
        return text, "robustness.level"
    sizes = [f"{_range(recount.difference)} {recount.way}" for recount in decided]
    text = (
        f"{opened(first)} and {second} part only by some ways of counting ({join(sizes)}), which one report "
        "should not be trusted to choose among."
    )
    return text, "robustness.depends"


def _size(difference: Interval, place: int) -> str:
    return points(difference.value) if place == 0 else f"{100 * difference.value:.1f}"


def _range(difference: Interval) -> str:
    return points_range(difference.low, difference.high)
