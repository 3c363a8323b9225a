"""Errors to look at: what models miss together, miss with confidence, and labels that may be wrong."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from cleanlab.filter import find_label_issues

from pipeline.record import SplitPredictions
from pipeline.report.evidence.interval import Interval, difference_of_shares, mean_correct

MANY_DOUBTED = 0.05  # share of doubted labels above which the models are the likelier reason


@dataclass(frozen=True)
class Mistake:
    """One test image that a model got wrong."""

    index: int
    target: int
    predicted: int
    confidence: float  # probability of the predicted class
    target_probability: float


@dataclass(frozen=True)
class Answer:
    """What one model said of an image."""

    model: str
    predicted: int
    confidence: float


@dataclass(frozen=True)
class Miss:
    """One test image that every model got wrong, the one they were surest about first."""

    index: int
    target: int
    answers: list[Answer]


@dataclass(frozen=True)
class Agreement:
    """How the models' answers on the test images go together."""

    share: np.ndarray  # [models, models]: share of images with the same answer
    missed: np.ndarray  # [models, models]: how many images both get wrong; on the diagonal, its errors
    all_right: int
    all_miss: int
    same_miss: int  # of these, images to which all give one and the same wrong answer
    expected_all_miss: float  # if errors fell independently of each other
    images: int


@dataclass(frozen=True)
class LabelIssue:
    """One test image whose label confident learning doubts; ``suggested`` is the models' answer."""

    index: int
    target: int
    suggested: int
    target_probability: float  # mean over all runs
    suggested_probability: float
    unanimous: bool  # every model, by its chosen seed, answers ``suggested``


@dataclass(frozen=True)
class WithoutDuplicates:
    """A model's accuracy on the test images that have no near twin in train."""

    images: int  # left
    removed: int
    accuracy: float
    accuracy_removed: float  # on the images taken out
    difference: Interval  # accuracy on twins - accuracy on the others: two groups, not paired


def confident_mistakes(split: SplitPredictions, count: int = 10) -> list[Mistake]:
    """Return the errors that the model was surest of, surest first."""
    confidence = split.probability.max(axis=1)
    wrong = np.flatnonzero(~split.correct)
    rows = wrong[np.argsort(-confidence[wrong], kind="stable")[:count]]
    return [
        Mistake(
            int(split.index[row]),
            int(split.target[row]),
            int(split.predicted[row]),
            float(confidence[row]),
            float(split.probability[row, split.target[row]]),
        )
        for row in rows
    ]


def missed_by_all(models: Sequence[tuple[str, SplitPredictions]]) -> list[Miss]:
    """Return the images that every model gets wrong, by falling mean confidence in the wrong answer."""
    wrong = np.all([~split.correct for _, split in models], axis=0)
    sure = np.mean([split.probability.max(axis=1) for _, split in models], axis=0)
    rows = np.flatnonzero(wrong)
    first = models[0][1]
    return [
        Miss(
            int(first.index[row]),
            int(first.target[row]),
            [
                Answer(name, int(split.predicted[row]), float(split.probability[row].max()))
                for name, split in models
            ],
        )
        for row in rows[np.argsort(-sure[rows], kind="stable")]
    ]


def agreement(models: Sequence[SplitPredictions]) -> Agreement:
    """Compare the answers of models on the same images."""
    answers = np.array([split.predicted for split in models])
    correct = np.array([split.correct for split in models])
    images, wrong = answers.shape[1], (~correct).astype(int)
    same = (answers == answers[0]).all(axis=0)
    return Agreement(
        share=np.array([(answers == row).mean(axis=1) for row in answers]),
        missed=wrong @ wrong.T,
        all_right=int(correct.all(axis=0).sum()),
        all_miss=int((~correct).all(axis=0).sum()),
        same_miss=int((same & ~correct[0]).sum()),
        expected_all_miss=float(images * np.prod(1 - correct.mean(axis=1))),
        images=images,
    )


def label_issues(runs: Sequence[SplitPredictions], chosen: Sequence[SplitPredictions]) -> list[LabelIssue]:
    """Return the test images whose labels confident learning doubts, most doubtful first.

    cleanlab (Northcutt et al. 2021, arXiv 1911.00068) on the mean probabilities of all ``runs``, which
    never trained on these images. Where the models are weak it doubts good labels too: look at the
    images before believing it.
    """
    probability = np.stack([split.probability for split in runs]).mean(axis=0, dtype=np.float64)
    target, index = runs[0].target, runs[0].index
    rows = _doubtful(target, probability)
    suggested = probability.argmax(axis=1)
    unanimous = np.all([split.predicted == suggested for split in chosen], axis=0)
    return [
        LabelIssue(
            int(index[row]),
            int(target[row]),
            int(suggested[row]),
            float(probability[row, target[row]]),
            float(probability[row, suggested[row]]),
            bool(unanimous[row]),
        )
        for row in rows
        if suggested[row] != target[row]
    ]


def _doubtful(target: np.ndarray, probability: np.ndarray) -> np.ndarray:
    """Return the rows that cleanlab flags; it needs two images of a class to say anything of it."""
    common = np.bincount(target, minlength=probability.shape[1]) > 1
    if common.sum() < 2:
        return np.array([], int)
    rows = np.flatnonzero(common[target])
    narrow = np.maximum(probability[np.ix_(rows, common)], 1e-12)
    labels = (np.cumsum(common) - 1)[target[rows]]
    narrow /= narrow.sum(axis=1, keepdims=True)
    flagged = find_label_issues(labels, narrow, return_indices_ranked_by="self_confidence", n_jobs=1)
    return rows[np.asarray(flagged, int)]


def without_duplicates(splits: Sequence[SplitPredictions], twins: Sequence[int]) -> WithoutDuplicates | None:
    """Return the mean accuracy over seeds without the images ``twins``; None when that is none or all."""
    correct = mean_correct(splits)
    twin = np.isin(splits[0].index, twins)
    if not twin.any() or twin.all():
        return None
    return WithoutDuplicates(
        images=int((~twin).sum()),
        removed=int(twin.sum()),
        accuracy=float(correct[~twin].mean()),
        accuracy_removed=float(correct[twin].mean()),
        difference=difference_of_shares(
            float(correct[twin].mean()), int(twin.sum()), float(correct[~twin].mean()), int((~twin).sum())
        ),
    )
