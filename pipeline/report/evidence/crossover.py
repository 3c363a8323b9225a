"""How many images: until one model catches up with another, to reach an accuracy, or to match another."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from pipeline.report.evidence.data_efficiency import LEVEL, Efficiency

GRID = 240
CLEAR = 0.99  # of the draws agree on who is ahead: many sizes are looked at, so more than LEVEL
MARGIN = 0.01  # a difference of accuracy that does not matter
Why = Literal[
    "fewer than three sizes",
    "no power law fits",
    "not within 10 times these data",
    "level all along",
    "not told apart at any size",
    "ahead already at the smallest size",
    "crosses twice",
    "no size in common",
    "above what the curve levels off at",
]


@dataclass(frozen=True)
class Images:
    """A number of training images with its 95 % interval, or None and ``why``.

    ``low`` is None where the interval begins below the smallest size, ``high`` where it ends beyond
    what the curves reach. ``extrapolated``: the number lies beyond the largest size.
    """

    images: float | None
    low: float | None
    high: float | None
    extrapolated: bool
    why: Why | None = None


@dataclass(frozen=True)
class Prediction:
    """Accuracy after training on ``images``; None for curves that say nothing there."""

    images: int
    accuracy: float
    low: float
    high: float
    extrapolated: bool


def prediction(of: Efficiency, images: int) -> Prediction | None:
    """Return the accuracy to expect of training on ``images``, inside or beyond the sizes."""
    if not of.smallest <= images <= of.reach:
        return None
    error, drawn = (1 - values for values in of.errors(np.array([images], float)))
    low, high = np.clip(np.quantile(drawn, _tails(LEVEL)), 0, 1)
    return Prediction(images, float(error[0]), float(low), float(high), bool(images > of.largest))


def images_to_reach(of: Efficiency, accuracy: float) -> Images:
    """Return how many images bring the model to ``accuracy``."""
    grid = _grid(of.smallest, of.reach)
    error, drawn = of.errors(grid)
    target = 1 - accuracy
    found = _summary(_first(grid, error - target), _first(grid, drawn - target), [of])
    sure = of.laws and np.quantile(of.laws.floor, _tails(LEVEL)[0]) >= target
    if found.images is None and sure:
        return Images(None, found.low, None, False, "above what the curve levels off at")
    return found


def worth(first: Efficiency, images: int, second: Efficiency) -> Images:
    """Return how many images ``second`` needs to be as good as ``first`` after ``images``."""
    at, drawn_at = first.errors(np.array([images], float))
    grid = _grid(second.smallest, second.reach)
    error, drawn = second.errors(grid)
    return _summary(_first(grid, error - at), _first(grid, drawn - drawn_at), [second])


def crossover(behind: Efficiency, ahead: Efficiency, margin: float = MARGIN) -> Images:
    """Return at how many images ``behind`` catches up with ``ahead``, or why there is no such number.

    Both must come of one call of ``efficiencies``. Where both have a law it is looked for up to 10
    times the data, else between the sizes alone. ``margin`` tells level from not known.
    """
    common = np.intersect1d(behind.curve.sizes, ahead.curve.sizes).astype(float)
    if not len(common):
        return Images(None, None, None, False, "no size in common")
    grid = _grid(common[0], min(behind.reach, ahead.reach), common)
    (a, drawn_a), (b, drawn_b) = behind.errors(grid), ahead.errors(grid)
    gap, gaps = a - b, drawn_a - drawn_b
    clear = _clear(gaps)
    why = _refused(clear, gap, gaps, np.isin(grid, common), margin)
    if why:
        return Images(None, None, None, False, why)
    # Where the smallest sizes do not tell (both at chance), the catching up comes after the clear lead.
    start = int(np.argmax(clear > 0)) if np.any(clear > 0) else 0
    found = _first(grid[start:], gap[start:])
    if np.any(clear[grid > found] > 0):
        return Images(None, None, None, False, "crosses twice")
    return _summary(found, _first(grid[start:], gaps[:, start:]), [behind, ahead])


def _tails(level: float) -> tuple[float, float]:
    return (1 - level) / 2, (1 + level) / 2


def _grid(smallest: float, largest: float, including: Iterable[float] = ()) -> np.ndarray:
    between = np.geomspace(smallest, largest, GRID) if largest > smallest else [smallest]
    return np.unique(np.concatenate([between, [n for n in including if n <= largest]]))


def _clear(gaps: np.ndarray) -> np.ndarray:
    """Return 1, -1 or, where draws disagree, 0 for who is behind at each number of images."""
    low, high = np.quantile(gaps, _tails(CLEAR), axis=0)
    return np.where(low > 0, 1, np.where(high < 0, -1, 0))


def _refused(
    clear: np.ndarray, gap: np.ndarray, gaps: np.ndarray, inside: np.ndarray, margin: float
) -> Why | None:
    signs = clear[clear != 0]
    turns = int(np.count_nonzero(np.diff(signs)))
    if not clear[inside].any():
        low, high = np.quantile(gaps[:, inside], _tails(LEVEL), axis=0)
        level = np.all((low > -margin) & (high < margin))
        return "level all along" if level else "not told apart at any size"
    if turns > 1:
        return "crosses twice"
    if signs[0] < 0 and (turns == 1 or gap[0] <= 0):
        return "ahead already at the smallest size"
    return None


def _first(grid: np.ndarray, gap: np.ndarray) -> np.ndarray:
    """Return where each row of ``gap`` [..., grid] first falls to 0, on a logarithmic axis.

    0 where it starts there, infinite where it never does.
    """
    rows = np.atleast_2d(gap)
    down = rows <= 0
    end = down.argmax(axis=1)
    start = np.maximum(end - 1, 0)
    line = np.arange(len(rows))
    before, after = rows[line, start], rows[line, end]
    with np.errstate(divide="ignore", invalid="ignore"):
        share = np.where(before > after, before / (before - after), 1.0)
    between = np.exp(np.log(grid[start]) + share * (np.log(grid[end]) - np.log(grid[start])))
    found = np.where(end == 0, 0.0, between)
    return np.where(down.any(axis=1), found, np.inf).reshape(gap.shape[:-1])


def _summary(point: np.ndarray, drawn: np.ndarray, of: Sequence[Efficiency]) -> Images:
    """Return the number with its interval; where no law says how curves run, up to the sizes around it."""
    low, high = (float(end) for end in np.quantile(drawn, _tails(LEVEL), method="nearest"))
    no_law = next((each.no_law for each in of if each.no_law), None)
    if no_law:
        sizes = sorted(set[int].intersection(*(set(each.curve.sizes) for each in of)))
        low = max([size for size in sizes if size <= low], default=0)
        high = min([size for size in sizes if size >= high], default=np.inf)
    low_known = low if 0 < low < np.inf else None
    high_known = high if 0 < high < np.inf else None
    if np.isinf(point):
        return Images(None, low_known, None, False, no_law or "not within 10 times these data")
    if point == 0:
        return Images(None, None, high_known, False, "ahead already at the smallest size")
    largest = min(each.largest for each in of)
    return Images(float(point), low_known, high_known, bool(point > largest))
