"""Intervals equal published ones, cover what they claim, and are fast."""

import time

import numpy as np
import pytest
from scipy import stats
from sklearn.metrics import f1_score

from pipeline.record import SplitPredictions
from pipeline.report.evidence import interval
from pipeline.report.evidence.scores import metrics
from tests.report.made_predictions import random_predictions, right_or_wrong


def accuracy(seeds: list[SplitPredictions]) -> interval.Score:
    return interval.accuracy(interval.mean_correct(seeds), [metrics(seed).accuracy for seed in seeds])


def f1_macro(split: SplitPredictions) -> interval.Score:
    drawn = interval.resampled_f1([split])
    return interval.f1_macro(drawn, [metrics(split).f1_macro], len(split.target))


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


def test_f1_names_the_method_that_its_interval_comes_from() -> None:
    right = right_or_wrong([True] * 50)
    assert f1_macro(right).method == "Wilson"
    assert f1_macro(random_predictions(50, 3)).method == "bootstrap"


def test_resampled_f1_equals_that_of_scikit_learn_on_each_resample() -> None:
    split = random_predictions(60, 12)
    found = interval.resampled_f1([split])
    draws = interval.resamples(60).astype(int)
    for column in range(5):
        rows = np.repeat(np.arange(60), draws[:, column])
        expected = f1_score(split.target[rows], split.predicted[rows], average="macro", zero_division=0)
        assert found[column] == pytest.approx(expected, abs=1e-6)


def test_bootstrap_of_f1_agrees_with_that_of_scipy() -> None:
    split = random_predictions(800, 5)
    found = f1_macro(split)

    def score(rows: np.ndarray) -> float:
        return float(f1_score(split.target[rows], split.predicted[rows], average="macro", zero_division=0))

    expected = stats.bootstrap(
        (np.arange(800),), score, n_resamples=400, vectorized=False, method="percentile", rng=0
    ).confidence_interval
    assert found.low == pytest.approx(expected.low, abs=0.01)
    assert found.high == pytest.approx(expected.high, abs=0.01)
    assert found.low < found.value < found.high


def test_each_resample_draws_as_many_images_as_there_are() -> None:
    assert set(interval.resamples(37).sum(axis=0).tolist()) == {37.0}


def test_the_same_images_give_the_same_interval_every_time() -> None:
    split = random_predictions(300, 4)
    first = f1_macro(split)
    interval.resamples.cache_clear()
    assert f1_macro(split) == first


@pytest.mark.slow
def test_bootstrap_of_ten_thousand_images_in_a_hundred_classes_is_fast() -> None:
    split = random_predictions(10_000, 100)
    interval.resamples.cache_clear()
    started = time.process_time()
    f1_macro(split)
    assert time.process_time() - started < 4  # 2 s on an idle machine


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
