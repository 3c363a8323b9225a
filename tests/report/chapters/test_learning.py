from pathlib import Path

import numpy as np
import pytest

from pipeline.record import RunRecord
from pipeline.report.chapters import (
    learning,
)
from tests.made_records import Made, MadeData
from tests.report.chapters.tools import (
    said,
    study_with,
)
from tests.report.conftest import StudyOf


def test_all_models_that_had_not_finished_are_one_phrase(tmp_path: Path) -> None:
    models = [Made(m, mode, learning="unfinished") for m, mode in (
        ("custom_cnn", "scratch"), ("resnet18", "scratch"), ("resnet18", "fine_tune"))]  # fmt: skip
    text = said(study_with(tmp_path, *models), "learning.unfinished")
    assert text.startswith("None of the three models had finished learning")


def test_many_models_are_counted_and_a_few_are_named(tmp_path: Path, study_of: StudyOf) -> None:
    many = [Made(name, "scratch", 0.8, learning="overfit") for name in ("resnet18", "vgg16", "vgg11")]
    many += [Made(name, "fine_tune", 0.95, learning="stopped") for name in ("resnet18", "vgg16")]
    text = said(study_with(tmp_path / "five", *many), "learning.overfitting")
    assert text.startswith("ResNet-18 from scratch, VGG-16 from scratch and VGG-11 from scratch overfit: at")
    assert "; fine-tuned ResNet-18" in text  # within the sentence, nothing is capitalised
    more = [*many, *(Made(name, "scratch", 0.8, learning="overfit") for name in ("vgg13", "vgg19"))]
    text = said(study_with(tmp_path / "seven", *more), "learning.overfitting")
    assert text.startswith("Five models overfit: at their best epochs they are 16.0 points better")
    assert said(study_of("two_classes"), "calibration.over").startswith("All five models are too sure")


def test_curves_are_the_history_with_the_kept_epoch_marked(study_of: StudyOf) -> None:
    study = study_of("one_seed")
    for drawing, what in zip(learning.figure(study).content, ("accuracy", "loss"), strict=True):
        [axes] = drawing.axes
        for model, val, kept in zip(study.models, axes.lines[::2], axes.lines[1::2], strict=True):
            assert val.get_ydata() == pytest.approx(model.chosen.history[f"val_{what}"])
            assert list(kept.get_xdata()) == [model.chosen.details.best_epoch]
        assert axes.get_ylabel() == f"val {what}"


def test_each_model_has_its_curves_in_the_appendix(study_of: StudyOf) -> None:
    study = study_of("one_model")
    record = study.models[0].chosen
    loss, accuracy = learning.figure_of_each(study).content[0].axes
    for axes, what in ((loss, "loss"), (accuracy, "accuracy")):
        train, val, kept = axes.lines[:3]
        assert train.get_ydata() == pytest.approx(record.history[f"train_{what}"])
        assert val.get_ydata() == pytest.approx(record.history[f"val_{what}"])
        assert list(kept.get_xdata()) == [record.details.best_epoch]


def test_an_early_stop_is_marked(study_of: StudyOf) -> None:
    study = study_of("one_transfer_model")
    lines = learning.figure_of_each(study).content[0].axes[0].lines
    assert list(lines[-1].get_xdata()) == [study.models[0].chosen.history["epoch"].max()] * 2


def test_of_one_epoch_there_is_one_tick_and_models_share_their_heights(
    study_of: StudyOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = study_of("tie")
    first = {record.run_id: record.history.head(1) for record in study.records}
    monkeypatch.setattr(RunRecord, "history", property(lambda record: first[record.run_id]))
    drawings = learning.figure_of_each(study).content
    for axes in (drawing.axes[1] for drawing in drawings):
        low, high = axes.get_xlim()
        assert [tick for tick in axes.get_xticks() if low <= tick <= high] == [1]
    first, second = (drawing.axes[0] for drawing in drawings)
    assert first.get_ylim() == second.get_ylim()
    assert [line.get_marker() for line in first.lines[:2]] == [".", "."]


def test_a_gap_within_noise_is_no_reason_given_for_overfitting(tmp_path: Path) -> None:
    data = MadeData(train=200, val=40, test=50, near_duplicates=0, label_errors=0)
    study = study_with(tmp_path, Made(), data=data)
    record = study.models[0].chosen
    history = record.history.copy()
    history["val_accuracy"], history["train_accuracy"] = 0.80, 0.87  # 40 images do not tell 7 points
    history["train_loss"] = np.linspace(1.0, 0.2, len(history))
    history["val_loss"] = [*np.linspace(1.0, 0.5, 6), *np.linspace(0.6, 1.2, len(history) - 6)]
    object.__setattr__(record, "details", record.details.model_copy(update={"best_epoch": 6}))
    record.__dict__["history"] = history
    text = said(study, "learning.overfitting")
    assert "at its best epoch" not in text
    assert "val loss rose by 140" in text
