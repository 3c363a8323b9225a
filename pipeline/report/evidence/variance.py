"""How far the difference of two models may be off: over test images and over trainings, crossed.

A score varies from image to image and from training to training, and part of the second is only
noise of a finite test set (Jordan 2023, arXiv 2304.01910). The two-way table seeds × images parts
them: its residual is in the variance over images already and is not counted twice.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from scipy.special import ndtri, stdtrit

STEPS, ROUNDS = 48, 4  # of a search: 34 halved 22 times
SMALLEST_P = 1e-15
FEW_DISPUTED = 10  # images: a residual that rests on so few counts half
SPAN_WEIGHT = 0.3  # of the span, beside differences that were seen: fitted to intervals of 30 images


@dataclass(frozen=True)
class Scores:
    """What a comparison needs to know of one model's scores [seeds, images]."""

    mean: np.ndarray  # over seeds, float [images]
    seeds: int
    between: float  # variance of the seeds' mean scores, n - 1; 0 of one seed
    residual: float  # the part of it that the residual of seeds × images explains
    disputed: float = 0.0  # about on how many images the seeds differ
    each: float = 1.0  # images that one value of ``mean`` stands for: more where groups do

    @classmethod
    def of(cls, scores: np.ndarray, groups: np.ndarray | None = None) -> "Scores":
        """Summarise scores [seeds, images]; of images in ``groups`` [images], group by group.

        Raises ValueError for any other shape, or without images.
        """
        if scores.ndim != 2 or not scores.size:
            raise ValueError(f"Scores must be [seeds, images] and not empty; found shape {scores.shape}.")
        if groups is not None and len(np.unique(groups)) > 1:
            by_group = clustered(scores, groups)
            return replace(cls.of(by_group), each=scores.shape[1] / by_group.shape[1])
        seeds, images = scores.shape
        mean = scores.mean(axis=0, dtype=np.float64)
        if seeds == 1:
            return cls(mean, 1, 0.0, 0.0)
        of_seed = scores.mean(axis=1, dtype=np.float64)
        between = float(of_seed.var(ddof=1))
        squares = float(_squares(scores) - seeds * np.dot(mean, mean)) / (seeds - 1)  # within images
        within = max(0.0, squares - images * between) / max(1, images - 1)
        return cls(mean, seeds, between, within / images, _disputed(scores, mean))


