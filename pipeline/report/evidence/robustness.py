"""Whether a difference stands up to other ways of counting: other images left out, another score."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Literal

import numpy as np

from pipeline.report.evidence.per_image import f1_scores
from pipeline.report.evidence.tests import MARGIN, Comparison, compare, compare_scores
from pipeline.report.model import Model

Way = Literal["without duplicates", "without doubted labels", "macro F1"]


@dataclass(frozen=True)
class Recount:
    """The comparison of two models counted in one other way."""

    way: Way
    images: int
    comparison: Comparison


def recounts(
    models: Sequence[Model],
    first: Model,
    second: Model,
    twins: Sequence[int],
    doubted: Sequence[int],
    margin: float = MARGIN,
    groups: np.ndarray | None = None,
) -> list[Recount]:
    """Count again without duplicates (``twins``), without ``doubted`` labels, and by macro F1.

    Both lists hold indices of test images; a way that leaves out none or all is left out itself. The rule
    is that of all comparisons, over all ``models``.
    """
    index = first.test[0].index
    ways: dict[Way, Sequence[int]] = {"without duplicates": twins, "without doubted labels": doubted}
    found = []
    for way, left_out in ways.items():
        kept = ~np.isin(index, left_out)
        if kept.any() and not kept.all():
            together = None if groups is None else groups[kept]
            on = _pair(partial(compare, margin=margin, groups=together), _kept(models, kept), first, second)
            found.append(Recount(way, int(kept.sum()), on))
    scores = {model.key: _f1(model) for model in models}
    by_f1 = _pair(partial(compare_scores, margin=margin, groups=groups), scores, first, second)
    return [*found, Recount("macro F1", len(index), by_f1)]


def _kept(models: Sequence[Model], kept: np.ndarray) -> dict[str, np.ndarray]:
    return {model.key: model.correct[:, kept] for model in models}


def _f1(model: Model) -> np.ndarray:
    predicted = np.stack([split.predicted for split in model.test])
    return f1_scores(model.test[0].target, predicted, len(model.chosen.classes))


def _pair(
    compared: Callable[[Mapping[str, np.ndarray]], list[Comparison]],
    scores: Mapping[str, np.ndarray],
    first: Model,
    second: Model,
) -> Comparison:
    """Return the comparison of the two among all, seen from ``first``."""
    keys = {first.key, second.key}
    found = next(one for one in compared(scores) if {one.first, one.second} == keys)
    return found if found.first == first.key else found.reversed
