"""Scores image by image whose mean is macro F1, the Brier score or the calibration error of a model.

What is no mean of images is made one by its influence values (the delta method), so that
``tests.compare_scores`` covers images and trainings in the same way for all. Arrays are [seeds, images].
"""

import numpy as np

BINS = 15


def f1_scores(target: np.ndarray, predicted: np.ndarray, classes: int) -> np.ndarray:
    """Return scores [seeds, images] whose mean over images is each seed's macro F1.

    ``target`` is int [images], ``predicted`` int [seeds, images]. As in scikit-learn, a class that is neither
    in the targets nor predicted is left out.
    """
    return np.stack([_f1_of_seed(target, guess, classes) for guess in predicted])


def _f1_of_seed(target: np.ndarray, guess: np.ndarray, classes: int) -> np.ndarray:
    right = np.bincount(target[target == guess], minlength=classes)
    cases = np.bincount(target, minlength=classes) + np.bincount(guess, minlength=classes)
    present = cases > 0
    f1 = np.divide(2 * right, cases, out=np.zeros(classes), where=present)
    weight = np.divide(len(target), cases, out=np.zeros(classes), where=present) / present.sum()
    both = 2.0 * (target == guess) * weight[target]
    return f1[present].mean() + both - (f1 * weight)[target] - (f1 * weight)[guess]


def recall_scores(target: np.ndarray, predicted: np.ndarray) -> np.ndarray:
    """Return scores [seeds, images] whose mean over images is each seed's macro recall, balanced accuracy."""
    counts = np.bincount(target)
    weight = np.divide(len(target), counts, out=np.zeros(len(counts)), where=counts > 0) / np.sum(counts > 0)
    return np.asarray((predicted == target) * weight[target])


def calibration_scores(confidence: np.ndarray, correct: np.ndarray) -> np.ndarray:
    """Return scores whose mean over images is each seed's expected calibration error, 15 equal bins.

    ``confidence`` is float and ``correct`` bool, [seeds, images]. With few images in a bin the error is
    overestimated, for either model.
    """
    return np.stack([_calibration_of_seed(*each) for each in zip(confidence, correct, strict=True)])


def _calibration_of_seed(confidence: np.ndarray, correct: np.ndarray) -> np.ndarray:
    bin_of = np.clip(np.ceil(confidence * BINS).astype(int) - 1, 0, BINS - 1)
    gap = confidence.astype(np.float64) - correct
    return np.sign(np.bincount(bin_of, gap, minlength=BINS))[bin_of] * gap
