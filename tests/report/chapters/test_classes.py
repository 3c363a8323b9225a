import re
from dataclasses import replace
from html import unescape
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import (
    f1_score,
    precision_recall_fscore_support,
    recall_score,
)

from pipeline.record import SplitPredictions
from pipeline.report.chapters import (
    classes,
)
from pipeline.report.words.numbers import percent
from tests.made_records import HOSTILE_CLASSES, Made
from tests.report.chapters.tools import (
    DATA,
    grid,
    predictions,
    said,
    study_with,
)
from tests.report.conftest import StudyOf


def test_classes_that_gain_and_lose_are_named(tmp_path: Path) -> None:
    study = study_with(
        tmp_path, Made(accuracy=0.6), Made("resnet18", "fine_tune", 0.6), data=replace(DATA, test=2000)
    )
    own, transfer = study.models
    _answer_class(own.test[0], 0, right=False)
    _answer_class(transfer.test[0], 0, right=True)
    _answer_class(own.test[0], 1, right=True)
    _answer_class(transfer.test[0], 1, right=False)
    text = said(study, "classes.differences")
    assert "does better in one of ten classes beyond noise, namely “airplane” (+100.0 points)" in text
    assert ", but does worse in one of ten classes beyond noise, namely “automobile” (−100.0 points)" in text


def _answer_class(split: SplitPredictions, target: int, right: bool) -> None:
    """Make a model right or wrong on all images of one class."""
    rows = np.flatnonzero(split.target == target)
    predicted = split.predicted.copy()
    predicted[rows] = target if right else (target + 2) % 10
    split.__dict__.update(predicted=predicted, correct=predicted == split.target)


def test_equally_easy_classes_are_not_told_apart(tmp_path: Path) -> None:
    study = study_with(tmp_path, Made(accuracy=0.6), data=replace(DATA, test=2000))
    split = study.models[0].test[0]
    _answer_class(split, 0, right=False)
    _answer_class(split, 1, right=True)
    _answer_class(split, 2, right=True)
    assert said(study, "classes.hardest") == (
        "The custom CNN is right least often in “airplane” (0.0 % of its 192 images) and always in "
        "“automobile” and “bird”."
    )


def test_scores_per_class_are_those_of_scikit_learn(study_of: StudyOf) -> None:
    study = study_of("one_seed")
    header, *rows = grid(classes.scores(study))
    assert header == ["Class", "Images", "E: precision", "recall", "F1", "A: precision", "recall", "F1"]
    scores = [precision_recall_fscore_support(*predictions(model.chosen)) for model in study.pair]
    for k, row in enumerate(rows):
        assert row[0] == study.classes[k]
        assert row[1] == f"{scores[0][3][k]:,}"
        assert row[2:] == [percent(one[part][k]) for one in scores for part in range(3)]


def test_f1_of_every_model_is_listed_by_class(study_of: StudyOf) -> None:
    study = study_of("one_seed")
    rows = grid(classes.f1(study))[1:]
    for column, model in enumerate(study.models, start=1):
        scores = f1_score(*predictions(model.chosen), average=None)
        assert [row[column] for row in rows] == [percent(score) for score in scores]


def test_of_many_classes_the_hardest_are_listed(study_of: StudyOf) -> None:
    study = study_of("hundred_classes")
    shown = {row[0] for row in grid(classes.f1(study))[1:]}
    assert len(shown) == 30
    mean = np.mean([f1_score(*predictions(g.chosen), average=None) for g in study.models], axis=0)
    assert study.classes[int(mean.argmin())] in shown
    assert study.classes[int(mean.argmax())] not in shown


def test_names_of_classes_stay_names_in_html_and_typst(study_of: StudyOf) -> None:
    found = classes.f1(study_of("hostile_names")).content
    first_cells = re.findall(r"<tr><td[^>]*>(.*?)</td>", found.html)
    assert [unescape(re.sub("</?bdi>", "", cell)) for cell in first_cells] == list(HOSTILE_CLASSES)
    assert "<script>" not in found.html
    assert "<b>bold" not in found.html
    assert '[#"#set page(width: 1pt)"]' in found.typst


def test_recalls_are_drawn_with_the_hardest_class_on_top(study_of: StudyOf) -> None:
    study = study_of("one_seed")
    found = [recall_score(m.chosen_test.target, m.chosen_test.predicted, average=None) for m in study.models]
    axes = classes.figure(study).content.axes[0]
    names = [label.get_text() for label in axes.get_yticklabels()]
    assert names == [study.classes[k] for k in np.argsort(np.mean(found, axis=0), kind="stable")]
    points = {(float(x), int(y)) for line in axes.lines for x, y in [line.get_xydata()[0]]
              if len(line.get_xdata()) == 1}  # fmt: skip
    for recall in found:
        for k, name in enumerate(study.classes):
            assert any(y == names.index(name) and x == pytest.approx(recall[k]) for x, y in points)
