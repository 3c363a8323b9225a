"""Labels in doubt and near-duplicates are told with their numbers."""

from pathlib import Path

import numpy as np
from sklearn.metrics import accuracy_score

from pipeline.report.chapters import labels
from pipeline.report.words.numbers import percent
from tests.made_records import Made, MadeData
from tests.report.chapters.tools import (
    grid,
    predictions,
    rules,
    said,
    study_with,
)
from tests.report.conftest import StudyOf


def test_duplicates_table_gives_the_accuracy_without_them(study_of: StudyOf) -> None:
    study = study_of("one_model")
    twins = study.dataset.near_duplicates
    truth, guess = predictions(study.models[0].chosen)
    kept = ~np.isin(np.arange(len(truth)), twins)
    row = grid(labels.duplicates(study))[1]
    assert row[1] == percent(accuracy_score(truth, guess))
    assert row[2] == percent(accuracy_score(truth[kept], guess[kept]))
    assert row[3] == percent(accuracy_score(truth[~kept], guess[~kept]))


def test_labels_in_doubt_are_listed_as_the_study_finds_them(study_of: StudyOf) -> None:
    study = study_of("one_seed")
    rows = grid(labels.label_chances(study))[1:]
    assert [int(row[0]) for row in rows] == [issue.index for issue in study.label_issues[: len(rows)]]
    for row, issue in zip(rows, study.label_issues, strict=False):
        assert row[1:3] == [study.classes[issue.target], study.classes[issue.suggested]]
        assert row[3] == percent(issue.target_probability)
    assert f"the label of {len(study.label_issues)} test image" in said(study, "errors.labels")


def test_models_that_learned_nothing_doubt_no_label(tmp_path: Path) -> None:
    data = MadeData(train=400, val=200, test=400, near_duplicates=0, label_errors=8)
    chance, good = Made(accuracy=0.1), Made("resnet18", "fine_tune", 0.9)
    nothing = study_with(tmp_path / "nothing", chance, Made("resnet18", "scratch", 0.1), data=data)
    assert nothing.learned == []
    assert nothing.label_issues == []
    assert not {"errors.labels", "errors.labels.none"} & rules(nothing)

    alone, beside = (
        study_with(tmp_path / n, *m, data=data) for n, m in (("a", [good]), ("b", [chance, good]))
    )
    assert alone.label_issues
    assert beside.label_issues == alone.label_issues
