from dataclasses import replace
from pathlib import Path

from pipeline.report.chapters import (
    recommendations,
)
from tests.made_records import Made
from tests.report.chapters.tools import (
    grid,
    study_with,
)
from tests.report.conftest import StudyOf


def test_recommendations_answer_every_situation(study_of: StudyOf) -> None:
    found = {r.situation: r.choice for r in recommendations.recommendations(study_of("transfer_wins"))}
    assert found == {
        "Accuracy above all": "fine-tuned EfficientNet-Lite0",
        "As many images as here": "fine-tuned EfficientNet-Lite0",
        "Little time to train": "the linear probe on ResNet-18",
        "A small device": "the custom CNN",
        "No internet": "fine-tuned EfficientNet-Lite0",
        "Must be accounted for": "the custom CNN",
    }


def test_a_cheap_model_that_hardly_learned_is_not_recommended(tmp_path: Path) -> None:
    study = study_with(tmp_path, Made(accuracy=0.2), Made("resnet18", "fine_tune", 0.9))
    found = {r.situation: r.choice for r in recommendations.recommendations(study)}
    assert found["A small device"] == found["Little time to train"] == "fine-tuned ResNet-18"


def test_weights_that_are_downloaded_do_not_work_offline_at_first(study_of: StudyOf) -> None:
    found = recommendations.recommendations(study_of("no_scratch"))
    assert {one.situation: one.choice for one in found}["No internet"] == "not settled by these runs"


def test_recommendations_cite_their_ground(study_of: StudyOf) -> None:
    rows = grid(recommendations.listed(study_of("one_seed")))[1:]
    assert len(rows) >= 5
    found = recommendations.recommendations(study_of("one_seed"))
    assert all(one.sentence.references for one in found)
    assert [one.choice for one in found if one.model] == [one.model.spoken for one in found if one.model]


def test_nothing_is_cheap_enough_that_does_not_beat_a_simple_answer(study_of: StudyOf) -> None:
    study = replace(study_of("transfer_wins"))
    assert {"Little time to train", "A small device"} <= {
        one.situation for one in recommendations.recommendations(study)
    }
    study = replace(study)
    vars(study)["below_baselines"] = [(model, None) for model in study.learned]
    found = {one.situation for one in recommendations.recommendations(study)}
    assert "Accuracy above all" in found
    assert not found & {"Little time to train", "A small device"}
