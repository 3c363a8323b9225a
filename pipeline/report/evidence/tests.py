"""Which of two models is better: first, second, equivalent within a margin, or undecided.

Accuracy varies over test images and over trainings, crossed (Bouthillier et al. 2021, arXiv
2103.03098); the interval of a difference covers both, with the variance between trainings pooled over
all models of the study that have several seeds (``variance``). Where no model has, the verdict is of
these two trained networks, as McNemar's (Dietterich 1998). ``docs/verdict.md`` explains the method and
has its measured error rates.
"""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Literal, TypeVar

import numpy as np
from scipy.special import ndtri

from pipeline.report.evidence.planning import Chance, chance, needed_images, needed_seeds
from pipeline.report.evidence.variance import Pair, Scores, Spread, Trainings, spread

ALPHA = 0.05
POWER = 0.8
MARGIN = 0.01
COMMONEST = "always the commonest class"

Verdict = Literal["first", "second", "equivalent", "undecided"]
Scope = Literal["models", "runs"]
Name = TypeVar("Name", bound=Hashable)


@dataclass(frozen=True)
class Comparison:
    """Two models on the same images; differences are first minus second, fractions.

    ``low`` and ``high`` are the 95 % interval of this pair alone. The verdict is of the whole family:
    "first" or "second" where Holm's p is below 5 %, which is where the ``family`` interval excludes
    zero; "equivalent" where it is not and Holm's p of two one-sided tests is.
    """

    first: str
    second: str
    verdict: Verdict
    scope: Scope
    difference: float
    low: float
    high: float
    p: float  # the interval at level 1 - p just reaches zero
    p_holm: float
    p_equivalent: float
    p_equivalent_holm: float
    family_low: float  # the interval at the level that Holm's correction leaves this pair
    family_high: float
    corrected: bool  # whether the verdict of this pair alone would have been another
    margin: float
    smallest_visible: float  # a true difference of this size is found in four of five such studies
    needed_images: int | None  # in all, about; None where no number would, or it is decided
    needed_seeds: int | None  # of each model, about
    beats: Chance | None

    @property
    def decided(self) -> bool:
        return self.verdict != "undecided"

    @property
    def distinguishable(self) -> bool:
        """Whether one of the two may be called better."""
        return self.better is not None

    @property
    def better(self) -> str | None:
        """The name of the better model; None where neither is claimed to be."""
        return {"first": self.first, "second": self.second}.get(self.verdict)

    @property
    def at_least(self) -> float:
        """By how much the better model is better at least, 95 %; 0 where neither is."""
        return max(self.low, -self.high, 0.0) if self.better else 0.0

    @property
    def within_margin(self) -> bool:
        """Whether the two are shown to differ by less than the margin, one better or not."""
        return self.p_equivalent_holm < ALPHA

    @property
    def reversed(self) -> "Comparison":
        """The same comparison seen from the second model."""
        turned: dict[Verdict, Verdict] = {"first": "second", "second": "first"}
        return replace(
            self,
            first=self.second,
            second=self.first,
            verdict=turned.get(self.verdict, self.verdict),
            difference=-self.difference,
            low=-self.high,
            high=-self.low,
            family_low=-self.family_high,
            family_high=-self.family_low,
            beats=self.beats and self.beats.reversed,
        )


def compare(
    models: Mapping[str, np.ndarray], margin: float = MARGIN, groups: np.ndarray | None = None
) -> list[Comparison]:
    """Compare each pair of models once, in order; bool [seeds, images], seeds may differ in number.

    Images of one of ``groups`` [images] count together: another study would have other groups.
    """
    return compare_scores(models, margin, span=1.0, groups=groups)


def compare_scores(
    models: Mapping[str, np.ndarray],
    margin: float = MARGIN,
    span: float = 0.0,
    groups: np.ndarray | None = None,
) -> list[Comparison]:
    """Compare the means of any scores [seeds, images], as ``per_image`` has them.

    ``span`` is how much one image can say where none was seen to differ. Raises ValueError where the
    models did not see the same number of images.
    """
    scores = _scores(models, groups)
    trainings = Trainings.pooled(list(scores.values()))
    pairs = [Pair(a, b, scores[a], scores[b], trainings) for a, b in combinations(scores, 2)]
    return _compared(pairs, margin, span)


def compare_pairs(
    pairs: Mapping[str, tuple[np.ndarray, np.ndarray]], margin: float = MARGIN
) -> dict[str, Comparison]:
    """Compare the two of each named pair, bool [seeds, images], as one family; first and second alike named.

    For one model before and after a change: only such pairs are asked about.
    """
    scores = {name: tuple(Scores.of(np.asarray(side)) for side in sides) for name, sides in pairs.items()}
    trainings = Trainings.pooled([side for sides in scores.values() for side in sides])
    asked = [Pair(name, name, first, second, trainings) for name, (first, second) in scores.items()]
    return dict(zip(scores, _compared(asked, margin, span=1.0), strict=True))


def compare_classes(
    models: Mapping[str, np.ndarray],
    first: str,
    second: str,
    target: np.ndarray,
    margin: float = MARGIN,
    groups: np.ndarray | None = None,
) -> dict[int, Comparison]:
    """Compare the recall of two of the study's ``models`` in each class with images; Holm over classes.

    ``target`` holds the class of each image, int [images].
    """
    present = np.unique(target)
    pairs = []
    for k in present:
        of_class = {name: np.asarray(values)[:, target == k] for name, values in models.items()}
        scores = _scores(of_class, None if groups is None else groups[target == k])
        trainings = Trainings.pooled(list(scores.values()))
        pairs.append(Pair(first, second, scores[first], scores[second], trainings))
    return dict(zip(map(int, present), _compared(pairs, margin, span=1.0), strict=True))


