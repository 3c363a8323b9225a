"""Scores of images average to the score of the model."""

import numpy as np
import pytest
from sklearn.metrics import f1_score

from pipeline.report.evidence.per_image import calibration_scores, f1_scores
from pipeline.report.evidence.tests import compare_scores


@pytest.mark.parametrize(("classes", "images"), [(2, 50), (10, 300), (100, 60)])
def test_f1_scores_average_to_scikit_learns_macro_f1(classes: int, images: int) -> None:
    rng = np.random.default_rng(0)
    target = rng.integers(0, classes, images)
    predicted = np.where(rng.random((3, images)) < 0.7, target, rng.integers(0, classes, (3, images)))
    found = f1_scores(target, predicted, classes).mean(axis=1)
    assert found == pytest.approx([f1_score(target, guess, average="macro") for guess in predicted])


def test_spread_of_f1_scores_is_that_of_macro_f1_over_images() -> None:
    """The delta method against a bootstrap."""
    rng = np.random.default_rng(0)
    target = rng.integers(0, 4, 500)
    predicted = np.where(rng.random(500) < 0.7, target, rng.integers(0, 4, 500))
    draws = rng.integers(0, 500, (200, 500))
    drawn = [f1_score(target[rows], predicted[rows], average="macro") for rows in draws]
    scores = f1_scores(target, predicted[None], 4)
    assert scores.std() / np.sqrt(500) == pytest.approx(np.std(drawn), rel=0.25)


def test_calibration_scores_average_to_the_ece() -> None:
    confidence = np.array([[0.95, 0.95, 0.55, 0.55]])
    correct = np.array([[True, False, True, True]])
    found = calibration_scores(confidence, correct)
    assert found.mean(axis=1) == pytest.approx([0.5 * 0.45 + 0.5 * 0.45])


def test_equal_models_are_not_told_apart_by_macro_f1() -> None:
    rng = np.random.default_rng(1)
    target = rng.integers(0, 5, 300)
    models = {
        name: f1_scores(target, np.where(rng.random((3, 300)) < 0.8, target, rng.integers(0, 5, (3, 300))), 5)
        for name in "ab"
    }
    found = compare_scores(models, span=1.0)[0]
    assert found.verdict == "undecided"
    assert found.low < 0 < found.high
