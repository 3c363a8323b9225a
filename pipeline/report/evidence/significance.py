"""Whether two models differ: paired tests and intervals on the same test images.

Exact McNemar tests (Dietterich 1998) compare the chosen seeds of two models, with Holm's correction
over all pairs. Differences are between means over seeds, as in the headline, with paired bootstrap
intervals over images.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from statsmodels.stats.contingency_tables import mcnemar
from statsmodels.stats.multitest import multipletests

from pipeline.report.evidence.interval import Interval, grouped_sums, percentiles, resampled_mean, wilson

ALPHA = 0.05


@dataclass(frozen=True)
class PairTest:
    """Two models on the same test images; ``only_first`` images are right in the first alone.

    The counts and ``p`` are of the chosen seeds; ``difference`` and the seeds' accuracies are of all.
    """

    first: str
    second: str
    difference: Interval  # how much more often first is right than second, a fraction
    both: int
    only_first: int
    only_second: int
    neither: int
    p: float
    p_holm: float
    first_seeds: tuple[float, ...]
    second_seeds: tuple[float, ...]

    @property
    def images(self) -> int:
        return self.both + self.only_first + self.only_second + self.neither

    @property
    def significant(self) -> bool:
        """Whether the McNemar test supports the sign of the difference at 5 % after Holm."""
        right_way = np.sign(self.only_first - self.only_second) == np.sign(self.difference.value)
        return self.p_holm < ALPHA and self.difference.excludes_zero and bool(right_way)

    @property
    def seeds_overlap(self) -> bool:
        """Whether some seed of the weaker model does at least as well as one of the stronger.

        Never so for two single runs: one seed each cannot tell.
        """
        return overlapping(self.first_seeds, self.second_seeds)

    @property
    def distinguishable(self) -> bool:
        """Whether the report may call one of them more accurate."""
        return self.significant and not self.seeds_overlap

    @property
    def reversed(self) -> "PairTest":
        """The same test seen from the second model."""
        return replace(
            self,
            first=self.second,
            second=self.first,
            difference=self.difference.reversed,
            only_first=self.only_second,
            only_second=self.only_first,
            first_seeds=self.second_seeds,
            second_seeds=self.first_seeds,
        )


def overlapping(first: Sequence[float], second: Sequence[float]) -> bool:
    """Whether some seed of the weaker of two models does at least as well as one of the stronger."""
    weak, strong = sorted((first, second), key=np.mean)
    return max(len(weak), len(strong)) > 1 and max(weak) >= min(strong)


@dataclass(frozen=True)
class Contestant:
    """What a pairwise test needs to know of a model."""

    name: str
    correct: np.ndarray  # bool [seeds, images]: which images each seed got right
    chosen: int  # which seed is tested

    @property
    def accuracies(self) -> tuple[float, ...]:
        return tuple(float(accuracy) for accuracy in self.correct.mean(axis=1))

    def accuracies_on(self, rows: np.ndarray) -> tuple[float, ...]:
        """Return the accuracy of each seed on the images ``rows``, bool [images]."""
        return tuple(float(accuracy) for accuracy in self.correct[:, rows].mean(axis=1))

    @property
    def chosen_correct(self) -> np.ndarray:
        return self.correct[self.chosen]

    @property
    def mean_correct(self) -> np.ndarray:
        """The share of seeds that got each image right, float32 [images]."""
        return self.correct.mean(axis=0, dtype=np.float32)


def pairwise(models: Sequence[Contestant]) -> list[PairTest]:
    """Test each pair of models once, in order; p values are Holm-corrected over all these pairs."""
    pairs = [(a, b) for i, a in enumerate(models) for b in models[i + 1 :]]
    return tested(pairs)


def tested(pairs: Sequence[tuple["Contestant", "Contestant"]]) -> list[PairTest]:
    """Test these pairs; p values are Holm-corrected over them together."""
    tables = [_table(a.chosen_correct, b.chosen_correct) for a, b in pairs]
    p_values = [mcnemar_exact(table) for table in tables]
    return [
        PairTest(
            first=a.name,
            second=b.name,
            difference=paired_difference(a.mean_correct, b.mean_correct),
            both=int(table[0, 0]),
            only_first=int(table[0, 1]),
            only_second=int(table[1, 0]),
            neither=int(table[1, 1]),
            p=p,
            p_holm=p_holm,
            first_seeds=a.accuracies,
            second_seeds=b.accuracies,
        )
        for (a, b), table, p, p_holm in zip(pairs, tables, p_values, holm(p_values), strict=True)
    ]


def _table(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Return [[both right, only first], [only second, neither]], int [2, 2]."""
    return np.array(
        [
            [(first & second).sum(), (first & ~second).sum()],
            [(~first & second).sum(), (~first & ~second).sum()],
        ]
    )


