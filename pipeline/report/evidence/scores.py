"""What one model's predictions on one split say: accuracy, precision, recall, F1, who is taken for whom.

scikit-learn does the arithmetic. Rows of a confusion matrix are true classes, columns predictions.
"""

from dataclasses import dataclass

import numpy as np
from scipy.cluster.hierarchy import leaves_list, linkage
from scipy.spatial.distance import squareform
from sklearn.metrics import precision_recall_fscore_support

from pipeline.record import SplitPredictions

PERMUTATIONS = 1999


@dataclass(frozen=True)
class Metrics:
    """Scores of one set of predictions, fractions; arrays hold one value per class.

    Macro scores average classes equally, weighted ones by their images. As in scikit-learn, classes
    that are neither in the targets nor predicted are left out of macro scores, and a ratio without
    cases (0/0) is 0.
    """

    accuracy: float
    precision_macro: float
    recall_macro: float
    f1_macro: float
    precision_weighted: float
    recall_weighted: float
    f1_weighted: float
    precision: np.ndarray  # [classes]
    recall: np.ndarray  # [classes]
    f1: np.ndarray  # [classes]
    support: np.ndarray  # images of each true class, int [classes]
    confusion_matrix: np.ndarray  # int [classes, classes], rows true


@dataclass(frozen=True)
class ConfusedPair:
    """Images of class ``true`` that were taken for class ``predicted``."""

    true: int
    predicted: int
    count: int
    share: float  # of the images of class true


def metrics(split: SplitPredictions) -> Metrics:
    """Return the scores of the most probable classes. Raises ValueError without any image."""
    if len(split.target) == 0:
        raise ValueError("There are no predictions to score.")
    matrix = confusion_matrix(split)
    truth, guess = np.indices(matrix.shape).reshape(2, -1)  # each cell counts as often as it says
    precision, recall, f1, _ = precision_recall_fscore_support(
        truth, guess, labels=np.arange(len(matrix)), sample_weight=matrix.ravel(), zero_division=0
    )
    support = matrix.sum(axis=1)
    present = (support + matrix.sum(axis=0)) > 0
    each = {"precision": precision, "recall": recall, "f1": f1}
    averages = {f"{name}_macro": float(score[present].mean()) for name, score in each.items()}
    for name, score in each.items():
        averages[f"{name}_weighted"] = float(np.average(score, weights=support))
    return Metrics(
        accuracy=float(split.correct.mean()),
        precision=precision,
        recall=recall,
        f1=f1,
        support=support,
        confusion_matrix=matrix,
        **averages,
    )


def confusion_matrix(split: SplitPredictions) -> np.ndarray:
    """Return how many images of each class (row) were taken for each (column), int [classes, classes]."""
    classes = split.probability.shape[1]
    cells = np.bincount(split.target * classes + split.predicted, minlength=classes**2)
    return cells.reshape(classes, classes)


def alike(right: np.ndarray, images: np.ndarray) -> float:
    """Return the p of recalls as unlike as these, were every image as easy: a permutation test.

    ``right`` of ``images``, int [classes]. Drawn with a fixed seed.
    """
    share = right.sum() / images.sum()
    drawn = np.random.default_rng(0).multivariate_hypergeometric(images, int(right.sum()), PERMUTATIONS)
    unlike = np.sum((np.vstack([right, drawn]) - share * images) ** 2 / images, axis=1)
    return float(np.mean(unlike >= unlike[0] - 1e-9))


def most_confused(matrix: np.ndarray, count: int = 10) -> list[ConfusedPair]:
    """Return the largest cells off the diagonal of a confusion matrix, largest first."""
    errors = matrix.copy()
    np.fill_diagonal(errors, 0)
    support = matrix.sum(axis=1)
    order = np.argsort(-errors, axis=None, kind="stable")[:count]
    cells = [divmod(int(cell), len(matrix)) for cell in order]
    return [
        ConfusedPair(
            true, predicted, int(errors[true, predicted]), float(errors[true, predicted] / support[true])
        )
        for true, predicted in cells
        if errors[true, predicted]
    ]


def clustered(matrix: np.ndarray) -> list[int]:
    """Return the classes of a confusion matrix in an order in which those mixed up are neighbours.

    Average linkage on how rarely two classes are taken for each other, leaves in the best order
    (Bar-Joseph et al. 2001).
    """
    classes = len(matrix)
    if classes < 3:
        return list(range(classes))
    shares = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    mixed = (shares + shares.T) / 2
    distance = 1 - mixed / max(float(mixed[~np.eye(classes, dtype=bool)].max()), 1e-12)
    np.fill_diagonal(distance, 0)
    tree = linkage(
        squareform(np.clip(distance, 0, 1), checks=False), "average", optimal_ordering=classes <= 400
    )
    return [int(k) for k in leaves_list(tree)]
