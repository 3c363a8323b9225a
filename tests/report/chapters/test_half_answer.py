"""The answer where one side of the question, or both, did not run."""

from dataclasses import replace
from pathlib import Path

from pipeline.report.chapters import (
    recommendations,
    verdict,
)
from tests.made_records import Made
from tests.report.chapters.tools import (
    DATA,
    every_sentence,
    said,
    study_with,
)
from tests.report.conftest import StudyOf


def test_one_model_answers_half(study_of: StudyOf) -> None:
    study = study_of("one_model")
    assert said(study, "answer.one-side.missing").startswith("This one run answers only half of the question")
    assert "80.0 % (95 % interval 75.8 to 83.6 %) of the 400 test images" in said(
        study, "answer.one-side.accuracy"
    )
    assert not any("beyond noise" in sentence.text for sentence in every_sentence(study))


def test_without_transfer_or_scratch_the_missing_side_is_named(study_of: StudyOf) -> None:
    missing = {
        kind: said(study_of(kind), "answer.one-side.missing") for kind in ("no_transfer", "no_scratch")
    }
    assert "none of them starts from a pretrained network" in missing["no_transfer"]
    assert "none of them trains a network from scratch" in missing["no_scratch"]


def test_a_side_that_failed_is_told_from_one_that_was_not_asked_for(tmp_path: Path) -> None:
    study = study_with(tmp_path, Made(), Made("resnet18", "fine_tune", failed_seeds=(0,)))
    assert "everything that was to start from a pretrained network failed (fine-tuned ResNet-18)" in said(
        study, "answer.one-side.missing"
    )


def test_all_failed_has_no_answer_and_says_why(study_of: StudyOf) -> None:
    study = study_of("all_failed")
    assert said(study, "answer.failed") == "There is no answer yet: both runs failed."
    assert "gave the same reason: out of memory" in said(study, "answer.failed.reason")
    assert recommendations.recommendations(study) == []
    assert [name for name, sentences in verdict(study).items() if sentences] == ["answer", "limits", "short"]


def test_models_that_tie_at_chance_are_all_called_the_most_accurate(tmp_path: Path) -> None:
    models = Made(accuracy=0.1), Made("resnet18", "fine_tune", 0.1), Made("vgg16", accuracy=0.05)
    study = study_with(tmp_path, *models)
    assert "the most accurate on test, the custom CNN and fine-tuned ResNet-18, get 10.0 %" in said(
        study, "answer.chance"
    )


def test_a_simple_answer_that_tells_the_labels_is_named_where_no_network_does(tmp_path: Path) -> None:
    for score, said_of_it in ((0.7, True), (0.1, False)):
        data = replace(DATA, baselines={"logistic regression on 8 × 8 pixels": score})
        study = study_with(tmp_path / str(score), Made(accuracy=0.1), data=data)
        needed = said(study, "answer.chance.needed")
        assert ("logistic regression on 8 × 8 pixels gets 70.0 %, beyond chance" in needed) == said_of_it
        assert ("or labels that the images show" in needed) != said_of_it
