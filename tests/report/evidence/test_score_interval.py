"""Intervals of one model's scores cover the truth, also with few images a class."""

import numpy as np
import pytest
from sklearn.metrics import f1_score

from pipeline.report.evidence.score_interval import f1_macro_interval, proportion_interval


def confusion(classes: int, accuracy: float) -> np.ndarray:
    """The probability of each prediction, rows true; classes are equally common and alike."""
    rows = np.full((classes, classes), (1 - accuracy) / (classes - 1))
    np.fill_diagonal(rows, accuracy)
    return rows


def drawn(rows: np.ndarray, images: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    target = rng.integers(0, len(rows), images)
    guess = (np.cumsum(rows, axis=1)[target] < rng.random(images)[:, None]).sum(axis=1)
    return target, np.minimum(guess, len(rows) - 1)


@pytest.mark.parametrize(("classes", "images"), [(2, 50), (10, 50), (10, 500), (100, 50), (100, 500)])
@pytest.mark.parametrize("accuracy", [0.6, 0.9])
def test_macro_f1_is_covered(classes: int, images: int, accuracy: float) -> None:
    """95 % less three standard errors of 150 studies; macro F1 of such classes is the accuracy."""
    rng, rows = np.random.default_rng(0), confusion(classes, accuracy)
    held = 0
    for _ in range(150):
        target, guess = drawn(rows, images, rng)
        low, high = f1_macro_interval(target, guess[None], classes)
        held += low <= accuracy <= high
    assert held / 150 >= 0.95 - 3 * np.sqrt(0.95 * 0.05 / 150)


@pytest.mark.parametrize("images", [1, 5, 20, 100])
def test_recall_is_covered_on_average(images: int) -> None:
    rng = np.random.default_rng(0)
    truth = rng.uniform(0.5, 1, 4000)
    low, high = proportion_interval(rng.binomial(images, truth), np.full(4000, images))
    assert 0.94 <= np.mean((low <= truth) & (truth <= high)) <= 1


def test_ends_are_exact_where_none_or_all_are_right() -> None:
    low, high = proportion_interval(np.array([0, 5, 0]), np.array([5, 5, 0]))
    assert low[0] == 0
    assert high[1] == 1
    assert np.isnan([low[2], high[2]]).all()


def test_interval_holds_the_measured_value_and_narrows_with_images() -> None:
    rng, widths = np.random.default_rng(1), []
    for images in (60, 600):
        target, guess = drawn(confusion(30, 0.7), images, rng)
        low, high = f1_macro_interval(target, guess[None], 30)
        assert low <= f1_score(target, guess, average="macro") <= high
        widths.append(high - low)
    assert widths[1] < widths[0] / 2


def test_all_right_and_all_wrong_have_an_interval() -> None:
    target = np.arange(50) % 5
    low, high = f1_macro_interval(target, target[None], 5)
    assert low < 0.99
    assert high == 1
    low, high = f1_macro_interval(target, (target[None] + 1) % 5, 5)
    assert low == 0
    assert 0 < high < 0.2
