"""Scores equal those of scikit-learn."""

import numpy as np
import pytest
from sklearn import metrics as sklearn_metrics

from pipeline.report.evidence.scores import metrics, most_confused
from tests.report.made_predictions import predictions, random_predictions


@pytest.mark.parametrize("classes", [2, 10, 100])
def test_scores_equal_those_of_scikit_learn(classes: int) -> None:
    split = random_predictions(500, classes)
    found = metrics(split)
    for name in ("precision", "recall", "f1"):
        for average in ("macro", "weighted"):
            score = getattr(sklearn_metrics, f"{name}_score")
            expected = score(split.target, split.predicted, average=average, zero_division=0)
            assert getattr(found, f"{name}_{average}") == pytest.approx(expected, abs=1e-12)
        each = score(split.target, split.predicted, labels=range(classes), average=None, zero_division=0)
        assert getattr(found, name) == pytest.approx(each, abs=1e-12)
    assert found.accuracy == sklearn_metrics.accuracy_score(split.target, split.predicted)


def test_rows_of_the_confusion_matrix_are_true_classes() -> None:
    found = metrics(predictions([0, 0, 0, 1], [0, 1, 1, 1]))
    assert found.confusion_matrix.tolist() == [[1, 2], [0, 1]]
    assert found.support.tolist() == [3, 1]


def test_a_class_that_never_occurs_has_no_say_in_macro_scores() -> None:
    found = metrics(predictions([0, 1], [0, 1], classes=5))
    assert (found.f1_macro, found.support.tolist()) == (1.0, [1, 1, 0, 0, 0])


def test_a_class_that_is_never_predicted_scores_zero_without_a_warning() -> None:
    found = metrics(predictions([0, 1, 1], [0, 0, 0]))
    assert found.precision.tolist() == [pytest.approx(1 / 3), 0.0]


def test_no_predictions_are_refused() -> None:
    with pytest.raises(ValueError, match="no predictions"):
        metrics(predictions([0], [0]).__class__(np.array([], int), np.array([], int), np.zeros((0, 2))))


def test_most_confused_pairs_come_first_and_off_the_diagonal() -> None:
    found = most_confused(np.array([[5, 3, 0], [1, 9, 0], [0, 4, 0]]), count=2)
    assert [(p.true, p.predicted, p.count, p.share) for p in found] == [(2, 1, 4, 1.0), (0, 1, 3, 0.375)]


def test_perfect_predictions_confuse_nothing() -> None:
    assert most_confused(np.diag([3, 4])) == []
