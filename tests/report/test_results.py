"""results.json holds what the contract says, unrounded, and equals scikit-learn."""

import json
from pathlib import Path

import numpy as np
import pytest
from sklearn import metrics as sklearn_metrics

from pipeline.report.results_json import SCORES, packed, plain, results, unpacked, write
from pipeline.report.study import Study
from tests.made_records import KINDS, Made, MadeData
from tests.report.chapters.tools import study_with
from tests.report.conftest import StudyOf


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_study_is_written_as_plain_json(kind: str, study_of: StudyOf, tmp_path: Path) -> None:
    path = tmp_path / "reports" / kind / "results.json"
    write(path, study_of(kind), "embedded")
    text = path.read_text(encoding="utf-8")
    assert "NaN" not in text
    assert "Infinity" not in text
    content = json.loads(text)
    assert (content["schema_version"], content["engine"], content["experiment"]) == (1, "embedded", kind)
    assert 3 <= len(content["answer"]) <= 7


def test_runs_stand_in_params_order_with_the_failed_ones(study_of: StudyOf) -> None:
    runs = results(study_of("failed_run"), "embedded")["runs"]
    assert [(run["model"], run["mode"], run["seed"], run["status"]) for run in runs] == [
        ("custom_cnn", "scratch", 0, "complete"),
        ("resnet18", "fine_tune", 0, "complete"),
        ("resnet18", "fine_tune", 1, "failed"),
        ("efficientnet_lite0", "fine_tune", 0, "failed"),
    ]
    assert "test" not in runs[2]
    assert runs[2]["failure"]["kind"] == "OutOfMemoryError"


def test_scores_of_every_run_equal_scikit_learn(study_of: StudyOf) -> None:
    study = study_of("two_classes")
    found = {run["run_id"]: run for run in results(study, "embedded")["runs"]}
    for record in study.records:
        for split in ("val", "test"):
            rows = record.predictions[record.predictions["split"] == split]
            columns = [column for column in rows if column.startswith("probability_")]
            guess = rows[columns].to_numpy().argmax(axis=1)
            scores = found[record.run_id][split]
            macro = {"average": "macro", "zero_division": 0}
            assert scores["accuracy"] == sklearn_metrics.accuracy_score(rows["target"], guess)
            assert scores["precision_macro"] == sklearn_metrics.precision_score(
                rows["target"], guess, **macro
            )
            assert scores["recall_macro"] == sklearn_metrics.recall_score(rows["target"], guess, **macro)
            assert scores["f1_macro"] == sklearn_metrics.f1_score(rows["target"], guess, **macro)
            expected = sklearn_metrics.confusion_matrix(rows["target"], guess)
            assert scores["confusion_matrix"] == expected.tolist()


def test_a_confusion_matrix_of_many_classes_is_its_filled_cells(tmp_path: Path) -> None:
    data = MadeData(classes=tuple(f"class {k}" for k in range(150)), train=150, val=150, test=300)
    study = study_with(tmp_path, Made(), data=data)
    found = results(study, "embedded")["runs"][0]["test"]["confusion_matrix"]
    whole = np.zeros((150, 150), int)
    whole[found["true"], found["predicted"]] = found["count"]
    assert found["classes"] == 150
    assert min(found["count"]) > 0
    split = study.models[0].chosen_test
    assert np.array_equal(whole, sklearn_metrics.confusion_matrix(split.target, split.predicted))


def test_the_best_transfer_model_is_named_or_null(study_of: StudyOf) -> None:
    assert results(study_of("one_seed"), "quarto")["best_transfer"] == "efficientnet_lite0-fine_tune"
    assert results(study_of("no_transfer"), "quarto")["best_transfer"] is None
    assert results(study_of("all_failed"), "quarto")["best_transfer"] is None


def test_sentences_bear_rule_evidence_and_references(study_of: StudyOf) -> None:
    content = results(study_of("one_seed"), "quarto")
    assert all(set(s) == {"section", "text", "rule", "evidence", "references"} for s in content["verdict"])
    assert [s["text"] for s in content["verdict"] if s["section"] == "answer"] == content["answer"]
    assert {r["situation"] for r in content["recommendations"]} >= {"As many images as here", "No internet"}


def test_which_images_each_run_got_right_can_be_read_back(study_of: StudyOf) -> None:
    study: Study = study_of("tie")
    content = results(study, "quarto")
    for record in study.records:
        run = next(run for run in content["runs"] if run["run_id"] == record.run_id)
        found = unpacked(run["test_correct"], content["test_images"]["count"])
        assert np.array_equal(found, record.split("test").correct)
        assert found.mean() == run["test"]["accuracy"]
    assert set(SCORES) < set(content["runs"][0]["test"])


def test_bits_of_another_length_are_refused() -> None:
    with pytest.raises(ValueError, match="8 bits for 30 images"):
        unpacked(packed(np.ones(5, bool)), 30)


def test_numbers_that_json_cannot_hold_become_null() -> None:
    assert plain({"a": np.float32("nan"), "b": [np.int64(3), float("inf")], 1: np.array([True])}) == {
        "a": None, "b": [3, None], "1": [True]
    }  # fmt: skip
