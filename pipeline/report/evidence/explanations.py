"""Explanation maps of two networks on the same test images, and how far maps resemble each other."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
import pandas as pd
from scipy.stats import rankdata

from pipeline.record import MAP_SIDE
from pipeline.report.model import Model

Kind = Literal["disagree", "both wrong", "both right"]


@dataclass(frozen=True)
class Explained:
    """The maps of two models, A and B, in the order of ``index``."""

    index: np.ndarray  # of the test images, int64 [n]
    target: np.ndarray  # int64 [n]
    answers: tuple[np.ndarray, np.ndarray]  # int64 [n] each
    maps: tuple[np.ndarray, np.ndarray]  # uint8 [n, MAP_SIDE, MAP_SIDE] each
    pictures: list[bytes]  # PNGs
    shuffled: tuple[float, float]  # median rank correlation with the map of shuffled weights
    sides: tuple[int, int]  # fields of a map before it was enlarged, a side
    layers: tuple[str, str]

    @cached_property
    def rows(self) -> Mapping[Kind, np.ndarray]:
        """Which images are of which kind; both wrong with the same answer, or else they disagree."""
        a, b = self.answers
        same, right = a == b, a == self.target
        return {
            "disagree": np.flatnonzero(~same),
            "both wrong": np.flatnonzero(same & ~right),
            "both right": np.flatnonzero(same & right),
        }

    @cached_property
    def alike(self) -> np.ndarray:
        """Spearman's correlation of the two maps of each image, float64 [n]; 0 where one is flat."""
        a, b = (rankdata(maps.reshape(len(maps), -1), axis=1) for maps in self.maps)
        a, b = a - a.mean(axis=1, keepdims=True), b - b.mean(axis=1, keepdims=True)
        scale = np.sqrt((a**2).sum(axis=1) * (b**2).sum(axis=1))
        return np.divide((a * b).sum(axis=1), scale, out=np.zeros(len(a)), where=scale > 0)


def explained(first: Model, second: Model) -> Explained | None:
    """Return the maps of the chosen runs of two models; None where one has none, or of other images."""
    tables = first.chosen.explanations, second.chosen.explanations
    a, b = tables
    if a is None or b is None or not np.array_equal(a["index"], b["index"]):
        return None
    index, test = a["index"].to_numpy(), first.chosen_test
    return Explained(
        index,
        test.target[np.searchsorted(test.index, index)],
        (a["answer"].to_numpy(), b["answer"].to_numpy()),
        (_maps(a), _maps(b)),
        list(a["picture"]),
        (float(a["shuffled"].median()), float(b["shuffled"].median())),
        (int(a.attrs["side"]), int(b.attrs["side"])),
        (str(a.attrs["layer"]), str(b.attrs["layer"])),
    )


def _maps(table: pd.DataFrame) -> np.ndarray:
    every = np.frombuffer(b"".join(table["map"]), np.uint8)
    return every.reshape(len(table), MAP_SIDE, MAP_SIDE)
