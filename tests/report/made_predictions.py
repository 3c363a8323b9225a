"""Predictions from a few numbers, for tests of the arithmetic."""

from collections.abc import Sequence

import numpy as np
from scipy.special import softmax

from pipeline.record import SplitPredictions


def predictions(target: Sequence[int], predicted: Sequence[int], classes: int = 0) -> SplitPredictions:
    """Return predictions that give ``predicted`` a probability of 0.6 or more."""
    classes = classes or int(max(*target, *predicted)) + 1
    probability = np.full((len(target), classes), 0.4 / max(classes - 1, 1), np.float32)
    probability[np.arange(len(target)), predicted] = 0.6
    return SplitPredictions(np.arange(len(target)), np.asarray(target, np.int64), probability)


def right_or_wrong(correct: Sequence[bool] | np.ndarray) -> SplitPredictions:
    """Return predictions in two classes, all of class 0, that are right where ``correct`` says so."""
    return predictions([0] * len(correct), [0 if right else 1 for right in correct], 2)


def random_predictions(images: int, classes: int, seed: int = 0, sharpness: float = 2.0) -> SplitPredictions:
    """Return predictions that lean to the true class."""
    rng = np.random.default_rng(seed)
    target = rng.integers(0, classes, images)
    logits = rng.normal(size=(images, classes))
    logits[np.arange(images), target] += 1.5
    exponent = np.exp(sharpness * logits)
    probability = (exponent / exponent.sum(axis=1, keepdims=True)).astype(np.float32)
    return SplitPredictions(np.arange(images), target, probability)


def calibrated(images: int, seed: int = 0, factor: float = 1.0) -> SplitPredictions:
    """Return predictions that are right as often as they say, before their logits are multiplied."""
    rng = np.random.default_rng(seed)
    logits = 2 * rng.normal(size=(images, 4))
    probability = softmax(logits, axis=1)
    target = (rng.random((images, 1)) > probability.cumsum(axis=1)).sum(axis=1)
    return SplitPredictions(np.arange(images), target, softmax(factor * logits, axis=1).astype(np.float32))
