"""What images that belong together are worth: how many independent ones would tell as much."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from pipeline.report.evidence.variance import Scores

FEWEST = 5  # groups in test, below which their spread tells nothing of what their images are worth


@dataclass(frozen=True)
class Groups:
    """Groups in each split, and what the test images are worth for the accuracy of one model."""

    by: str  # the column or pattern that made them
    counts: Mapping[str, int]  # groups by split
    test_images: int
    largest: int  # images of the largest group in test
    worth_images: float | None  # None where so few groups, or no mistake, tell nothing of it
    design_effect: float | None  # test images over what they are worth


def groups(by: str, images: pd.DataFrame, correct: np.ndarray, codes: np.ndarray) -> Groups:
    """Return the groups of ``images``, a record's; ``correct`` [seeds, n] and ``codes`` [n] are of test."""
    counts = {str(name): int(rows["group"].nunique()) for name, rows in images.groupby("split", sort=False)}
    worth = _worth(correct, codes)
    return Groups(
        by=by,
        counts=counts,
        test_images=len(codes),
        largest=int(np.bincount(codes).max()),
        worth_images=worth,
        design_effect=None if worth is None else len(codes) / worth,
    )


def _worth(correct: np.ndarray, codes: np.ndarray) -> float | None:
    """Return the images, each for itself, whose mean would vary as much (Kish 1965); at most all."""
    alone, together = Scores.of(correct), Scores.of(correct, codes)
    if len(np.unique(codes)) < FEWEST or not alone.mean.var():
        return None
    variance = together.mean.var() / len(together.mean)
    return float(min(len(codes), alone.mean.var() / variance)) if variance else None
