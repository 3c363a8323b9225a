"""Phrases that several rules share: accuracies, differences and their tests, in words."""

from collections.abc import Callable, Sequence
from typing import Any

from pipeline.report.evidence.significance import ALPHA, PairTest
from pipeline.report.model import Model
from pipeline.report.study import Study
from pipeline.report.words.english import (
    NBSP,
    join,
    number_word,
    p_value,
    percent,
    percent_range,
    plural,
    points,
    points_range,
)

MOST_NAMED = 4  # models that a sentence calls by their names


def accuracy_words(group: Model) -> str:
    """90.0 %, with the interval: 90.0 % (95 % interval 88.6 to 91.2 %)."""
    estimate = group.accuracy
    return f"{percent(estimate.value)} (95 % interval {percent_range(estimate.low, estimate.high)})"


def averaged(*groups: Model) -> str:
    """Say what the headline figures are means of: " (mean of three seeds)"; nothing of single runs."""
    counts = {len(group.records) for group in groups}
    if counts == {1}:
        return ""
    if len(counts) == 1:
        return f" (mean of {number_word(counts.pop())} seeds)"
    return " (mean over seeds)"


def test_words(test: PairTest) -> str:
    """95 % interval 8.6 to 11.4 points, p < 0.001: the support of a difference."""
    low, high = test.difference.low, test.difference.high
    if low > 0:
        interval = f"{100 * low:.1f} to {points(high)}"
    elif high < 0:
        interval = f"{-100 * high:.1f} to {points(low)}"
    else:
        interval = points_range(low, high)
    return f"95 % interval {interval}, {p_value(test.p_holm)}"


def named_test_words(test: PairTest, pairs: int) -> str:
    """Return ``test_words`` with the names of the test and its correction, for its first mention."""
    corrected = ", Holm-corrected" if pairs > 1 else ""
    return f"{test_words(test)} by exact McNemar test{corrected}"


def tie_words(test: PairTest) -> str:
    """Say why two models cannot be told apart."""
    if not test.significant:
        if test.difference.excludes_zero:
            return f"a difference that many comparisons make by chance ({test_words(test)} Holm-corrected)"
        return f"a difference within noise ({test_words(test)})"
    weak, strong = sorted((test.first_seeds, test.second_seeds), key=lambda s: sum(s) / len(s))
    return (
        f"a difference no larger than that between seeds, which overlap "
        f"({percent_range(min(weak), max(weak))} against {percent_range(min(strong), max(strong))})"
    )


def evidence_of(test: PairTest) -> dict[str, Any]:
    """Return the numbers of a test for results.json."""
    return {
        "first": test.first,
        "second": test.second,
        "difference": test.difference.value,
        "low": test.difference.low,
        "high": test.difference.high,
        "only_first": test.only_first,
        "only_second": test.only_second,
        "p": test.p,
        "p_holm": test.p_holm,
        "alpha": ALPHA,
        "distinguishable": test.distinguishable,
    }


def sizes_differ(first: Model, second: Model) -> bool:
    """Whether two models saw the images at different sizes."""
    sizes = {group.network.input_size for group in (first, second) if group.network}
    return len(sizes) > 1


def at_size(group: Model, other: Model) -> str:
    """Return " at 128 pixels" where the two models saw the images at different sizes."""
    if group.network is None or not sizes_differ(group, other):
        return ""
    return f" at {group.network.input_size}{NBSP}pixels"


def test_images(study: Study) -> str:
    """2,000 test images."""
    return plural(len(study.targets), "test image")


def spoken_list(groups: list[Model], word: str = "and", of: Sequence[Model] = ()) -> str:
    """Name a few models and count many: a list of ten names tells nobody anything.

    ``of`` are those that they were chosen from, where a reader should know whether these are all.
    """
    if len(groups) > MOST_NAMED:
        count = number_word(len(groups))
        if of:
            count = f"all {count}" if len(groups) == len(of) else f"{count} of the {number_word(len(of))}"
        return f"{count} {'others' if word == 'or' else 'models'}"
    return join([group.spoken for group in groups], word)


def each_or_span(values: Sequence[float], show: Callable[[float], str]) -> str:
    """Say one value once, a few in the order of their models, and of many the lowest and the highest."""
    said = [show(value) for value in values]
    if len(set(said)) == 1:
        return said[0]
    if len(values) <= MOST_NAMED:
        return join(said)
    return f"{show(min(values))} to {show(max(values))}"


def pair_of(study: Study) -> tuple[Model, Model] | None:
    """Return what the report compares in detail: (best transfer, best from scratch), both by val.

    Where one side is missing, the best two models; None for fewer than two.
    """
    if study.best_transfer and study.best_scratch:
        return study.best_transfer, study.best_scratch
    ranked = sorted(study.models, key=lambda group: -group.val_accuracy)
    return (ranked[0], ranked[1]) if len(ranked) > 1 else None
