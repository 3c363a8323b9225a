"""Whether a difference stands up to other ways of counting: other images left out, another score."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pipeline.report.evidence.interval import Interval, percentiles, resampled_f1, resamples
from pipeline.report.evidence.significance import paired_difference
from pipeline.report.model import Model

BY_F1 = "in macro F1"


@dataclass(frozen=True)
class Recount:
    """The difference of two models, first minus second, counted in one other way."""

    way: str  # continues "ahead by 3.1 points"
    images: int
    difference: Interval


def recounts(first: Model, second: Model, twins: Sequence[int], doubted: Sequence[int]) -> list[Recount]:
    """Count again without near-duplicates (``twins``), without ``doubted`` labels, and by macro F1.

    Both lists hold indices of test images; a way that leaves out none or all is left out itself.
    Intervals are paired bootstraps over images at 95 %, of means over seeds.
    """
    index = first.test[0].index
    ways = {"without the near-duplicates": twins, "without the doubtful labels": doubted}
    found = []
    for way, left_out in ways.items():
        kept = ~np.isin(index, left_out)
        if kept.any() and not kept.all():
            a, b = (model.contestant.mean_correct for model in (first, second))
            found.append(Recount(way, int(kept.sum()), _difference_on(kept, a, b)))
    return [*found, Recount(BY_F1, len(index), _f1_difference(first, second))]


def _difference_on(kept: np.ndarray, a: np.ndarray, b: np.ndarray) -> Interval:
    """Return the difference on the images ``kept``, resampled as all images are."""
    if not np.any((a != b)[kept]):
        return paired_difference(a[kept], b[kept])
    weights = resamples(len(kept)) * kept[:, None]
    low, high = percentiles(((a - b) @ weights) / weights.sum(axis=0))
    return Interval(float(np.mean((a - b)[kept], dtype=float)), float(low), float(high))


def _f1_difference(first: Model, second: Model) -> Interval:
    drawn = [np.mean([resampled_f1(split) for split in model.test], axis=0) for model in (first, second)]
    low, high = percentiles(drawn[0] - drawn[1])
    return Interval(first.f1_macro.value - second.f1_macro.value, float(low), float(high))
