"""How sure a score is: 95 % intervals over test images, and over trainings where there are several.

Seeds vary initialisation, data order and augmentation together (Bouthillier et al. 2021, arXiv
2103.03098). The interval of one run covers the choice of test images alone: what other images of the
same kind would have given.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import ndtri, stdtrit

from pipeline.record import SplitPredictions
from pipeline.report.evidence.variance import Scores

RESAMPLES = 1000
LEVEL = 0.95
TAIL = (1 - LEVEL) / 2
Z = float(ndtri(1 - TAIL))
BOOTSTRAP_SEED = 20210301


@dataclass(frozen=True)
class Interval:
    """A number between two ends: its 95 % interval, or the lowest and the highest seed."""

    value: float
    low: float
    high: float

    @property
    def reversed(self) -> "Interval":
        """The same difference seen from the other side."""
        return Interval(-self.value, -self.high, -self.low)


@dataclass(frozen=True)
class Score(Interval):
    """A score between 0 and 1: the mean over seeds, and its 95 % interval over images and trainings."""

    method: str  # "Wilson" or "delta"
    images: int
    per_seed: tuple[float, ...]

    @property
    def spread(self) -> tuple[float, float]:
        """The lowest and the highest seed."""
        return min(self.per_seed), max(self.per_seed)

    @property
    def deviation(self) -> float | None:
        """Standard deviation over seeds (n - 1); None of one seed."""
        return float(np.std(self.per_seed, ddof=1)) if len(self.per_seed) > 1 else None


def wilson(
    right: float | np.ndarray, images: float | np.ndarray, z: float = Z
) -> tuple[np.ndarray, np.ndarray]:
    """Return the score interval (Wilson 1927) of a proportion, or of arrays of them, at 95 %.

    Its ends are exactly 0 or 1 where no or all images are right, which rounding would miss. Written out,
    since the library that has it takes a second of every report to import.
    """
    share = right / images
    centre = share + z**2 / (2 * images)
    half = z * np.sqrt(share * (1 - share) / images + z**2 / (4 * images**2))
    low, high = (np.clip((centre + side * half) / (1 + z**2 / images), 0, 1) for side in (-1, 1))
    return np.where(np.equal(right, 0), 0.0, low), np.where(np.equal(right, images), 1.0, high)


def difference_of_shares(first: float, firsts: int, second: float, seconds: int) -> Interval:
    """Return the difference of two shares of unlike images, with the 95 % interval of Newcombe (1998)."""
    (low, high), (least, most) = (
        map(float, wilson(share * images, images)) for share, images in ((first, firsts), (second, seconds))
    )
    down, up = np.hypot(first - low, most - second), np.hypot(high - first, second - least)
    return Interval(first - second, float(first - second - down), float(first - second + up))


def accuracy(correct: np.ndarray, groups: np.ndarray | None = None) -> Score:
    """Return the mean accuracy over seeds with its interval; ``correct`` bool [seeds, images].

    Of images in ``groups`` [images], the interval is over the choice of groups.

    Wilson's interval of as many images as would give a proportion the same variance: over images, and
    where there are several seeds over trainings too, with Satterthwaite's degrees of freedom for these.
    """
    scores = Scores.of(correct, groups)
    value, per_seed = float(correct.mean(dtype=np.float64)), tuple(float(one) for one in correct.mean(axis=1))
    images = correct.shape[1]
    effective: float = images
    if np.ptp(scores.mean) == 0:
        effective = len(scores.mean) if value in (0.0, 1.0) else images
    elif scores.seeds > 1 or scores.each > 1:
        effective = _effective(scores, value)
    low, high = wilson(value * effective, effective)
    return Score(value, min(float(low), value), max(float(high), value), "Wilson", images, per_seed)


def _effective(scores: Scores, value: float) -> float:
    over_images = float(scores.mean.var()) / len(scores.mean)
    trainings = max(0.0, scores.between - scores.residual) / scores.seeds
    total = over_images + trainings
    df = total**2 * (scores.seeds - 1) / trainings**2 if trainings else np.inf
    wider = (stdtrit(max(1.0, df), 1 - TAIL) if np.isfinite(df) else Z) / Z
    return value * (1 - value) / (total * wider**2)


def mean_correct(splits: Sequence[SplitPredictions]) -> np.ndarray:
    """Return the share of seeds that got each image right, float32 [images]."""
    return np.stack([split.correct for split in splits]).mean(axis=0, dtype=np.float32)
