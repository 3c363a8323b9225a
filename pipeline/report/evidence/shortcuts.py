"""Shortcuts: properties of images, beside what they show, by which alone the classes can be told.

Each property is asked out of fold, by naive Bayes over quantiles with all classes alike. Between any two
kinds of things light and colour differ a little, so what is better than chance is called a shortcut only
where one class is told from the rest far better than things of different kinds usually are.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.special import ndtr, ndtri
from scipy.stats import rankdata
from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

from pipeline.report.evidence.tests import ALPHA, holm
from pipeline.report.evidence.variance import Scores

# Areas under the ROC curve of one class against the rest, from which on a property is called a shortcut.
# Of CIFAR-10's classes, brightness reaches 0.76, colour 0.82, blur 0.72; what a file says tells nothing.
TOLD = {
    "size": 0.65,
    "aspect": 0.65,
    "brightness": 0.78,
    "colour_cast": 0.92,
    "blur": 0.8,
    "file_type": 0.65,
    "file_number": 0.65,
}
LIGHT = ("brightness", "level_01", "level_05", "level_50", "level_95", "level_99")
FOLDS, MOST_BINS, LEAST_A_BIN = 5, 24, 10
SHARED = 1 + FOLDS / (FOLDS - 1)  # times the variance: folds learn from the same images (Nadeau, Bengio 2003)
LEAST = 10  # images of a class that is asked about
MOST = 6000  # images that are looked at
SMALLEST = 16  # pixels of a side, below which sharpness is a matter of the shapes that are shown
SEED = 20190202


@dataclass(frozen=True)
class Shortcut:
    """How well one property alone tells the classes, out of fold; accuracies count each class alike."""

    property: str
    accuracy: float
    chance: float
    p: float  # that accuracy is chance, after Holm's correction over all properties
    told: str  # the class that is told best from the rest
    auc: float  # area under its ROC curve
    auc_low: float  # lower end of its one-sided 95 % interval, over classes
    found: bool  # whether it is called a shortcut
    images: int


def shortcuts(
    images: pd.DataFrame, classes: list[str], grouped: bool = False, side: float | None = None
) -> list[Shortcut]:
    """Return each property that can be asked, in the order of ``TOLD``; ``images`` are a record's.

    ``side`` is the typical image's, in pixels, where known.
    """
    counts = images["target"].value_counts()
    some = images[images["target"].isin(counts.index[counts >= LEAST])]
    if some["target"].nunique() < 2:
        return []
    if len(some) > MOST:
        some = some.sample(MOST, random_state=SEED)
    groups = some["group"].to_numpy(str) if grouped else None
    target = some["target"].to_numpy()
    found, images_asked = [], []
    for name, values in properties(some).items():
        if name == "blur" and (side or SMALLEST) < SMALLEST:
            continue
        rows = _comparable(values[:, 0], target) if name == "file_number" else np.arange(len(some))
        if (one := _asked(values[rows])) is not None:
            of_rows = None if groups is None else groups[rows]
            answers = out_of_fold(*one, target[rows], of_rows)
            found.append(_measured(name, answers, target[rows], of_rows, classes))
            images_asked.append(len(rows))
    p = holm(np.array([measured[3] for measured in found])) if found else np.array([])
    return [
        Shortcut(
            name,
            accuracy,
            chance,
            float(corrected),
            told,
            auc,
            low,
            corrected < ALPHA and low > TOLD[name],
            count,
        )
        for (name, accuracy, chance, _, told, auc, low), corrected, count in zip(
            found, p, images_asked, strict=True
        )
    ]


def properties(images: pd.DataFrame) -> Mapping[str, np.ndarray]:
    """Return the values of each property, float [n, k]; types of files as numbers."""
    width, height = (images[name].to_numpy(float) for name in ("width", "height"))
    known = bool((width > 0).all() and (height > 0).all())
    size = np.log(width * height) if known else np.zeros(len(images))
    aspect = np.log(width / height) if known else np.zeros(len(images))
    types = np.unique(images["file_type"].to_numpy(str), return_inverse=True)[1]
    return {
        "size": size[:, None],
        "aspect": aspect[:, None],
        "brightness": images[list(LIGHT)].to_numpy(float),
        "colour_cast": images[["red_cast", "blue_cast"]].to_numpy(float),
        "blur": images[["sharpness"]].to_numpy(float),
        "file_type": types[:, None].astype(float),
        "file_number": images[["file_number"]].to_numpy(float),
    }


def _comparable(numbers: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Return the rows whose numbers can be compared between classes.

    Where files are numbered anew in each class, high numbers tell no more than that a class is large: then
    only numbers that all classes reach are asked about.
    """
    every = np.arange(len(numbers))
    if not np.isfinite(numbers).all():  # files without numbers, or no files
        return every
    pairs = np.unique(np.column_stack([numbers, target]), axis=0)
    if len(np.unique(pairs[:, 0])) == len(pairs):  # no number stands in two classes
        return every
    highest = min(numbers[target == k].max() for k in np.unique(target))
    rows = np.flatnonzero(numbers <= highest)
    return rows if np.unique(target[rows], return_counts=True)[1].min() >= LEAST else every


