"""How sure a score is: 95 % intervals over test images, and the spread over seeds apart from them.

An interval here always covers the choice of test images: what other images of the same kind would
have given. Seeds vary initialisation, data order and augmentation together (Bouthillier et al.
2021, arXiv 2103.03098); their spread is stated beside the interval, never mixed into it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy.sparse import csr_array
from statsmodels.stats.proportion import proportion_confint

from pipeline.record import SplitPredictions

RESAMPLES = 1000
LEVEL = 0.95
BOOTSTRAP_SEED = 20210301


@dataclass(frozen=True)
class Interval:
    """A number between two ends: its 95 % interval, or the lowest and the highest seed."""

    value: float
    low: float
    high: float

    @property
    def excludes_zero(self) -> bool:
        return self.low > 0 or self.high < 0

    @property
    def reversed(self) -> "Interval":
        """The same difference seen from the other side."""
        return Interval(-self.value, -self.high, -self.low)


@dataclass(frozen=True)
class Score(Interval):
    """A score between 0 and 1: the mean over seeds, and its 95 % interval over test images."""

    method: str  # "Wilson" or "bootstrap"
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

    @property
    def covers(self) -> str:
        """Which variation the interval covers, in words."""
        if len(self.per_seed) == 1:
            return "the choice of test images, not of the seed (one run)"
        return f"the choice of test images, for the mean of {len(self.per_seed)} seeds"


def wilson(right: float | np.ndarray, images: float | np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the Wilson score interval of a proportion (or of arrays of them) at 95 %.

    Its ends are exactly 0 or 1 where no or all images are right, which rounding would miss.
    """
    low, high = proportion_confint(right, images, alpha=1 - LEVEL, method="wilson")
    return np.where(np.equal(right, 0), 0.0, low), np.where(np.equal(right, images), 1.0, high)


def accuracy(splits: Sequence[SplitPredictions]) -> Score:
    """Return the mean accuracy of seeds that saw the same images.

    One seed: Wilson. Several: percentile bootstrap over images, each drawn with its results in all
    seeds; where that is degenerate (every image alike), Wilson for one seed.
    """
    correct = mean_correct(splits)
    per_seed = tuple(float(split.correct.mean()) for split in splits)
    value = float(np.mean(per_seed))
    if len(splits) == 1 or np.ptp(correct) == 0:
        low, high = wilson(value * len(correct), len(correct))
        return Score(value, float(low), float(high), "Wilson", len(correct), per_seed)
    low, high = percentiles(resampled_mean(correct))
    return Score(value, float(low), float(high), "bootstrap", len(correct), per_seed)


def f1_macro(splits: Sequence[SplitPredictions], per_seed: Sequence[float]) -> Score:
    """Return the mean macro F1 of seeds with its interval; ``per_seed`` holds the scores.

    Images are drawn with their results in all seeds. scikit-learn's rule holds in each resample: a
    class that is neither drawn nor predicted is left out. Where every resample scores alike (all
    right), Wilson.
    """
    images = len(splits[0].target)
    drawn = np.mean([resampled_f1(split) for split in splits], axis=0)
    value = float(np.mean(per_seed))
    alike = np.ptp(drawn) == 0
    low, high = wilson(value * images, images) if alike else percentiles(drawn)
    method = "Wilson" if alike else "bootstrap"
    return Score(value, float(low), float(high), method, images, tuple(map(float, per_seed)))


def mean_correct(splits: Sequence[SplitPredictions]) -> np.ndarray:
    """Return the share of seeds that got each image right, float32 [images]."""
    return np.stack([split.correct for split in splits]).mean(axis=0, dtype=np.float32)


@lru_cache(maxsize=2)
def resamples(images: int) -> np.ndarray:
    """Return how often each image is drawn in each bootstrap resample, float32 [images, RESAMPLES].

    The same numbers for the same count of images: every score and every difference in a report uses
    the same resamples, so differences are paired.
    """
    rng = np.random.default_rng(BOOTSTRAP_SEED)
    draws = (np.bincount(rng.integers(0, images, images), minlength=images) for _ in range(RESAMPLES))
    counts = np.ascontiguousarray(np.array([draw.astype(np.float32) for draw in draws]).T)
    counts.setflags(write=False)
    return counts


def resampled_mean(values: np.ndarray) -> np.ndarray:
    """Return the mean of one value per image in each bootstrap resample, float [RESAMPLES]."""
    sums = values.astype(np.float32) @ resamples(len(values))
    return sums.astype(np.float64) / len(values)


def percentiles(drawn: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the 2.5th and 97.5th percentile over the last axis."""
    tail = 100 * (1 - LEVEL) / 2
    low, high = np.percentile(drawn, [tail, 100 - tail], axis=-1)
    return low, high


def resampled_f1(split: SplitPredictions) -> np.ndarray:
    """Return macro F1 in each bootstrap resample, float [RESAMPLES]."""
    weights, classes = resamples(len(split.target)), split.probability.shape[1]
    right = grouped_sums(split.target, split.correct, classes) @ weights
    cases = grouped_sums(split.target, None, classes) @ weights
    cases += grouped_sums(split.predicted, None, classes) @ weights
    present = cases > 0
    scores = np.divide(2 * right, cases, out=np.zeros_like(right), where=present)
    return scores.sum(axis=0, dtype=np.float64) / present.sum(axis=0)


def grouped_sums(group: np.ndarray, values: np.ndarray | None, groups: int) -> csr_array:
    """Return the sparse matrix [groups, images] that sums ``values`` (ones by default) by group."""
    images = np.arange(len(group))
    content = np.ones(len(group), np.float32) if values is None else values.astype(np.float32)
    return csr_array((content, (group, images)), shape=(groups, len(group)))
