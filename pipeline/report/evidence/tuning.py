"""What tuning was worth: the best val score to expect of a budget of trials, and who leads at which budget.

The expected maximum of n trials drawn from those made: Dodge et al. 2019 (arXiv 1909.03004) draw
with replacement, which is biased downwards; Tang et al. 2020 (ACL, "Showing your work doesn't always
work") draw without, which is unbiased. It holds for trials drawn independently, as random search
makes them; those of a sampler that learns from earlier ones are not, so there it describes these
trials in any order, and ``best_so_far`` says what happened.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import gammaln


@dataclass(frozen=True)
class Expected:
    """Best val score to expect after 1, 2, … trials, float [trials], and its standard deviation.

    The deviation is that of the best score from one search to another, not of the mean.
    """

    value: np.ndarray
    deviation: np.ndarray


def expected_best(scores: Sequence[float], unbiased: bool = True) -> Expected:
    """Return what to expect of the best of 1 to len(``scores``) trials.

    ``unbiased`` draws trials without replacement (a U-statistic, zero deviation at the full budget),
    else with it (Dodge's V-statistic). Raises ValueError without scores or with one that is no number.
    """
    ordered = np.sort(np.asarray(scores, float))
    if not len(ordered) or not np.isfinite(ordered).all():
        raise ValueError(f"the best of these trials is not known: {list(scores)}")
    chances = _without_replacement(len(ordered)) if unbiased else _with_replacement(len(ordered))
    value = chances @ ordered
    square = (chances * (ordered - value[:, None]) ** 2).sum(axis=1)
    return Expected(value, np.sqrt(square))


def _with_replacement(trials: int) -> np.ndarray:
    """Return how likely the i-th smallest is the best of n draws, float [n, i]."""
    below = np.arange(trials + 1) / trials
    return np.diff(below ** np.arange(1, trials + 1)[:, None], axis=1)


def _without_replacement(trials: int) -> np.ndarray:
    """Return C(i - 1, n - 1) / C(trials, n), float [n, i]."""
    n, i = np.arange(1, trials + 1)[:, None], np.arange(1, trials + 1)
    with np.errstate(invalid="ignore"):
        logs = _log_choose(i - 1, n - 1) - _log_choose(trials, n)
    return np.where(i >= n, np.exp(np.where(i >= n, logs, 0)), 0)


def _log_choose(of: np.ndarray | int, chosen: np.ndarray) -> np.ndarray:
    of = np.maximum(of, chosen)
    return gammaln(of + 1) - gammaln(chosen + 1) - gammaln(of - chosen + 1)


def best_so_far(scores: Sequence[float]) -> np.ndarray:
    """Return the best score after each trial, in the order they were made, float [trials]."""
    return np.maximum.accumulate(np.asarray(scores, float))


@dataclass(frozen=True)
class Standing:
    """Who leads after ``trials`` each, by expected best val score, and how sure that is."""

    trials: int
    order: tuple[str, ...]  # best first
    lead: float  # of the first over the second
    chance: float  # that the first's best is above the second's, a tie counting half


def standings(scores: Mapping[str, Sequence[float]]) -> list[Standing]:
    """Return the ranking after 1, 2, … trials, up to the fewest that any model made.

    Models' trials are drawn independently. Raises ValueError for fewer than two models.
    """
    if len(scores) < 2:
        raise ValueError(f"a ranking needs two models, not {len(scores)}")
    values = {name: expected_best(trials).value for name, trials in scores.items()}
    found = []
    for n in range(1, min(map(len, scores.values())) + 1):
        order = sorted(values, key=lambda name: -values[name][n - 1])
        first, second = order[:2]
        lead = float(values[first][n - 1] - values[second][n - 1])
        found.append(Standing(n, tuple(order), lead, _chance(scores[first], scores[second], n)))
    return found


def _chance(first: Sequence[float], second: Sequence[float], n: int) -> float:
    """Return how often the best of n of ``first`` is above the best of n of ``second``."""
    a, b = np.sort(np.asarray(first, float)), np.sort(np.asarray(second, float))
    p, q = _without_replacement(len(a))[n - 1], _without_replacement(len(b))[n - 1]
    above = (a[:, None] > b).astype(float) + 0.5 * (a[:, None] == b)
    return float(p @ above @ q)


def lead_from(found: Sequence[Standing]) -> int | None:
    """Return the number of trials from which the final leader leads without a break; None if ever level."""
    if not found or found[-1].lead <= 0:
        return None
    changes = [
        standing.trials for standing in found if standing.order[0] != found[-1].order[0] or standing.lead <= 0
    ]
    return max(changes, default=0) + 1
