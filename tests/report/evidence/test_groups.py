"""Images that belong together count together in intervals and verdicts."""

import numpy as np
import pandas as pd
import pytest

from pipeline.report.evidence import interval, tests
from pipeline.report.evidence.groups import FEWEST
from pipeline.report.evidence.groups import groups as measured
from pipeline.report.evidence.variance import Scores

GROUPS, EACH = 60, 10


def alike(accuracy: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """One run whose answers are the same on all images of a group: as sure as so many groups."""
    right = np.random.default_rng(seed).random(GROUPS) < accuracy
    return np.repeat(right, EACH)[None], np.repeat(np.arange(GROUPS), EACH)


def test_mean_is_that_of_the_images_whatever_the_sizes_of_groups() -> None:
    random = np.random.default_rng(0)
    scores, groups = random.random((2, 300)), random.integers(0, 40, 300)

    assert Scores.of(scores, groups).mean.mean() == pytest.approx(scores.mean())


def test_copies_in_groups_are_worth_no_more_than_their_groups() -> None:
    correct, groups = alike(0.8, 1)

    single = interval.accuracy(correct[:, ::EACH])
    found = interval.accuracy(correct, groups)

    assert found.value == single.value
    assert found.high - found.low == pytest.approx(single.high - single.low, rel=0.08)
    assert found.high - found.low > 2.5 * (interval.accuracy(correct).high - interval.accuracy(correct).low)


def test_intervals_hold_the_truth_over_groups_and_without_them_do_not() -> None:
    truth, held, naive = 0.8, 0, 0
    for seed in range(200):
        correct, groups = alike(truth, seed)
        one, other = interval.accuracy(correct, groups), interval.accuracy(correct)
        held += one.low <= truth <= one.high
        naive += other.low <= truth <= other.high

    assert held >= 184
    assert naive < 140


def test_equal_models_are_seldom_called_different_over_groups() -> None:
    claims = 0
    for seed in range(200):
        (first, groups), (second, _) = alike(0.8, seed), alike(0.8, 1000 + seed)
        claims += tests.compare({"a": first, "b": second}, groups=groups)[0].distinguishable

    assert claims <= 20


def test_what_images_are_worth_is_not_told_of_a_few_groups() -> None:
    correct, codes = alike(0.8, 1)
    images = pd.DataFrame({"split": "test", "group": codes})
    worth = measured("patient", images, correct, codes).worth_images
    assert worth == pytest.approx(GROUPS, rel=0.1)
    few = codes < FEWEST - 1
    assert measured("patient", images[few], correct[:, few], codes[few]).worth_images is None
