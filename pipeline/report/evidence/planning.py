"""What more data would tell: images or seeds that would decide a pair, and the luck of one training."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.special import chdtri, ndtr

from pipeline.report.evidence.variance import Pair, Spread, first_true

MOST_TIMES_IMAGES = 100  # more than this is not worth saying
SEEDS = (*range(2, 21), 25, 30, 40, 50, 75, 100)
ALPHA = 0.05
STEPS = 60


@dataclass(frozen=True)
class Chance:
    """How probably another training of the first does better on these images than another of the second."""

    value: float
    low: float  # 95 %
    high: float

    @property
    def reversed(self) -> "Chance":
        return Chance(1 - self.value, 1 - self.high, 1 - self.low)


def needed_images(pairs: Sequence[Pair], now: Spread, alpha: np.ndarray, margin: float) -> list[int | None]:
    """Return about how many images in all would decide each pair, were the difference as it is now."""
    times = np.geomspace(1, MOST_TIMES_IMAGES, 150)[1:, None]
    residual = now.residual / times
    trainings = now.trainings - now.residual + residual  # more images do not shrink the effect of a training
    size = np.abs([pair.difference for pair in pairs])
    drawn = (size - np.abs(now.centre)) / times  # what few images draw to zero; more of them draw less
    then = replace(
        now, centre=size - drawn, images=now.images / times, residual=residual, trainings=trainings
    )
    enough = _decided(then, alpha, margin)
    possible = np.atleast_1d(enough.any(axis=0))
    had = np.array([len(pair.a.mean) * pair.a.each for pair in pairs])
    images = np.maximum(had + 1, had * times[enough.argmax(axis=0), 0])
    return [_rounded(n) if can else None for n, can in zip(images, possible, strict=True)]


def _rounded(count: float) -> int:
    """Return the count to two digits, upwards: it is a forecast."""
    unit = 10 ** max(0, int(np.floor(np.log10(count))) - 1)
    return int(np.ceil(count / unit) * unit)


def needed_seeds(pairs: Sequence[Pair], now: Spread, alpha: np.ndarray, margin: float) -> list[int | None]:
    """Return about how many seeds of each model would decide each pair; None where nothing tells."""
    seeds = np.array(SEEDS)[:, None]
    had = np.array([max(pair.a.seeds, pair.b.seeds) for pair in pairs])
    spent = np.array([pair.a.seeds + pair.b.seeds for pair in pairs])
    residual = np.array([pair.residual_of_one for pair in pairs]) / seeds
    then = replace(
        now,
        images=np.maximum(now.images - now.residual + residual, 1e-18),
        residual=residual,
        trainings=np.array([pair.between_of_one for pair in pairs]) / seeds,
        df=np.where(now.df > 0, now.df + np.maximum(2 * seeds - spent, 0), 0),
    )
    enough = _decided(then, alpha, margin) & (seeds > had) & (now.df > 0)
    possible = np.atleast_1d(enough.any(axis=0))
    first = np.array(SEEDS)[enough.argmax(axis=0)]
    return [int(n) if can else None for n, can in zip(first, possible, strict=True)]


def _decided(then: Spread, alpha: np.ndarray, margin: float) -> np.ndarray:
    """Whether a difference as it is now would be called one, or equivalent, with these variances."""
    size = np.abs(then.centre)
    return (size > then.half_width(alpha)) | (size + then.half_width(2 * alpha) < margin)


def chance(pair: Pair) -> Chance | None:
    """Return how probably another training of the first does better; None where nothing tells.

    The standardised difference has a noncentral t distribution; its exact interval.
    """
    if pair.df <= 0:
        return None
    between = max(pair.between, 1e-18)
    shrink = np.sqrt(
        between / max(pair.between_of_one, 1e-18)
    )  # from the difference of means to that of two runs
    t = pair.difference / np.sqrt(between)
    upper = (np.arange(STEPS) + 0.5) / STEPS
    stretched = t * np.sqrt(chdtri(pair.df, upper) / pair.df)
    bounds = np.full(2, -3 * abs(t) - 10.0), np.full(2, 3 * abs(t) + 10.0)
    tails = np.array([1 - ALPHA / 2, ALPHA / 2])
    low, high = first_true(lambda centre: ndtr(stretched - centre[..., None]).mean(axis=-1) < tails, *bounds)
    return Chance(*(float(ndtr(x * shrink)) for x in (t, low, high)))
