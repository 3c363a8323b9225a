"""What val makes of a network's confidence, for who reads a run: the report, and who asks the network again.

One temperature (Guo et al. 2017, arXiv 1706.04599), and the confidence below which an answer is unsure, read
off the curve of risk against coverage as in selective classification (Geifman & El-Yaniv 2017, arXiv
1705.08500).
"""

from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax

from pipeline.record import SplitPredictions

SMALLEST = 1e-12  # probabilities of 0 in float32 are taken for this
SURE = 0.9  # a high confidence; the one to act on where val recommends none
FEWEST_WRONG = 5  # wrong answers on val, below which half of them is no number to choose by
FEWEST_KEPT = 20  # answers on val that a recommended confidence must leave


@dataclass(frozen=True)
class Coverage:
    """What remains above each confidence threshold: arrays [thresholds]; accuracy NaN where nothing."""

    threshold: np.ndarray
    coverage: np.ndarray
    accuracy: np.ndarray


@dataclass(frozen=True)
class UnsureBelow:
    """The confidence, with the temperature, below which an answer is unsure, and why it is this one."""

    confidence: float
    chosen_on_val: bool
    reason: str


def fit_temperature(split: SplitPredictions) -> float:
    """Return the temperature, 1/20 to 20, that minimises the log loss of ``split``."""
    logits = np.log(np.maximum(split.probability, SMALLEST, dtype=np.float64))
    rows = np.arange(len(logits))

    def log_loss(log_temperature: float) -> float:
        return -float(log_softmax(logits / np.exp(log_temperature), axis=1)[rows, split.target].mean())

    limit = np.log(20.0)
    return float(np.exp(minimize_scalar(log_loss, bounds=(-limit, limit), method="bounded").x))


def scale(split: SplitPredictions, temperature: float) -> SplitPredictions:
    """Return the same predictions with probabilities sharpened (below 1) or softened (above 1)."""
    logits = np.log(np.maximum(split.probability, SMALLEST, dtype=np.float64))
    probability = np.exp(log_softmax(logits / temperature, axis=1))
    return SplitPredictions(split.index, split.target, probability)


def coverage(split: SplitPredictions, steps: int = 100) -> Coverage:
    """Return share and accuracy of the predictions whose confidence reaches 0, 1/steps, ..., 1."""
    threshold = np.round(np.linspace(0, 1, steps + 1), 6)
    confidence = split.probability.max(axis=1).astype(np.float64)
    order = np.argsort(confidence, kind="stable")
    right_from = np.append(np.cumsum(split.correct[order][::-1])[::-1], 0)
    first = np.searchsorted(confidence[order], threshold, side="left")
    kept = len(confidence) - first
    accuracy = np.divide(right_from[first], kept, out=np.full(len(kept), np.nan), where=kept > 0)
    return Coverage(threshold, kept / len(confidence), accuracy)


def unsure_below(val: SplitPredictions) -> UnsureBelow:
    """Return the confidence below which answers are unsure, as the coverage curve of val recommends it.

    It is the lowest hundredth, with the temperature fitted on ``val``, that leaves at most half the share of
    wrong answers that there is among all. Where fewer than FEWEST_WRONG answers are wrong, or no
    hundredth does so for FEWEST_KEPT answers, it is SURE.
    """
    wrong = int((~val.correct).sum())
    if wrong < FEWEST_WRONG:
        return UnsureBelow(SURE, False, f"fewer than {FEWEST_WRONG} answers on val are wrong")
    curve = coverage(scale(val, fit_temperature(val)))
    enough = np.round(curve.coverage * len(val.target)) >= FEWEST_KEPT
    halved = enough & (1 - np.nan_to_num(curve.accuracy) <= wrong / len(val.target) / 2)
    if not halved.any():
        return UnsureBelow(SURE, False, "no confidence halves the share of wrong answers on val")
    lowest = float(curve.threshold[np.flatnonzero(halved)[0]])
    return UnsureBelow(lowest, True, "it halves the share of wrong answers on val")
