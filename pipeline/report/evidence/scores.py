"""What one model's predictions on one split say: accuracy, precision, recall, F1, who is taken for whom.

scikit-learn does the arithmetic. Rows of a confusion matrix are true classes, columns predictions.
"""

from dataclasses import dataclass

import numpy as np
from sklearn.metrics import confusion_matrix, precision_recall_fscore_support

from pipeline.record import SplitPredictions


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
    classes = np.arange(split.probability.shape[1])
    truth, guess = split.target, split.predicted
    precision, recall, f1, support = precision_recall_fscore_support(
        truth, guess, labels=classes, zero_division=0
    )
    averages = {
        f"{score}_{average}": float(value)
        for average in ("macro", "weighted")
        for score, value in zip(
            ("precision", "recall", "f1"),
            precision_recall_fscore_support(truth, guess, average=average, zero_division=0)[:3],
            strict=True,
        )
    }
    return Metrics(
        accuracy=float(split.correct.mean()),
        precision=precision,
        recall=recall,
        f1=f1,
        support=support,
        confusion_matrix=confusion_matrix(truth, guess, labels=classes),
        **averages,
    )


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
