"""One temperature, fitted on val, for who reads a run: the report, and who asks the network again.

Temperature scaling as in Guo et al. 2017 (arXiv 1706.04599).
"""

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax

from pipeline.record import SplitPredictions

SMALLEST = 1e-12  # probabilities of 0 in float32 are taken for this
SURE = 0.9  # a confidence to act on: the report says what share of answers reaches it, and is right


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
