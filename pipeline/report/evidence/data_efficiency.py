"""How accuracy grows with training images, and where one model catches up with another.

Intervals cover test images and, from two seeds on, trainings: the images' share is the covariance of
the mean over seeds, shared by all sizes and models as they see the same images; the seeds' share is
pooled over the sizes of a model, in proportion to its error. Curves are drawn anew from both
(parametric bootstrap) and each is fitted anew, so every interval below comes from the same draws.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
from scipy import stats

from pipeline.report.evidence import power_law
from pipeline.report.evidence.interval import wilson
from pipeline.report.evidence.power_law import SMALLEST_FIT, PowerLaw

LEVEL = 0.95
DRAWS = 1000
DRAW_SEED = 17120409
REACH = 10  # times the largest size: no further does a fitted curve say anything
MISFIT = 0.01  # a law is given up where chance explains its misfit less often than this
NoLaw = Literal["fewer than three sizes", "no power law fits"]


@dataclass(frozen=True)
class Curve:
    """The answers of one model: for each of ``sizes``, ``correct`` bool [seeds, images].

    Test images are the same at all sizes; seeds may differ in number.
    """

    name: str
    sizes: tuple[int, ...]
    correct: tuple[np.ndarray, ...]

    @cached_property
    def errors(self) -> np.ndarray:
        """The mean error over seeds, float [sizes]."""
        return np.array([1 - correct.mean() for correct in self.correct])

    @property
    def images(self) -> int:
        """How many test images there are."""
        return self.correct[0].shape[1]

    @property
    def seeds(self) -> np.ndarray:
        """How many seeds each size has, int [sizes]."""
        return np.array([len(correct) for correct in self.correct])

    @property
    def scale(self) -> np.ndarray:
        """What variances are taken to be proportional to: the error, at least one image's."""
        return np.maximum(self.errors, 1 / self.images)


@dataclass(frozen=True)
class Spread:
    """Variance between trainings for each unit of error, and the degrees of freedom behind it."""

    variance: float
    degrees: int

    @property
    def known(self) -> bool:
        return self.degrees > 0


def spread(curves: Sequence[Curve]) -> Spread:
    """Return the variance of seeds around the means of their sizes, pooled; zero of single seeds."""
    degrees = np.concatenate([curve.seeds - 1 for curve in curves])
    if not degrees.any():
        return Spread(0.0, 0)
    squares = [len(c) * c.mean(axis=1).var() for curve in curves for c in curve.correct]
    return Spread(
        float(sum(squares) / (degrees @ np.concatenate([c.scale for c in curves]))), int(degrees.sum())
    )


def image_covariance(curves: Sequence[Curve]) -> np.ndarray:
    """Return the covariance of all mean errors that the choice of test images causes.

    Float [points, points], curve after curve. What several seeds answer differently on one image is
    part of their spread already, so it is taken out here.
    """
    answers = [correct for curve in curves for correct in curve.correct]
    images = curves[0].images
    covariance = np.cov([correct.mean(axis=0) for correct in answers]).reshape(len(answers), -1) / images
    noise = [_unexplained(correct) / (len(correct) * images) for correct in answers]
    variances = np.maximum(np.diag(covariance) - noise, 1 / images**2)  # at least one image's
    np.fill_diagonal(covariance, variances)
    return covariance


def _unexplained(correct: np.ndarray) -> float:
    """Return the residual variance of seeds × images; 0 of one seed, where nothing is known of it."""
    if len(correct) == 1:
        return 0.0
    left = correct - correct.mean(axis=0) - correct.mean(axis=1, keepdims=True) + correct.mean()
    return float((left**2).sum() / (left.size - left.shape[1] - left.shape[0] + 1))


@dataclass(frozen=True)
class Point:
    """Mean accuracy over seeds after training on ``size`` images, with its 95 % interval."""

    size: int
    accuracy: float
    low: float
    high: float
    per_seed: tuple[float, ...]


