"""The confidence below which an answer is unsure: what val recommends, and where it recommends none."""

import numpy as np
import pytest

from pipeline import confidence
from pipeline.record import SplitPredictions
from tests.report.made_predictions import calibrated, predictions, random_predictions, right_or_wrong


def test_coverage_falls_and_ends_empty() -> None:
    split = random_predictions(500, 4)
    curve = confidence.coverage(split)
    assert (curve.coverage[0], curve.accuracy[0]) == (1.0, pytest.approx(split.correct.mean()))
    assert np.all(np.diff(curve.coverage) <= 0)
    kept = split.probability.max(axis=1) >= curve.threshold[60]
    assert curve.coverage[60] == pytest.approx(kept.mean())
    assert curve.accuracy[60] == pytest.approx(split.correct[kept].mean())


def test_accuracy_is_unknown_where_nothing_is_kept() -> None:
    curve = confidence.coverage(predictions([0, 1], [0, 0]))
    assert np.isnan(curve.accuracy[-1])
    assert curve.coverage[-1] == 0


def wrong_from(split: SplitPredictions, least: float) -> float:
    """Return the share of wrong answers among those whose confidence, with the temperature, is ``least``."""
    scaled = confidence.scale(split, confidence.fit_temperature(split))
    return float((~scaled.correct[scaled.probability.max(axis=1) >= least]).mean())


def test_answers_are_unsure_below_the_lowest_hundredth_that_halves_the_share_of_wrong_ones() -> None:
    val, test = calibrated(4000, 1), calibrated(4000, 2)
    found = confidence.unsure_below(val)
    assert found.chosen_on_val
    half = (~val.correct).mean() / 2
    assert wrong_from(val, found.confidence) <= half < wrong_from(val, found.confidence - 0.01)
    assert wrong_from(test, found.confidence) == pytest.approx((~test.correct).mean() / 2, rel=0.1)


def test_a_network_too_sure_of_itself_is_unsure_of_the_same_images() -> None:
    found = [confidence.unsure_below(calibrated(4000, factor=factor)) for factor in (0.5, 1.0, 2.5)]
    assert np.ptp([one.confidence for one in found]) <= 0.011


@pytest.mark.parametrize(
    ("val", "reason"),
    [
        (right_or_wrong([True] * 96 + [False] * 4), "fewer than 5 answers on val are wrong"),
        (right_or_wrong([True] * 30 + [False] * 30), "no confidence halves"),  # each as sure as the other
        (random_predictions(19, 4), "no confidence halves"),  # too few would be left
    ],
)
def test_where_val_recommends_none_it_is_a_fixed_one_and_said_to_be(
    val: SplitPredictions, reason: str
) -> None:
    found = confidence.unsure_below(val)
    assert (found.confidence, found.chosen_on_val) == (confidence.SURE, False)
    assert found.reason.startswith(reason)