def _asked(values: np.ndarray) -> tuple[np.ndarray, int] | None:
    """Return quantile codes int [n, k] and how many there are; None where nothing varies or is missing."""
    if not np.isfinite(values).all() or len(np.unique(values, axis=0)) < 2:
        return None
    bins = int(np.clip(len(values) // (10 * LEAST_A_BIN), 4, MOST_BINS))
    codes = np.zeros(values.shape, np.int64)
    for column, numbers in enumerate(values.T):
        distinct = np.unique(numbers)
        edges = (
            distinct[1:]
            if len(distinct) <= bins
            else np.unique(np.quantile(numbers, np.linspace(0, 1, bins + 1)[1:-1]))
        )
        codes[:, column] = np.searchsorted(edges, numbers, side="right")
    return codes, int(codes.max()) + 1


def out_of_fold(codes: np.ndarray, bins: int, target: np.ndarray, groups: np.ndarray | None) -> np.ndarray:
    """Return the probability of each class present, as if all were equally common: [n, classes]."""
    present, classes = np.unique(target, return_inverse=True)
    answers = np.full((len(target), len(present)), 1 / len(present))
    for learned, asked in _folds(classes, groups):
        logs = np.zeros((len(asked), len(present)))
        for column in codes.T:
            counts = np.zeros((len(present), bins))
            np.add.at(counts, (classes[learned], column[learned]), 1)
            padded = np.pad(counts, ((0, 0), (1, 1)))
            smooth = counts + (padded[:, :-2] + padded[:, 2:]) / 2 + 1
            logs += np.log(smooth / smooth.sum(1, keepdims=True))[:, column[asked]].T
        answers[asked] = np.exp(logs - logs.max(1, keepdims=True))
        answers[asked] /= answers[asked].sum(1, keepdims=True)
    return answers


def _folds(classes: np.ndarray, groups: np.ndarray | None) -> list[tuple[np.ndarray, np.ndarray]]:
    if groups is None:
        return list(StratifiedKFold(FOLDS, shuffle=True, random_state=0).split(classes, classes))
    folds = min(FOLDS, len(np.unique(groups)))
    by_group = StratifiedGroupKFold(folds, shuffle=True, random_state=0)
    return list(by_group.split(classes, classes, groups)) if folds > 1 else []


def _measured(
    name: str, answers: np.ndarray, target: np.ndarray, groups: np.ndarray | None, classes: list[str]
) -> tuple[str, float, float, float, str, float, float]:
    """Return name, accuracy, chance, p, and the class told best with its area and that area's lower end."""
    present, codes, counts = np.unique(target, return_inverse=True, return_counts=True)
    # Ties are broken at random: the first class would get them all.
    shaken = answers + 1e-9 * np.random.default_rng(SEED).random(answers.shape)
    right = shaken.argmax(1) == codes
    weighted = right * (len(target) / len(present) / counts[codes])
    scores = Scores.of(weighted[None], groups)
    accuracy, chance = float(weighted.mean()), 1 / len(present)
    variance = SHARED * max(scores.mean.var(), chance * (1 - chance) * 0.25)
    deviation = float(np.sqrt(variance / len(scores.mean)))
    p = float(ndtr((chance - accuracy) / deviation))
    areas = [_area(answers[:, k], codes == k) for k in range(len(present))]
    best = int(np.argmax(areas))
    positive, negative = int(counts[best]), int(len(target) - counts[best])
    if groups is not None:  # as many as there are groups, at most
        positive, negative = (len(np.unique(groups[(codes == best) == side])) for side in (True, False))
    low = areas[best] - float(ndtri(1 - ALPHA / len(present))) * _error(areas[best], positive, negative)
    return name, accuracy, chance, p, classes[int(present[best])], areas[best], low


def _area(scores: np.ndarray, positive: np.ndarray) -> float:
    ranks, count = rankdata(scores), int(positive.sum())
    return float((ranks[positive].sum() - count * (count + 1) / 2) / (count * (len(scores) - count)))


def _error(area: float, positive: int, negative: int) -> float:
    """Return the standard error of an area under a ROC curve (Hanley and McNeil 1982)."""
    first, second = area / (2 - area), 2 * area**2 / (1 + area)
    variance = area * (1 - area) + (positive - 1) * (first - area**2) + (negative - 1) * (second - area**2)
    return float(np.sqrt(max(variance, 0.0) / (positive * negative)))
