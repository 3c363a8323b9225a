"""Calibration is that of its definition, temperatures are found again, chance is told from error."""

import numpy as np
import pytest

from pipeline.record import SplitPredictions
from pipeline.report.evidence import calibration
from tests.report.made_predictions import calibrated, random_predictions


def test_ece_is_the_mean_gap_of_fifteen_equal_bins() -> None:
    split = random_predictions(2000, 6)
    confidence = split.probability.max(axis=1).astype(float)
    expected = 0.0
    for k in range(15):
        inside = (k / 15 < confidence) & (confidence <= (k + 1) / 15)
        if inside.any():
            gap = split.correct[inside].mean() - confidence[inside].mean()
            expected += inside.mean() * abs(gap)
    assert calibration.reliability(split).ece == pytest.approx(expected, abs=1e-6)


def test_log_loss_equals_that_of_scikit_learn() -> None:
    from sklearn.metrics import log_loss

    split = random_predictions(500, 5)
    normalised = split.probability.astype(float)
    normalised /= normalised.sum(axis=1, keepdims=True)
    expected = log_loss(split.target, normalised, labels=range(5))
    assert calibration.reliability(split).log_loss == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("factor", [0.5, 1.0, 2.5])
def test_temperature_scaling_finds_the_factor_of_the_logits(factor: float) -> None:
    assert calibration.fit_temperature(calibrated(8000, factor=factor)) == pytest.approx(factor, rel=0.06)


def test_overconfidence_is_seen_and_mended() -> None:
    val, test = calibrated(3000, 1, factor=2.5), calibrated(3000, 2, factor=2.5)
    found = calibration.calibrate(val, test)
    assert found.before.p < 0.05
    assert found.before.gap.low > 0
    assert found.after.p >= 0.05
    assert found.after.ece < found.before.ece
    assert found.log_loss_gain.low > 0
    assert found.gain_p < 0.05


def test_underconfidence_has_a_negative_gap() -> None:
    found = calibration.reliability(calibrated(3000, factor=0.4))
    assert found.gap.high < 0


def test_perfect_calibration_passes_for_such_about_nineteen_times_in_twenty() -> None:
    found = [calibration.reliability(calibrated(400, seed)) for seed in range(60)]
    assert 0.85 <= np.mean([each.p >= 0.05 for each in found]) <= 1.0
    assert all(each.ece_expected < each.ece_limit for each in found)


def test_scaling_keeps_the_predicted_class() -> None:
    split = random_predictions(300, 5)
    for temperature in (0.3, 3.0):
        assert np.array_equal(calibration.scale(split, temperature).predicted, split.predicted)


def test_certain_and_wrong_is_finite() -> None:
    probability = np.array([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]], np.float32)
    split = SplitPredictions(np.arange(3), np.array([1, 0, 1]), probability)
    found = calibration.calibrate(split, split)
    assert np.isfinite(found.before.log_loss)
    assert 1 / 20 <= found.temperature <= 20


def test_bins_hold_every_image_once() -> None:
    split = random_predictions(700, 3)
    bins = calibration.reliability(split).bins
    assert bins.count.sum() == 700
    assert (bins.count * bins.accuracy).sum() / 700 == pytest.approx(split.correct.mean())
    assert np.all((bins.low <= bins.accuracy) & (bins.accuracy <= bins.high))


def test_meaning_counts_predictions_near_a_confidence() -> None:
    probability = np.array([[0.9, 0.1], [0.93, 0.07], [0.87, 0.13], [0.6, 0.4]], np.float32)
    split = SplitPredictions(np.arange(4), np.array([0, 0, 1, 0]), probability)
    found = calibration.meaning(split, 0.9)
    assert found is not None
    assert (found.images, found.accuracy.value) == (3, pytest.approx(2 / 3))
    assert calibration.meaning(split, 0.2) is None