def mcnemar_exact(table: np.ndarray) -> float:
    """Return the two-sided exact McNemar p value of a 2 × 2 table; 1 without discordant images."""
    if table[0, 1] + table[1, 0] == 0:
        return 1.0
    return min(1.0, float(mcnemar(table, exact=True).pvalue))


def holm(p_values: Sequence[float]) -> list[float]:
    """Return Holm's step-down corrected p values, in the order given."""
    if not len(p_values):
        return []
    return [float(p) for p in multipletests(p_values, alpha=ALPHA, method="holm")[1]]


def paired_difference(a: np.ndarray, b: np.ndarray) -> Interval:
    """Return the difference of two mean accuracies with a paired bootstrap interval over images.

    Each value is the share of seeds that got one image right, float [images]. Where no image tells the
    two apart a bootstrap has nothing to draw: the interval is Newcombe's.
    """
    if not np.any(a != b):
        return class_differences(a, b, np.zeros(len(a), int), 1)[0]
    low, high = percentiles(resampled_mean(a - b))
    return Interval(float(np.mean(a, dtype=float) - np.mean(b, dtype=float)), float(low), float(high))


@dataclass(frozen=True)
class ClassDifference:
    """How much more often ``first`` is right than ``second`` on the images of one class."""

    target: int
    images: int
    first: float  # recall
    second: float
    difference: Interval
    p_holm: float  # exact McNemar of the chosen seeds on this class, Holm over classes
    first_seeds: tuple[float, ...]  # recall of each seed
    second_seeds: tuple[float, ...]
    lead: int  # of the chosen seeds: images right in the first alone minus those in the second alone

    @property
    def distinguishable(self) -> bool:
        """Whether the report may say that one of them does better here, as ``PairTest`` of all images."""
        right_way = np.sign(self.lead) == np.sign(self.difference.value)
        supported = self.p_holm < ALPHA and self.difference.excludes_zero and bool(right_way)
        return supported and not overlapping(self.first_seeds, self.second_seeds)


def per_class(
    first: Contestant, second: Contestant, target: np.ndarray, classes: int
) -> list[ClassDifference]:
    """Compare two models class by class, leaving out classes without test images.

    ``target`` holds the class of each image, int [images].
    """
    a, b = first.mean_correct, second.mean_correct
    of_class = {k: target == k for k in range(classes) if np.any(target == k)}
    tables = [_table(first.chosen_correct[rows], second.chosen_correct[rows]) for rows in of_class.values()]
    differences = class_differences(a, b, target, classes)
    p_values = holm([mcnemar_exact(table) for table in tables])
    return [
        ClassDifference(
            target=k,
            images=int(rows.sum()),
            first=float(a[rows].mean()),
            second=float(b[rows].mean()),
            difference=differences[k],
            p_holm=p_holm,
            first_seeds=first.accuracies_on(rows),
            second_seeds=second.accuracies_on(rows),
            lead=int(table[0, 1] - table[1, 0]),
        )
        for (k, rows), table, p_holm in zip(of_class.items(), tables, p_values, strict=True)
    ]


def class_differences(
    first: np.ndarray, second: np.ndarray, target: np.ndarray, classes: int
) -> list[Interval]:
    """Return the paired difference of recall for every class, with Newcombe's 95 % interval.

    ``first`` and ``second`` hold how often each image was right (0 to 1, mean over seeds), ``target``
    its class; all [images]. Method 10 of Newcombe 1998 (Statistics in Medicine 17:2635), which holds
    with few images and at 100 %. For several seeds it takes the interval of one run: cautious.
    """
    sums = grouped_sums(target, None, classes)
    n = np.maximum(sums @ np.ones(len(target)), 1)
    right_a, right_b, both = sums @ first, sums @ second, sums @ (first * second)
    a, b = right_a / n, right_b / n
    (low_a, high_a), (low_b, high_b) = wilson(right_a, n), wilson(right_b, n)
    phi = _phi(n, right_a, right_b, both)
    below = _root((a - low_a), (high_b - b), phi)
    above = _root((high_a - a), (b - low_b), phi)
    return [
        Interval(float(d), float(d - down), float(d + up))
        for d, down, up in zip(a - b, below, above, strict=True)
    ]


def _phi(n: np.ndarray, right_a: np.ndarray, right_b: np.ndarray, both: np.ndarray) -> np.ndarray:
    """Return the correlation of two models' answers, continuity corrected as in Newcombe's method 10."""
    excess = n * both - right_a * right_b
    corrected = np.where(excess > 0, np.maximum(excess - n / 2, 0), excess)
    scale = np.sqrt(np.clip(right_a * (n - right_a) * right_b * (n - right_b), 0, None))
    return np.divide(corrected, scale, out=np.zeros_like(scale), where=scale > 1e-9)


def _root(x: np.ndarray, y: np.ndarray, phi: np.ndarray) -> np.ndarray:
    return np.sqrt(np.maximum(x**2 - 2 * phi * x * y + y**2, 0))