def clustered(scores: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """Return one value for each group, [seeds, groups], of which mean and variance are those of the mean.

    Each is the mean over images and what the group's images add to it, so that the variance over groups
    is the cluster-robust one of the mean over images (Liang and Zeger 1986); with few groups it is
    widened to the t distribution.
    """
    _, codes = np.unique(groups, return_inverse=True)
    count, images = int(codes.max()) + 1, scores.shape[1]
    mean = scores.mean(axis=1, dtype=np.float64, keepdims=True)
    rest = scores - mean
    sums = np.stack([np.bincount(codes, one, minlength=count) for one in rest])
    few = stdtrit(count - 1, 0.975) / ndtri(0.975) * np.sqrt(count / (count - 1))
    return mean + few * sums * (count / images)


def _disputed(scores: np.ndarray, mean: np.ndarray) -> float:
    """Return about how many images share the spread over seeds: all alike count whole."""
    spread = mean * (1 - mean) if scores.dtype == bool else scores.var(axis=0, dtype=np.float64)
    squares = float(spread @ spread)
    return float(spread.sum()) ** 2 / squares if squares > 0 else 0.0


def _squares(scores: np.ndarray) -> float:
    if scores.dtype == bool:
        return float(np.count_nonzero(scores))
    return float(np.sum(np.square(scores, dtype=np.float64)))


@dataclass(frozen=True)
class Trainings:
    """How much a training matters, over all models of a study that have several seeds."""

    level: float  # variance between seeds over what ``scale`` expects of the models' residuals
    effect: float  # how fast that grows with a residual, counted in images: 0 where noise is all there is
    df: float  # degrees of freedom (Satterthwaite); 0 where nothing tells
    share: float  # residual, times images, over p (1 - p): for models of one seed

    @classmethod
    def pooled(cls, models: Sequence[Scores]) -> "Trainings":
        """Pool the ratios of variance between seeds to residual, so that unlike models can share.

        Each counts by its degrees of freedom, and less where its residual rests on few images. What moves
        all images on a latent scale (probit, logit) moves the mean the more, the more images are in
        doubt: the excess of the ratio over one grows with the residual, which ``effect`` allows for.
        """
        several = [model for model in models if model.seeds > 1]
        df = np.array([model.seeds - 1 for model in several], float)
        residual = np.array([model.residual for model in several], float)
        between = np.array([model.between for model in several], float)
        total = float(df @ residual)
        if total <= 0:
            return cls(1.0, 0.0, 0.0, 0.0)
        scatter = float(df @ np.array([_scatter(model) for model in several]))
        share = total / scatter if scatter > 0 else 0.0
        disputed = np.array([model.disputed for model in several])
        weight = df * disputed / (disputed + FEW_DISPUTED)
        ratio = np.divide(between, residual, out=np.zeros(len(df)), where=residual > 0)
        doubt = residual * np.array([len(model.mean) for model in several]) ** 2
        effect = max(0.0, float(weight @ (ratio - 1) / (weight @ doubt)))
        level = float(weight @ (ratio / (1 + effect * doubt)) / weight.sum())
        return cls(level, effect, float(weight.sum() ** 2 / np.sum(weight**2 / df)), share)

    def between(self, model: Scores) -> float:
        """Return the variance that trainings give the mean over a model's seeds, its residual included."""
        residual = self.residual(model)
        doubt = residual * model.seeds * len(model.mean) ** 2
        return self.level * (1 + self.effect * doubt) * residual

    def residual(self, model: Scores) -> float:
        """Return the variance that the residual gives the mean over a model's seeds."""
        return (model.residual if model.seeds > 1 else self.share * _scatter(model)) / model.seeds

    def known(self, model: Scores) -> bool:
        """Whether something tells how much another training of the model would change."""
        return model.seeds > 1 or self.df > 0


def _scatter(model: Scores) -> float:
    """Return mean (1 - mean) over images for scores of 0 and 1, in general the spread of the means."""
    value = float(model.mean.mean())
    inside = value * (1 - value)
    return max(inside if 0 <= value <= 1 else 0.0, float(model.mean.var())) / len(model.mean)


@dataclass(frozen=True)
class Spread:
    """Variances of the differences of pairs, arrays [pairs]."""

    centre: np.ndarray  # the difference, drawn a little to zero
    images: np.ndarray  # variance over images, of the mean over these seeds: holds the residual
    trainings: np.ndarray  # variance over trainings: holds the residual too
    residual: np.ndarray  # what both hold
    df: np.ndarray  # of the variance over trainings; 0 where it is not part of the interval

    def half_width(self, alpha: np.ndarray) -> np.ndarray:
        """Return half the interval at level 1 - ``alpha``, [..., pairs].

        t² · trainings + z² · (images - residual) · (z²/t²)^(2k/(1+k)), k = residual / images, and never
        less than z² · images. The exponent is fitted so that for any true variance between trainings,
        any degrees of freedom and any alpha at most alpha of equal pairs are claimed to differ
        (by numerical integration; Satterthwaite's degrees of freedom alone claim up to 2.4 alpha).
        """
        z = ndtri(1 - np.asarray(alpha, float) / 2)
        t = np.where(self.df > 0, stdtrit(np.maximum(self.df, 1), 1 - np.asarray(alpha, float) / 2), z)
        shared = np.clip(self.residual / self.images, 0, 1)
        shrunk = (z / np.maximum(t, 1e-9)) ** (4 * shared / (1 + shared))
        both = t**2 * self.trainings + z**2 * self.images * (1 - shared) * shrunk
        return np.sqrt(np.maximum(z**2 * self.images, np.where(self.df > 0, both, 0)))

    @cached_property
    def deviation(self) -> np.ndarray:
        """The standard error: each part once."""
        return np.sqrt(self.images + np.maximum(self.trainings - self.residual, 0) * (self.df > 0))

    def p_value(self) -> np.ndarray:
        """Return the level at which the interval just reaches zero, [pairs]."""
        return self._smallest_alpha(np.abs(self.centre))

    def p_equivalent(self, margin: float) -> np.ndarray:
        """Return the p of two one-sided tests at ± ``margin`` (Schuirmann 1987), [pairs]."""
        room = margin - np.abs(self.centre)
        return np.where(room > 0, self._smallest_alpha(room) / 2, 1.0)

    def _smallest_alpha(self, room: np.ndarray) -> np.ndarray:
        low, high = np.full(len(room), np.log(SMALLEST_P)), np.zeros(len(room))
        return np.exp(first_true(lambda log: self.half_width(np.exp(log)) < room, low, high))


def first_true(reached: Callable[[np.ndarray], np.ndarray], low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """Return the smallest value from ``low`` to ``high``, both [pairs], where ``reached`` turns true.

    ``reached`` takes [steps, pairs] and stays true once it is; where it never is, ``high``.
    """
    columns, steps = np.arange(len(low)), np.linspace(0, 1, STEPS)[:, None]
    for _ in range(ROUNDS):
        values = low + (high - low) * steps
        true = reached(values)
        true[-1] = True
        first = true.argmax(axis=0)
        low, high = values[np.maximum(first - 1, 0), columns], values[first, columns]
    return high


@dataclass(frozen=True)
class Pair:
    """Two models on the same images, and how much a training matters in their study."""

    first: str
    second: str
    a: Scores
    b: Scores
    trainings: Trainings | None  # None: of these trained networks alone

    @cached_property
    def difference(self) -> float:
        return float(self.a.mean.mean() - self.b.mean.mean())

    @property
    def known(self) -> bool:
        """Whether the comparison is of models: something tells what other trainings of both would change."""
        return bool(self.trainings and self.trainings.known(self.a) and self.trainings.known(self.b))

    @cached_property
    def residual(self) -> tuple[float, float]:
        """The variance that the residual gives the mean of each."""
        if self.trainings is None:
            return 0.0, 0.0
        return self.trainings.residual(self.a), self.trainings.residual(self.b)

    @property
    def residual_of_one(self) -> float:
        """The same for one training of each, added."""
        return self.residual[0] * self.a.seeds + self.residual[1] * self.b.seeds

    @property
    def between(self) -> float:
        """The variance of the difference over trainings, the residual included."""
        if self.trainings is None:
            return 0.0
        return self.trainings.between(self.a) + self.trainings.between(self.b)

    @property
    def between_of_one(self) -> float:
        """The same for one training of each."""
        if self.trainings is None:
            return 0.0
        return sum(self.trainings.between(model) * model.seeds for model in (self.a, self.b))

    @property
    def df(self) -> float:
        """The degrees of freedom of the variance over trainings; 0 where it is not part of the interval."""
        return self.trainings.df if self.trainings and sum(self.residual) > 0 else 0.0


def spread(pairs: Sequence[Pair], span: float) -> Spread:
    """Return the variances of each pair's difference.

    Images that speak for either side are added, so that intervals hold with few images and without any
    disagreement: one for each side (Bonett and Price 2012), or half of one where both models have
    several seeds; as large as those seen and at first as ``span``.
    """
    found = [
        _over_images(pair.a.mean - pair.b.mean, span, 1.0 if min(pair.a.seeds, pair.b.seeds) > 1 else 2.0)
        for pair in pairs
    ]
    centre, images = np.array(found).T
    residual = np.array([sum(pair.residual) for pair in pairs])
    between, df = np.array([(pair.between, pair.df) for pair in pairs]).T
    return Spread(centre, images, between, residual, df)


def _over_images(difference: np.ndarray, span: float, added: float) -> tuple[float, float]:
    """Return the mean and its variance over images, with so many ``added``, half of them a side."""
    squares, weight = np.square(difference), SPAN_WEIGHT * span**2
    total, fourth = float(squares.sum()), float(squares @ squares)
    size = (fourth + weight * span**2) / (total + weight) if total + weight > 0 else 0.0
    count = len(difference) + added
    centre = float(difference.sum()) / count
    return centre, max((total + added * size) / count - centre**2, 1e-18) / count