@dataclass(frozen=True)
class Efficiency:
    """One model's curve: its points, its law where one fits, and draws of both."""

    curve: Curve
    points: tuple[Point, ...]
    seeds_covered: bool  # whether intervals cover trainings, not test images alone
    drawn: np.ndarray  # errors at each size, float [draws, sizes]
    law: PowerLaw | None
    laws: PowerLaw | None  # of each draw
    fit_p: float | None  # how often chance gives a misfit as large; None without a fit
    no_law: NoLaw | None

    @property
    def name(self) -> str:
        return self.curve.name

    @property
    def smallest(self) -> int:
        return self.curve.sizes[0]

    @property
    def largest(self) -> int:
        return self.curve.sizes[-1]

    @property
    def reach(self) -> int:
        """The most training images that this curve says anything about."""
        return REACH * self.largest if self.law else self.largest

    def errors(self, images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the error after ``images`` [m], and in each draw, [m] and [draws, m].

        By the law; without one, straight lines between sizes on a logarithmic axis, and NaN elsewhere.
        """
        if self.law and self.laws:
            return self.law.error(images), self.laws.error(images)
        both = np.vstack([self.curve.errors, self.drawn])
        lines = _between(np.log(self.curve.sizes), both, np.log(images))
        return lines[0], lines[1:]


def _between(x: np.ndarray, y: np.ndarray, at: np.ndarray) -> np.ndarray:
    """Interpolate each row of ``y`` [rows, x] at the points ``at`` [m]; NaN outside, [rows, m]."""
    if len(x) == 1:
        return np.where(np.isclose(at, x[0]), y, np.nan)
    left = np.clip(np.searchsorted(x, at, side="right") - 1, 0, len(x) - 2)
    share = (at - x[left]) / (x[left + 1] - x[left])
    inside = (share > -1e-9) & (share < 1 + 1e-9)
    return np.where(inside, y[:, left] * (1 - share) + y[:, left + 1] * share, np.nan)


def efficiencies(curves: Sequence[Curve], draws: int = DRAWS) -> list[Efficiency]:
    """Return what each model makes of its images; their draws share the test images.

    A model with one seed a size borrows the spread of the others, if any has several. Raises
    ValueError where the test images are not the same everywhere, or sizes do not rise.
    """
    _refuse_unlike(curves)
    random = np.random.default_rng(DRAW_SEED)
    covariance, pooled = image_covariance(curves), spread(curves)
    drawn = _drawn_images(covariance, draws, random)
    found, first = [], 0
    for curve in curves:
        own = spread([curve]) if spread([curve]).known else pooled
        part = slice(first, first + len(curve.sizes))
        noise = drawn[:, part] + _drawn_seeds(curve, own, draws, random)
        found.append(_efficiency(curve, covariance[part, part], own, noise))
        first += len(curve.sizes)
    return found


def _refuse_unlike(curves: Sequence[Curve]) -> None:
    counts = {correct.shape[1] for curve in curves for correct in curve.correct}
    if len(counts) != 1:
        raise ValueError(f"the test images differ between sizes or models: {sorted(counts)}")
    for curve in curves:
        if len(curve.sizes) != len(curve.correct) or np.any(np.diff(curve.sizes) <= 0):
            raise ValueError(f"{curve.name}: sizes must rise, with answers for each: {curve.sizes}")


def _drawn_images(covariance: np.ndarray, draws: int, random: np.random.Generator) -> np.ndarray:
    values, vectors = np.linalg.eigh(covariance)
    return random.standard_normal((draws, len(values))) @ (vectors * np.sqrt(np.maximum(values, 0))).T


def _drawn_seeds(curve: Curve, own: Spread, draws: int, random: np.random.Generator) -> np.ndarray:
    """Draw the means' deviations, as Student's t: the spread itself is known from few trainings."""
    deviations = random.standard_normal((draws, len(curve.sizes)))
    if not own.known:
        return 0 * deviations
    deviations *= np.sqrt(own.degrees / random.chisquare(own.degrees, (draws, 1)))
    return deviations * np.sqrt(own.variance * curve.scale / curve.seeds)


def _efficiency(curve: Curve, covariance: np.ndarray, own: Spread, noise: np.ndarray) -> Efficiency:
    of_seeds = own.variance * curve.scale / curve.seeds
    variance = np.diag(covariance) + of_seeds
    points = tuple(
        _point(
            curve, k, variance[k], own.degrees * (variance[k] / of_seeds[k]) ** 2 if of_seeds[k] else np.inf
        )
        for k in range(len(curve.sizes))
    )
    plain = Efficiency(
        curve, points, own.known, curve.errors + noise, None, None, None, "fewer than three sizes"
    )
    if len(curve.sizes) < SMALLEST_FIT:
        return plain
    return _fitted(plain, covariance + np.diag(of_seeds), noise)


def _point(curve: Curve, k: int, variance: float, degrees: float) -> Point:
    """Return Wilson's interval at the count of images that would vary as much, with Student's quantile."""
    error, per_seed = curve.errors[k], curve.correct[k].mean(axis=1)
    effective = error * (1 - error) / variance if 0 < error < 1 else curve.images
    z = float(stats.t.isf((1 - LEVEL) / 2, degrees))
    low, high = wilson((1 - error) * effective, effective, z)
    return Point(curve.sizes[k], float(1 - error), float(low), float(high), tuple(map(float, per_seed)))


def _fitted(plain: Efficiency, covariance: np.ndarray, noise: np.ndarray) -> Efficiency:
    """Add the law, unless its misfit is larger than chance explains."""
    curve, weights = plain.curve, 1 / np.diag(covariance)
    sizes = np.array(curve.sizes, float)
    law = power_law.fit(sizes, curve.errors, weights, rounds=8)
    drawn = law.error(sizes) + noise
    laws = power_law.fit(sizes, drawn, weights, rounds=2)
    inverse = np.linalg.pinv(covariance, hermitian=True)
    left, lefts = curve.errors - law.error(sizes), drawn - laws.error(sizes)
    misfits = np.einsum("dk,kl,dl->d", lefts, inverse, lefts)
    p = float(np.mean(misfits >= left @ inverse @ left - 1e-9))
    if p < MISFIT:
        return _with(plain, None, None, p, "no power law fits")
    return _with(plain, law, laws, p, None)


def _with(
    plain: Efficiency, law: PowerLaw | None, laws: PowerLaw | None, p: float, no_law: NoLaw | None
) -> Efficiency:
    return Efficiency(plain.curve, plain.points, plain.seeds_covered, plain.drawn, law, laws, p, no_law)
