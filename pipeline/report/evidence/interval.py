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
BLOCK = 50  # resamples drawn at a time: a divisor of RESAMPLES
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


def wilson(right: float | np.ndarray, images: float | np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the Wilson score interval of a proportion (or of arrays of them) at 95 %.

    Its ends are exactly 0 or 1 where no or all images are right, which rounding would miss.
    """
    low, high = proportion_confint(right, images, alpha=1 - LEVEL, method="wilson")
    return np.where(np.equal(right, 0), 0.0, low), np.where(np.equal(right, images), 1.0, high)


def accuracy(correct: np.ndarray, per_seed: Sequence[float]) -> Score:
    """Return the mean accuracy of seeds that saw the same images, with its interval.

    ``correct`` is the share of seeds that got each image right, float32 [images]; ``per_seed`` holds
    their accuracies.

    One seed: Wilson. Several: percentile bootstrap over images, each drawn with its results in all
    seeds; where that is degenerate (every image alike), Wilson for one seed.
    """
    if len(per_seed) == 1 or np.ptp(correct) == 0:
        return _wilson_score(per_seed, len(correct))
    return _bootstrap_score(per_seed, len(correct), resampled_mean(correct))


def f1_macro(drawn: np.ndarray, per_seed: Sequence[float], images: int) -> Score:
    """Return the mean macro F1 of seeds with its interval; ``per_seed`` holds the scores.

    ``drawn`` is ``resampled_f1`` of the seeds. Where every resample scores alike (all right), Wilson.
    """
    if np.ptp(drawn) == 0:
        return _wilson_score(per_seed, images)
    return _bootstrap_score(per_seed, images, drawn)


def _wilson_score(per_seed: Sequence[float], images: int) -> Score:
    value = float(np.mean(per_seed))
    low, high = wilson(value * images, images)
    return Score(value, float(low), float(high), "Wilson", images, tuple(map(float, per_seed)))


def _bootstrap_score(per_seed: Sequence[float], images: int, drawn: np.ndarray) -> Score:
    low, high = percentiles(drawn)
    value = float(np.mean(per_seed))
    return Score(value, float(low), float(high), "bootstrap", images, tuple(map(float, per_seed)))


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
    counts = np.empty((images, RESAMPLES), np.float32)
    for start in range(0, RESAMPLES, BLOCK):
        draws = [np.bincount(rng.integers(0, images, images), minlength=images) for _ in range(BLOCK)]
        counts[:, start : start + BLOCK] = np.array(draws, np.float32).T
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


def resampled_f1(splits: Sequence[SplitPredictions]) -> np.ndarray:
    """Return macro F1 in each bootstrap resample, mean over seeds, float [RESAMPLES].

    Images are drawn with their results in all seeds. scikit-learn's rule holds in each resample: a
    class that is neither drawn nor predicted is left out.
    """
    return np.mean([_resampled_f1(split) for split in splits], axis=0)


def _resampled_f1(split: SplitPredictions) -> np.ndarray:
    classes = split.probability.shape[1]
    cells, cell_of = np.unique(split.target * classes + split.predicted, return_inverse=True)
    truth, guess = cells // classes, cells % classes  # the cells of the confusion matrix that are filled
    drawn = grouped_sums(cell_of, None, len(cells)) @ resamples(len(split.target))
    right = grouped_sums(truth, truth == guess, classes) @ drawn
    cases = grouped_sums(truth, None, classes) @ drawn + grouped_sums(guess, None, classes) @ drawn
    present = cases > 0
    scores = np.divide(2 * right, cases, out=np.zeros_like(right), where=present)
    return scores.sum(axis=0, dtype=np.float64) / present.sum(axis=0)


def grouped_sums(kind: np.ndarray, values: np.ndarray | None, kinds: int) -> csr_array:
    """Return the sparse matrix [kinds, n] that sums ``values`` (ones by default) of each ``kind`` [n]."""
    content = np.ones(len(kind), np.float32) if values is None else values.astype(np.float32)
    return csr_array((content, (kind, np.arange(len(kind)))), shape=(kinds, len(kind)))