def beats_chance(
    models: Mapping[str, np.ndarray],
    target: np.ndarray,
    margin: float = MARGIN,
    groups: np.ndarray | None = None,
) -> dict[str, Comparison]:
    """Compare each model with naming always the commonest class of ``target``, int [images].

    A model has learned something where the verdict is "first"; Holm over the models. The verdict is of
    these trained networks: of models that learned nothing, trainings differ by noise alone. Where each class
    has as many images, its share is known and no estimate.
    """
    scores, counts = _scores(models, groups), np.bincount(target)
    commonest = (target == counts.argmax())[None]
    if groups is None and np.ptp(counts[counts > 0]) <= 1:
        commonest = np.full(commonest.shape, commonest.mean())
    constant = Scores.of(commonest, groups)
    pairs = [Pair(name, COMMONEST, model, constant, None) for name, model in scores.items()]
    return {comparison.first: comparison for comparison in _compared(pairs, margin, span=1.0)}


def beats(
    pairs: Mapping[Name, tuple[np.ndarray, np.ndarray]],
    margin: float = MARGIN,
    groups: np.ndarray | None = None,
) -> dict[Name, bool]:
    """Return whether a model is shown to be better than an answer that was not trained, Holm over all pairs.

    ``pairs`` hold bool [seeds, images] of the model and [1, images] of the other. As in ``beats_chance`` the
    verdict is of these trained networks.
    """
    asked = [
        Pair(str(name), "", Scores.of(model, groups), Scores.of(other, groups), None)
        for name, (model, other) in pairs.items()
    ]
    found = _compared(asked, margin, span=1.0)
    return {name: one.verdict == "first" for name, one in zip(pairs, found, strict=True)}


def _scores(models: Mapping[str, np.ndarray], groups: np.ndarray | None = None) -> dict[str, Scores]:
    scores = {name: Scores.of(np.asarray(values), groups) for name, values in models.items()}
    if len({len(model.mean) for model in scores.values()}) > 1:
        raise ValueError("Models can only be compared on the same images.")
    return scores


def _compared(pairs: Sequence[Pair], margin: float, span: float) -> list[Comparison]:
    """Compare these pairs as one family."""
    if not pairs:
        return []
    found = spread(pairs, span)
    alpha = np.full(len(pairs), ALPHA)
    p, p_equivalent = found.p_value(), found.p_equivalent(margin)
    p_holm, p_equivalent_holm = holm(p), holm(p_equivalent)
    family = ALPHA * p / p_holm  # the level at which Holm's correction tests each pair
    low, high = _interval(pairs, found, alpha, span)
    family_low, family_high = _interval(pairs, found, family, span)
    alone, verdicts = _verdicts(pairs, p, p_equivalent), _verdicts(pairs, p_holm, p_equivalent_holm)
    visible = found.half_width(family) + ndtri(POWER) * found.deviation
    images, seeds = needed_images(pairs, found, family, margin), needed_seeds(pairs, found, family, margin)
    return [
        Comparison(
            first=pair.first,
            second=pair.second,
            verdict=verdicts[i],
            scope="models" if pair.known else "runs",
            difference=pair.difference,
            low=low[i],
            high=high[i],
            p=float(p[i]),
            p_holm=float(p_holm[i]),
            p_equivalent=float(p_equivalent[i]),
            p_equivalent_holm=float(p_equivalent_holm[i]),
            family_low=family_low[i],
            family_high=family_high[i],
            corrected=alone[i] != verdicts[i],
            margin=margin,
            smallest_visible=float(visible[i]),
            needed_images=images[i] if verdicts[i] == "undecided" else None,
            needed_seeds=seeds[i] if verdicts[i] == "undecided" else None,
            beats=chance(pair),
        )
        for i, pair in enumerate(pairs)
    ]


def _interval(
    pairs: Sequence[Pair], found: Spread, alpha: np.ndarray, span: float
) -> tuple[list[float], list[float]]:
    """Return the ends of the intervals; they hold the difference and no impossible values."""
    half, limit = found.half_width(alpha), span or np.inf
    difference = np.array([pair.difference for pair in pairs])
    low = np.clip(np.minimum(found.centre - half, difference), -limit, limit)
    high = np.clip(np.maximum(found.centre + half, difference), -limit, limit)
    return low.tolist(), high.tolist()


def holm(p: np.ndarray) -> np.ndarray:
    """Return Holm's step-down corrected p values, in the order given."""
    order = np.argsort(p, kind="stable")
    stepped = np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1))
    corrected = np.empty(len(p))
    corrected[order] = np.minimum(stepped, 1.0)
    return corrected


def _verdicts(pairs: Sequence[Pair], p: np.ndarray, p_equivalent: np.ndarray) -> list[Verdict]:
    return [_verdict(*each) for each in zip(pairs, p, p_equivalent, strict=True)]


def _verdict(pair: Pair, p: float, p_equivalent: float) -> Verdict:
    if p < ALPHA:
        return "first" if pair.difference > 0 else "second"
    return "equivalent" if p_equivalent < ALPHA else "undecided"
