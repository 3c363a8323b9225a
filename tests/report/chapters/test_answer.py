"""The answer says what the runs support, whoever wins, and no more."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import (
    accuracy_score,
    precision_recall_fscore_support,
)

from pipeline.report.chapters import accuracy, answer
from pipeline.report.words.numbers import data_size, percent
from tests.made_records import KINDS, Made
from tests.report.chapters.tools import (
    DATA,
    grid,
    predictions,
    rules,
    said,
    study_with,
)
from tests.report.conftest import StudyOf


@pytest.mark.parametrize("kind", KINDS)
def test_the_answer_has_a_few_sentences_for_every_kind_of_study(kind: str, study_of: StudyOf) -> None:
    assert len(list(answer.words(study_of(kind)))) in range(3, 8)


def test_transfer_wins(study_of: StudyOf) -> None:
    study = study_of("transfer_wins")
    text = said(study, "answer.accuracy.transfer")
    assert text.startswith(
        "Start from a pretrained network: fine-tuned EfficientNet-Lite0 gets 90.0 % of the"
    )
    assert "2,000 test images right (mean of three seeds), 10.0 points more than the custom CNN" in text
    assert "(95 % interval 8.9 to 11.1 points, p < 0.001)" in text
    assert "takes 4.3 times as long to train" in said(study, "answer.cost.winner")
    assert "gave 14.0 points: on one and the same network" in said(study, "answer.pretraining.gain")


def test_scratch_wins(study_of: StudyOf) -> None:
    study = study_of("scratch_wins")
    text = said(study, "answer.accuracy.scratch")
    assert text.startswith("Train your own: the custom CNN gets 92.8 %")
    assert "5.0 points more than fine-tuned ResNet-18" in text
    assert said(study, "answer.cost.winner").startswith("It is the cheaper choice as well")


def test_a_tie_is_said_as_a_tie(study_of: StudyOf) -> None:
    study = study_of("tie")
    text = said(study, "answer.accuracy.undecided")
    assert text.startswith("Not settled")
    assert "within noise (95 % interval −" in text
    assert "test images would decide it" in text
    assert said(study, "answer.cost.undecided").startswith("Cost is known better")
    assert "accuracy.leader" in rules(study)
    assert "cannot be told from" in said(study, "accuracy.leader")


def test_seeds_far_apart_leave_it_undecided(tmp_path: Path) -> None:
    models = [Made(accuracy=0.80, seeds=(0, 1, 2), seed_step=0.05),
              Made("resnet18", "fine_tune", 0.86, seeds=(0, 1, 2), seed_step=0.05)]  # fmt: skip
    study = study_with(tmp_path, *models, data=replace(DATA, test=3000))
    text = said(study, "answer.accuracy.undecided")
    assert text.startswith("Not settled")
    assert "seeds of each would decide it" in text


def test_pretraining_may_hurt(tmp_path: Path) -> None:
    tuned = Made("resnet18", "fine_tune", 0.7, settings={"head_epochs": 0})
    study = study_with(tmp_path, Made("resnet18", "scratch", 0.9), tuned)
    assert said(study, "answer.accuracy.scratch").startswith(
        "Train your own: ResNet-18 from scratch gets 90.0 %"
    )
    assert "20.0 points less than from scratch" in said(study, "pretraining.fine_tune.loss")
    assert "with no difference of architecture mixed in" in said(study, "answer.pretraining.same-network")


def test_a_change_of_image_size_is_not_hidden_in_the_gain(tmp_path: Path) -> None:
    models = (Made(), Made("resnet18", "scratch", 0.6), Made("resnet18", "fine_tune", 0.9, input_size=128))
    study = study_with(tmp_path, *models)
    text = said(study, "answer.pretraining.gain")
    assert text.startswith(
        "Pretraining and other differences (image size and number of head epochs) together gave 30.0 points"
    )
    assert "gets 90.0 % at 128 pixels against 60.0 % from scratch at 32 pixels" in text


def test_the_best_from_scratch_speaks_for_that_side(tmp_path: Path) -> None:
    models = (Made(accuracy=0.6), Made("resnet18", "scratch", 0.9), Made("vgg16", "fine_tune", 0.8))
    text = said(study_with(tmp_path, *models), "answer.accuracy.scratch")
    assert text.startswith("Train your own: ResNet-18 from scratch")


@pytest.mark.parametrize("kind", ["transfer_wins", "two_classes", "hundred_classes"])
def test_headline_is_what_scikit_learn_makes_of_the_predictions(study_of: StudyOf, kind: str) -> None:
    study = study_of(kind)
    header, *rows = grid(answer.headline(study))
    scored = grid(accuracy.score_table(study))
    for model in study.models:
        row = next(row for row in rows if row[0].endswith(f" {model.label}"))
        macro_row = dict(zip(scored[0], next(r for r in scored if r[1] == model.label), strict=True))
        answers = [predictions(record) for record in model.records]
        macro = [precision_recall_fscore_support(*a, average="macro", zero_division=0)[:3] for a in answers]
        scores = [np.mean([accuracy_score(*a) for a in answers]), *np.mean(macro, axis=0)]
        shown = dict(zip(header, row, strict=True))
        names = ("Accuracy", "Precision", "Recall", "F1")
        assert [macro_row[name] for name in names] == [percent(score) for score in scores]
        assert (shown["Accuracy"], shown["F1"]) == (percent(scores[0]), percent(scores[3]))
        assert shown["Weights"] == data_size(4 * model.network.total_parameters)


def test_headline_marks_the_best_on_val(study_of: StudyOf) -> None:
    study = study_of("transfer_wins")
    bold = [row for row in answer.headline(study).content.rows if str(row[2]).startswith("**")]
    assert len(bold) == 1
    assert percent(study.best.test_accuracy) in bold[0][2]


def test_headline_shows_failed_models_in_their_place(study_of: StudyOf) -> None:
    rows = grid(answer.headline(study_of("failed_run")))[1:]
    assert [row[0] for row in rows] == [
        "B ResNet-18, fine-tuned (1 of 2 runs failed)",
        "A custom CNN",
        "EfficientNet-Lite0, fine-tuned",
    ]
    assert rows[2][1] == "failed"
