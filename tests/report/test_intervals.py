"""Intervals equal published ones, cover what they claim, and are fast."""

import numpy as np
import pytest
from scipy import stats

from pipeline.record import SplitPredictions
from pipeline.report.evidence import interval
from tests.report.made_predictions import right_or_wrong


def accuracy(seeds: list[SplitPredictions]) -> interval.Score:
    return interval.accuracy(np.stack([seed.correct for seed in seeds]))


@pytest.mark.parametrize(("right", "images"), [(81, 263), (15, 148), (0, 20), (29, 29), (9400, 10000)])
def test_wilson_equals_that_of_scipy(right: int, images: int) -> None:
    expected = stats.binomtest(right, images).proportion_ci(method="wilson")
    assert interval.wilson(right, images) == (
        pytest.approx(expected.low, abs=1e-9),
        pytest.approx(expected.high, abs=1e-9),
    )


def test_wilson_equals_the_examples_of_newcombe_1998() -> None:
    # Statistics in Medicine 17:857, table I, method 3
    low, high = interval.wilson(np.array([81, 15, 0, 1]), np.array([263, 148, 20, 29]))
    assert low.round(4).tolist() == [0.2553, 0.0624, 0.0, 0.0061]
    assert high.round(4).tolist() == [0.3662, 0.1605, 0.1611, 0.1718]


def test_difference_of_shares_equals_the_example_of_newcombe_1998() -> None:
    """56 of 70 against 48 of 80, his method 10."""
    found = interval.difference_of_shares(56 / 70, 70, 48 / 80, 80)
    assert (found.value, found.low, found.high) == pytest.approx((0.2, 0.0524, 0.3339), abs=5e-5)


def test_one_seed_has_a_wilson_interval() -> None:
    found = accuracy([right_or_wrong([True] * 90 + [False] * 10)])
    assert (found.value, found.method, found.deviation) == (0.9, "Wilson", None)
    assert (found.low, found.high) == (pytest.approx(0.8256, abs=1e-4), pytest.approx(0.9448, abs=1e-4))


def test_several_seeds_have_the_interval_of_their_mean_and_a_spread_apart() -> None:
    rng = np.random.default_rng(1)
    seeds = [right_or_wrong(rng.random(2000) < 0.8) for _ in range(3)]
    found = accuracy(seeds)
    correct = np.mean([seed.correct for seed in seeds], axis=0)
    half = 1.96 * correct.std() / np.sqrt(2000)
    assert found.value == pytest.approx(correct.mean())
    assert (found.high - found.low) / 2 == pytest.approx(half, rel=0.1)
    assert found.spread == (min(found.per_seed), max(found.per_seed))
    assert found.deviation == pytest.approx(np.std(found.per_seed, ddof=1))


def test_seeds_that_are_all_right_still_have_an_interval() -> None:
    found = accuracy([right_or_wrong([True] * 50)] * 2)
    assert (found.value, found.high) == (1.0, pytest.approx(1.0))
    assert 0.9 < found.low < 0.95


def test_trainings_that_differ_more_than_by_noise_widen_the_interval() -> None:
    rng = np.random.default_rng(2)
    alike = accuracy([right_or_wrong(rng.random(2000) < 0.8) for _ in range(4)])
    unlike = accuracy([right_or_wrong(rng.random(2000) < share) for share in (0.7, 0.77, 0.83, 0.9)])
    assert unlike.high - unlike.low > 3 * (alike.high - alike.low)
    assert unlike.low < unlike.value < unlike.high


@pytest.mark.slow
def test_intervals_hold_the_truth_as_often_as_they_say() -> None:
    rng = np.random.default_rng(5)
    held = 0
    for _ in range(300):
        easy = rng.random(400)
        seeds = [right_or_wrong(rng.random(400) < 0.6 + 0.4 * easy) for _ in range(2)]
        found = accuracy(seeds)
        held += found.low <= 0.8 <= found.high
    assert 0.91 <= held / 300 <= 0.99


def test_split_without_probability_columns_is_not_needed() -> None:
    split = SplitPredictions(np.arange(4), np.array([0, 1, 0, 1]), np.eye(2, dtype=np.float32)[[0, 1, 1, 1]])
    assert interval.mean_correct([split]).tolist() == [1, 1, 0, 1]
