from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure
from sklearn.metrics import confusion_matrix

from pipeline.report.chapters import (
    confusion,
    errors,
)
from pipeline.report.evidence.scores import clustered
from tests.made_records import Made
from tests.report.chapters.tools import (
    grid,
    predictions,
    said,
    study_with,
)
from tests.report.conftest import StudyOf


def test_confusions_are_counts_of_the_matrices_largest_first(study_of: StudyOf) -> None:
    study = study_of("one_seed")
    matrices = [confusion_matrix(*predictions(model.chosen)) for model in study.models]
    total = sum(matrices)
    np.fill_diagonal(total, 0)
    rows = grid(confusion.commonest(study))[1:]
    places = [(study.classes.index(row[0]), study.classes.index(row[1])) for row in rows]
    assert [total[place] for place in places] == sorted(total.ravel(), reverse=True)[: len(rows)]
    for row, place in zip(rows, places, strict=True):
        assert row[2:] == [str(matrix[place] or "–") for matrix in matrices]


def test_rows_of_the_heat_map_are_true_labels_and_errors_are_coloured() -> None:
    true, predicted = [0, 0, 0, 1, 2, 2], [0, 1, 1, 1, 2, 0]
    matrix = confusion_matrix(true, predicted)
    axes = Figure(figsize=(6, 6)).subplots()
    confusion.draw_matrix(axes, matrix, ["ant", "bee", "cat"], most=1, images=matrix.sum(axis=1))
    assert [label.get_text() for label in axes.get_yticklabels()] == ["ant", "bee", "cat"]
    assert (axes.get_ylabel(), axes.get_xlabel()) == ("true", "predicted")
    assert axes.yaxis_inverted()
    shares = np.asarray(axes.collections[0].get_array()).reshape(3, 3)
    errors = matrix * (1 - np.eye(3))
    assert shares == pytest.approx(errors / matrix.sum(axis=1, keepdims=True))
    counts = {text.get_position(): text.get_text() for text in axes.texts}
    assert counts[1.5, 0.5] == "2"  # two ants taken for bees: row 0, column 1
    assert (0.5, 1.5) not in counts  # no bee taken for an ant


def test_the_matrices_are_of_the_two_compared_on_one_scale(study_of: StudyOf) -> None:
    study = study_of("one_seed")
    maps = [drawing.axes[0].collections[0] for drawing in confusion.figure(study).content]
    assert len({(m.norm.vmin, m.norm.vmax, m.norm.gamma) for m in maps}) == 1
    places = confusion.order(study)
    assert sorted(places) == list(range(10))
    for drawn, model in zip(maps, confusion.shown_pair(study), strict=True):
        counts = confusion_matrix(model.chosen_test.target, model.chosen_test.predicted)
        shares = np.asarray(drawn.get_array()).reshape(10, 10)
        errors = counts * (1 - np.eye(10)) / counts.sum(axis=1, keepdims=True)
        assert shares == pytest.approx(errors[np.ix_(places, places)])


def test_classes_that_are_mixed_up_stand_side_by_side() -> None:
    matrix = np.diag([50] * 6)
    matrix[0, 5], matrix[5, 0], matrix[2, 4] = 20, 15, 30
    places = clustered(matrix)
    assert abs(places.index(0) - places.index(5)) == abs(places.index(2) - places.index(4)) == 1


def test_of_a_hundred_classes_those_confused_most_are_drawn(study_of: StudyOf) -> None:
    study = study_of("hundred_classes")
    drawn, places = confusion.figure(study), confusion.drawn_classes(study)
    axes = drawn.content[0].axes[0]
    assert "the PDF draws the 24 of 100 classes confused most" in drawn.title
    assert [label.get_text() for label in axes.get_yticklabels()] == [study.classes[k] for k in places]
    first, second = (model.metrics.confusion_matrix for model in confusion.shown_pair(study))
    together = first + second
    np.fill_diagonal(together, 0)
    assert set(np.unravel_index(together.argmax(), together.shape)) <= set(places)
    shares = np.asarray(axes.collections[0].get_array()).reshape(24, 24)
    best = first[np.ix_(places, places)] * (1 - np.eye(24))
    assert shares == pytest.approx(best / first.sum(axis=1)[places][:, None])


def test_all_of_the_errors_are_not_counted_twice(tmp_path: Path) -> None:
    study = study_with(tmp_path, Made(accuracy=0.8, overconfidence=1000.0))

    assert (
        said(study, "errors.confident") == "Each of its 80 errors was made with a confidence of 0.9 or more."
    )
    assert errors._title(study) == "Errors to know: A is at least 0.9 sure of its 80 errors"
    doubtful = study_with(tmp_path / "doubtful", Made(accuracy=0.8, overconfidence=0.01))
    assert errors._title(doubtful) == "Errors to know: A is at least 0.9 sure of none of its 80 errors"
