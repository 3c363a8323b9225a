"""Slices: accuracy by what is known of the test images, each slice against all the rest."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from scipy.special import ndtr

from pipeline.record import METADATA
from pipeline.report.evidence.interval import accuracy
from pipeline.report.evidence.tests import ALPHA, holm
from pipeline.report.evidence.variance import Scores

MEASURED = {
    "brightness": "brightness",
    "contrast": "contrast",
    "sharpness": "sharpness",
    "size": "size",
    "aspect": "aspect",
    "file_type": "file type",
}
LEAST = 20  # images of a slice, and of the rest
MOST_VALUES = 12  # of a column that is cut by its values; numbers with more are cut in quarters
QUARTERS = ("lowest quarter", "second quarter", "third quarter", "highest quarter")


@dataclass(frozen=True)
class Slice:
    """One model's accuracy on some of the test images, mean over seeds, and against the others."""

    property: str
    slice: str
    images: int
    accuracy: float
    low: float  # 95 % interval of the accuracy
    high: float
    rest: float  # accuracy on the other test images
    difference: float
    p: float
    p_holm: float  # after Holm's correction over all slices
    weak: bool  # whether it is below the rest beyond noise


def slices(table: pd.DataFrame, correct: np.ndarray, groups: np.ndarray | None = None) -> list[Slice]:
    """Return every slice of enough images, weakest first, from a ``table`` [n] of test.

    ``correct`` bool [seeds, n]; with ``groups`` [n], intervals and tests count these.
    """
    found = [
        _slice(name, value, inside, correct, groups)
        for name, value, inside in cuts(table)
        if LEAST <= inside.sum() <= len(inside) - LEAST
    ]
    if not found:
        return []
    corrected = holm(np.array([one.p for one in found]))
    whole = [
        replace(one, p_holm=float(p), weak=bool(p < ALPHA and one.difference < 0))
        for one, p in zip(found, corrected, strict=True)
    ]
    return sorted(whole, key=lambda one: one.difference)


def cuts(table: pd.DataFrame) -> Iterator[tuple[str, str, np.ndarray]]:
    """Yield property, slice and which images are in it, bool [n]."""
    known = table.assign(
        size=np.sqrt(table["width"].astype(float) * table["height"]),
        aspect=table["width"] / table["height"].where(table["height"] > 0),
    )
    columns: dict[str, str] = dict(MEASURED)
    columns |= {
        column: column.removeprefix(METADATA) for column in map(str, table) if column.startswith(METADATA)
    }
    for column, name in columns.items():
        for value, inside in _values(known[column]):
            yield name, value, inside


def _values(column: "pd.Series[str]") -> list[tuple[str, np.ndarray]]:
    numbers = pd.to_numeric(column, errors="coerce")
    distinct = column.nunique()
    if distinct < 2:
        return []
    if distinct > MOST_VALUES and numbers.notna().all():
        edges = np.quantile(numbers, [0.25, 0.5, 0.75])
        if len(np.unique(edges)) < 3:
            return []
        codes = np.searchsorted(edges, numbers, side="right")
        return [(QUARTERS[k], codes == k) for k in range(4)]
    if distinct > MOST_VALUES:
        return []
    return [
        (str(value) or "(empty)", (column == value).to_numpy())
        for value in sorted(column.dropna().unique(), key=str)
    ]


def _slice(
    name: str, value: str, inside: np.ndarray, correct: np.ndarray, groups: np.ndarray | None
) -> Slice:
    mean = correct.mean(axis=0, dtype=np.float64)
    score = accuracy(correct[:, inside], None if groups is None else groups[inside])
    here, rest = float(mean[inside].mean()), float(mean[~inside].mean())
    return Slice(
        property=name,
        slice=value,
        images=int(inside.sum()),
        accuracy=here,
        low=score.low,
        high=score.high,
        rest=rest,
        difference=here - rest,
        p=_p(mean, inside, groups),
        p_holm=1.0,
        weak=False,
    )


def _p(mean: np.ndarray, inside: np.ndarray, groups: np.ndarray | None) -> float:
    """Return p of no difference between two proportions, one image right and one wrong added to each.

    As Agresti and Caffo 2000; of groups, the variance is as much wider as theirs.
    """
    sides = [mean[inside], mean[~inside]]
    shares = [(side.sum() + 1) / (len(side) + 2) for side in sides]
    variance = sum(p * (1 - p) / (len(side) + 2) for p, side in zip(shares, sides, strict=True))
    if groups is not None:
        variance *= max(1.0, _wider(mean, inside, groups))
    return float(2 * ndtr(-abs(shares[0] - shares[1]) / np.sqrt(variance)))


def _wider(mean: np.ndarray, inside: np.ndarray, groups: np.ndarray) -> float:
    """Return how many times larger the variance of the difference is over groups than over images."""
    n, m = inside.sum(), (~inside).sum()
    means = np.where(inside, mean[inside].mean(), mean[~inside].mean())
    influence = (mean - means) * np.where(inside, len(mean) / n, -len(mean) / m)
    alone, together = Scores.of(influence[None]), Scores.of(influence[None], groups)
    if not alone.mean.var() or together.each <= 1:
        return 1.0
    return float((together.mean.var() / len(together.mean)) / (alone.mean.var() / len(alone.mean)))
