"""Whether a difference stands up to other ways of counting: other images left out, another score."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from pipeline.report.evidence.interval import Interval, percentiles, resamples
from pipeline.report.evidence.significance import paired_difference
from pipeline.report.model import Model

Way = Literal["without duplicates", "without doubted labels", "macro F1"]


@dataclass(frozen=True)
class Recount:
    """The difference of two models, first minus second, counted in one other way."""

    way: Way
    images: int
    difference: Interval


def recounts(first: Model, second: Model, twins: Sequence[int], doubted: Sequence[int]) -> list[Recount]:
    """Count again without near-duplicates (``twins``), without ``doubted`` labels, and by macro F1.

    Both lists hold indices of test images; a way that leaves out none or all is left out itself.
    Intervals are paired bootstraps over images at 95 %, of means over seeds.
    """
    index = first.test[0].index
    ways: dict[Way, Sequence[int]] = {"without duplicates": twins, "without doubted labels": doubted}
    found = []
    for way, left_out in ways.items():
        kept = ~np.isin(index, left_out)
        if kept.any() and not kept.all():
            a, b = (model.contestant.mean_correct for model in (first, second))
            found.append(Recount(way, int(kept.sum()), _difference_on(kept, a, b)))
    return [*found, Recount("macro F1", len(index), _f1_difference(first, second))]


def _difference_on(kept: np.ndarray, a: np.ndarray, b: np.ndarray) -> Interval:
    """Return the difference on the images ``kept``, resampled as all images are."""
    if not np.any((a != b)[kept]):
        return paired_difference(a[kept], b[kept])
    drawn = resamples(len(kept))
    low, high = percentiles((((a - b) * kept) @ drawn) / (kept.astype(np.float32) @ drawn))
    return Interval(float(np.mean((a - b)[kept], dtype=float)), float(low), float(high))


def _f1_difference(first: Model, second: Model) -> Interval:
    low, high = percentiles(first.resampled_f1 - second.resampled_f1)
    return Interval(first.f1_macro.value - second.f1_macro.value, float(low), float(high))
