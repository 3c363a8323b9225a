"""The most power that any rule could have which claims at most 5 % of equal models to differ.

However large the effect of a training is: of all such rules, a linear program finds the one that is best at
one effect and one difference. The verdict's own rule is set beside it, on the same grid. Part of
``make bench-verdict``.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from scipy.optimize import linprog
from scipy.special import chdtr, ndtr

from pipeline.report.evidence.tests import ALPHA
from pipeline.report.evidence.variance import Spread

SOUGHT = 2.8  # standard errors of the difference that is to be found: 80 % power for who knows them
TASTE, NOISE = 0.36, 0.36  # variances of an image's score: of a model, and of an answer
DIFFERENCES = np.concatenate([np.linspace(0, 8, 81), np.geomspace(8.3, 100, 36)])
VARIANCES = np.concatenate([[0.0], np.geomspace(0.003, 400, 60)])  # between trainings, as estimated
EFFECTS = np.concatenate([[0.0], np.geomspace(0.03, 40, 30)])  # true ones, under which 5 % must hold


@dataclass(frozen=True)
class Ceiling:
    """Variances are in units of that over images of the difference."""

    seeds: int
    models: int
    effect: float  # true variance of the difference that trainings add
    rule: float  # power of the verdict
    best: float  # of the best rule for this very effect


def ceilings() -> Iterator[Ceiling]:
    """Yield what is possible with two to five seeds, alone and with the seeds of other models."""
    for seeds, models in ((2, 2), (3, 2), (5, 2), (3, 4), (3, 8)):
        df, residual = models * (seeds - 1), NOISE / seeds / (TASTE + NOISE / seeds)
        rejected = _rejected(df, residual)
        equal = np.array([_chances(df, residual, effect, 0.0) for effect in EFFECTS])
        for effect in (0.0, 0.3, 1.0, 5.0):
            apart = _chances(df, residual, effect, SOUGHT * np.sqrt(1 + effect))
            best = linprog(-apart, equal, np.full(len(equal), ALPHA), bounds=(0, 1), method="highs")
            yield Ceiling(seeds, models, effect, float(apart @ rejected), float(-best.fun))


def _rejected(df: int, residual: float) -> np.ndarray:
    """Return where on the grid the verdict claims a difference."""
    difference, between = (axis.ravel() for axis in np.meshgrid(DIFFERENCES, VARIANCES, indexing="ij"))
    one = np.ones(difference.size)
    return difference > Spread(difference, one, between, residual * one, df * one).half_width(ALPHA * one)


def _chances(df: int, residual: float, effect: float, difference: float) -> np.ndarray:
    """Return the probability of each cell of the grid, either sign of the difference together."""
    low, high = _edges(DIFFERENCES)
    sd = np.sqrt(1 + effect)
    sides = [ndtr((high - centre) / sd) - ndtr((low - centre) / sd) for centre in (difference, -difference)]
    low, high = (edge * df / (residual + effect) for edge in _edges(VARIANCES))
    return np.outer(sum(sides), chdtr(df, np.minimum(high, 1e12)) - chdtr(df, low)).ravel()


def _edges(grid: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    middle = (grid[1:] + grid[:-1]) / 2
    return np.append(0.0, middle), np.append(middle, np.inf)


def written() -> str:
    """Return the table."""
    head = "seeds | models | effect of a training | verdict | best possible"
    rows = [
        f"| {one.seeds} | {one.models} | {one.effect:g} | {100 * one.rule:.0f} | {100 * one.best:.0f} |"
        for one in ceilings()
    ]
    return "\n".join([f"| {head} |", "|---|---|---|---|---|", *rows])


if __name__ == "__main__":
    print(written())
