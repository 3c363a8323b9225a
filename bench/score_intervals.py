"""How often intervals of recall, macro F1 and a difference of recall hold the truth, with few images.

Made-up models whose confusion of classes is known; one training each. ``python -m bench.score_intervals``
prints the table of docs/verdict.md.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from pipeline.report.evidence.score_interval import f1_macro_interval, proportion_interval
from pipeline.report.evidence.tests import compare_classes

DRAWS = 300
SHAPES = ((2, 50), (2, 100), (2, 500), (5, 50), (5, 200), (10, 50), (10, 100), (10, 500), (30, 200),
          (30, 500), (100, 200), (100, 500))  # fmt: skip


@dataclass(frozen=True)
class Coverage:
    """Shares of intervals that hold the truth, over draws, levels of accuracy and (recall) classes."""

    classes: int
    images: int
    uneven: bool
    recall: float
    f1_macro: float
    worst_f1: float  # at the accuracy where it is lowest
    difference: float  # of recall in one class between two models


def coverages() -> Iterator[Coverage]:
    """Yield the coverage for even and uneven classes."""
    rng = np.random.default_rng(7)
    for uneven in (False, True):
        for classes, images in SHAPES:
            found = [_covered(rng, classes, images, uneven, level) for level in (0.6, 0.8, 0.95)]
            recall, f1, difference = np.array([[np.mean(part) for part in one] for one in found]).T
            yield Coverage(
                classes, images, uneven, recall.mean(), f1.mean(), f1.min(), float(np.mean(difference))
            )


def _covered(
    rng: np.random.Generator, classes: int, images: int, uneven: bool, level: float
) -> tuple[list[bool], list[bool], list[bool]]:
    recalls: list[bool] = []
    f1s: list[bool] = []
    differences: list[bool] = []
    for draw in range(DRAWS):
        share = np.linspace(3, 1, classes) if uneven else np.ones(classes)
        share /= share.sum()
        confusion = _confusion(rng, classes, level)
        target = rng.choice(classes, images, p=share)
        guess = _answers(rng, confusion, target)
        right = np.bincount(target[target == guess], minlength=classes)
        number = np.bincount(target, minlength=classes)
        low, high = proportion_interval(right, number)
        truth = np.diag(confusion)
        recalls += ((low <= truth) & (truth <= high))[number > 0].tolist()
        low_f1, high_f1 = f1_macro_interval(target, guess[None], classes)
        f1s.append(bool(low_f1 <= _f1_macro(share, confusion) <= high_f1))
        if draw < DRAWS // 10:
            differences += _differences(rng, confusion, target, guess)
    return recalls, f1s, differences


def _confusion(rng: np.random.Generator, classes: int, level: float) -> np.ndarray:
    """Return the probability of each answer (column) to each class (row): some errors are commoner."""
    right = np.clip(level + 0.1 * (1 - level) * rng.standard_normal(classes), 0.05, 0.995)
    wrong = rng.gamma(0.5, size=(classes, classes)) + 1e-6
    np.fill_diagonal(wrong, 0)
    confusion = (1 - right)[:, None] * wrong / wrong.sum(axis=1, keepdims=True)
    np.fill_diagonal(confusion, right)
    return confusion


def _answers(rng: np.random.Generator, confusion: np.ndarray, target: np.ndarray) -> np.ndarray:
    reached = rng.random((len(target), 1)) < np.cumsum(confusion, axis=1)[target]
    return np.where(reached.any(axis=1), reached.argmax(axis=1), target)


def _f1_macro(share: np.ndarray, confusion: np.ndarray) -> float:
    right, named = share * np.diag(confusion), share @ confusion
    return float(np.mean(2 * right / (share + named)))


def _differences(
    rng: np.random.Generator, confusion: np.ndarray, target: np.ndarray, guess: np.ndarray
) -> list[bool]:
    """Compare with a second model of like confusion, recall by recall: the true difference is zero."""
    other = _answers(rng, confusion, target)
    models = {"a": (guess == target)[None], "b": (other == target)[None]}
    found = compare_classes(models, "a", "b", target)
    return [one.low <= 0 <= one.high for one in found.values()]


def written() -> str:
    """Return the table."""
    head = "classes | images | even | recall | macro F1 | at its worst | difference of recall"
    rows = [
        f"| {one.classes} | {one.images} | {'no' if one.uneven else 'yes'} | "
        + " | ".join(f"{100 * v:.0f}" for v in (one.recall, one.f1_macro, one.worst_f1, one.difference))
        + " |"
        for one in coverages()
    ]
    return "\n".join([f"| {head} |", "|" + "---|" * 7, *rows])


if __name__ == "__main__":
    print(written())
