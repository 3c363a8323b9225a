"""What a model's probabilities are worth: calibration, and what temperature scaling mends.

Confidence is the probability of the predicted class. Expected calibration error with 15 bins of
equal width and temperature scaling as in Guo et al. 2017 (arXiv 1706.04599).
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy.special import stdtr, stdtrit

from pipeline.confidence import SMALLEST, fit_temperature, scale
from pipeline.record import SplitPredictions
from pipeline.report.evidence.interval import BOOTSTRAP_SEED, RESAMPLES, Interval, wilson
from pipeline.report.evidence.tests import ALPHA

BINS = 15
NEAR = 0.05  # half width of "a confidence of about 0.9"


@dataclass(frozen=True)
class Bins:
    """A reliability diagram: arrays over the bins that hold images, lowest confidence first."""

    count: np.ndarray
    confidence: np.ndarray  # mean of the bin
    accuracy: np.ndarray
    low: np.ndarray  # Wilson interval of the accuracy
    high: np.ndarray


@dataclass(frozen=True)
class Reliability:
    """How well confidence meets accuracy, of one set of probabilities."""

    ece: float
    ece_expected: float  # the mean ECE of a perfectly calibrated model with these confidences
    ece_limit: float  # which 95 % of such models stay below
    p: float  # how often a perfectly calibrated model has an ECE as high as this
    gap: Interval  # mean confidence - accuracy: positive is overconfident
    log_loss: float  # nats
    bins: Bins


@dataclass(frozen=True)
class Calibration:
    """Calibration on test as it is, and with one temperature fitted on val."""

    before: Reliability
    after: Reliability
    temperature: float  # above 1: the model was too sure of itself
    log_loss_gain: Interval  # paired, on test, nats: positive where scaling helps
    gain_p: float  # that it is none


@dataclass(frozen=True)
class Meaning:
    """How often predictions of about one confidence were right, with a Wilson interval."""

    confidence: float
    images: int
    accuracy: Interval


def calibrate(val: SplitPredictions, test: SplitPredictions) -> Calibration:
    """Fit a temperature on val and measure calibration on test without and with it."""
    temperature = fit_temperature(val)
    scaled = scale(test, temperature)
    gain = _log_losses(test) - _log_losses(scaled)
    return Calibration(reliability(test), reliability(scaled), temperature, _mean_interval(gain), _p(gain))


def reliability(split: SplitPredictions) -> Reliability:
    """Measure calibration, and what chance alone would show in a perfectly calibrated model."""
    confidence, correct = _confidence(split), split.correct
    bin_of = _bin_of(confidence)
    ece = _ece(confidence - correct, bin_of)
    simulated = _perfect_eces(confidence, bin_of)
    return Reliability(
        ece=ece,
        ece_expected=float(simulated.mean()),
        ece_limit=float(np.quantile(simulated, 1 - ALPHA)),
        p=float((1 + (simulated >= ece).sum()) / (1 + len(simulated))),
        gap=_mean_interval(confidence - correct),
        log_loss=float(_log_losses(split).mean()),
        bins=_bins(confidence, correct, bin_of),
    )


def meaning(split: SplitPredictions, confidence: float = 0.9) -> Meaning | None:
    """Return how often predictions of about this confidence (± 0.05) are right; None without any."""
    near = np.abs(_confidence(split) - confidence) <= NEAR
    images, right = int(near.sum()), int(split.correct[near].sum())
    if not images:
        return None
    low, high = wilson(right, images)
    return Meaning(confidence, images, Interval(right / images, float(low), float(high)))


def _confidence(split: SplitPredictions) -> np.ndarray:
    return split.probability.max(axis=1).astype(np.float64)


def _bin_of(confidence: np.ndarray) -> np.ndarray:
    """Return each image's bin; bins are open below and closed above, as in Guo et al."""
    return np.clip(np.ceil(confidence * BINS).astype(int) - 1, 0, BINS - 1)


def _ece(excess: np.ndarray, bin_of: np.ndarray) -> float:
    return float(np.abs(np.bincount(bin_of, excess, BINS)).sum() / len(excess))


def _perfect_eces(confidence: np.ndarray, bin_of: np.ndarray) -> np.ndarray:
    """Return the ECE of models that are right as often as they say (consistency resampling).

    Vaicenavicius et al. 2019, arXiv 1902.06977. Float [RESAMPLES].
    """
    chance = confidence.astype(np.float32)
    return np.array([_ece(confidence - (row < chance), bin_of) for row in _uniform(len(chance))])


@lru_cache(maxsize=1)
def _uniform(images: int) -> np.ndarray:
    """Return numbers between 0 and 1 to decide what is right, float32 [RESAMPLES, images].

    The same for every model: drawing them takes longer than all that is done with them.
    """
    drawn = np.random.default_rng(BOOTSTRAP_SEED).random((RESAMPLES, images), np.float32)
    drawn.setflags(write=False)
    return drawn


def _bins(confidence: np.ndarray, correct: np.ndarray, bin_of: np.ndarray) -> Bins:
    count = np.bincount(bin_of, minlength=BINS)
    filled = count > 0
    count = count[filled]
    right = np.bincount(bin_of, correct, BINS)[filled]
    low, high = wilson(right, count)
    return Bins(count, np.bincount(bin_of, confidence, BINS)[filled] / count, right / count, low, high)


def _log_losses(split: SplitPredictions) -> np.ndarray:
    chance = split.probability[np.arange(len(split.target)), split.target]
    return -np.log(np.maximum(chance, SMALLEST, dtype=np.float64))


def _p(values: np.ndarray) -> float:
    """Return p of a mean of zero, by Student's t."""
    spare = max(1, len(values) - 1)
    mean, error = float(values.mean()), float(values.std() / np.sqrt(spare))
    return float(2 * stdtr(spare, -abs(mean) / error)) if error > 0 else float(mean == 0)


def _mean_interval(values: np.ndarray) -> Interval:
    """Return the mean of per-image values with its 95 % interval by the t distribution."""
    spare = max(1, len(values) - 1)
    half = float(stdtrit(spare, 1 - ALPHA / 2) * values.std() / np.sqrt(spare))
    mean = float(values.mean())
    return Interval(mean, mean - half, mean + half)
