import numpy as np
import pytest
from sklearn.metrics import accuracy_score

from pipeline.record import RunRecord
from pipeline.report.chapters import (
    accuracy,
)
from pipeline.report.words.numbers import signed
from tests.report.chapters.tools import (
    grid,
    predictions,
    said,
)
from tests.report.conftest import StudyOf


def test_models_no_better_than_the_commonest_class_are_named(study_of: StudyOf) -> None:
    text = said(study_of("two_classes"), "accuracy.chance")
    assert text == (
        "Always naming the commonest class of the test images would score 74.8 %, and the custom CNN, "
        "ResNet-18 from scratch and the linear probe on ResNet-18 do not beat that beyond noise."
    )


def test_pairs_are_row_minus_column_above_and_p_values_below(study_of: StudyOf) -> None:
    study = study_of("one_seed")
    header, *rows = grid(accuracy.tests(study))
    assert header[2:] == [row[0] for row in rows] == list("ABCDE")
    for i, row in enumerate(rows):
        for j, cell in enumerate(row[2:]):
            test = study.test(study.models[i], study.models[j]) if i != j else None
            if test is None:
                assert cell == ""
            elif i < j:
                difference = signed(accuracy_of(study.models[i].chosen) - accuracy_of(study.models[j].chosen))
                assert cell == (difference if test.distinguishable else f"? ({difference})")
            else:
                assert cell in (f"{test.p_holm:.3f}", "<\u00a00.001")


def accuracy_of(record: RunRecord) -> float:
    return float(accuracy_score(*predictions(record)))


def test_accuracies_are_those_of_the_predictions_best_first(study_of: StudyOf) -> None:
    study = study_of("transfer_wins")
    axes = accuracy.figure(study).content[0].axes[0]
    expected = []
    for model in study.models:
        seeds = [record.split("test") for record in model.records]
        expected.append(np.mean([accuracy_score(s.target, s.predicted) for s in seeds]))
    shown = [text.get_text() for text in axes.texts]
    ranked = accuracy.grouped(study)
    assert shown == [f"{100 * expected[study.models.index(model)]:.1f}" for model in ranked]
    assert axes.get_yticklabels()[0].get_text() == "EfficientNet-Lite0\nfine-tuned  E"


def test_the_modes_of_one_network_stand_together(study_of: StudyOf) -> None:
    names = [model.name for model in accuracy.grouped(study_of("transfer_wins"))]
    assert names == ["efficientnet_lite0", "resnet18", "resnet18", "resnet18", "custom_cnn"]


def test_differences_are_those_from_the_best_on_val(study_of: StudyOf) -> None:
    study = study_of("transfer_wins")
    axes = accuracy.figure(study).content[1].axes[0]
    drawn = {float(line.get_xdata()[0]) for line in axes.lines if len(line.get_xdata()) == 1}
    best = study.best
    for model in study.models:
        if model is not best:
            assert any(x == pytest.approx(study.test(model, best).difference) for x in drawn)


def test_intervals_are_drawn_to_their_ends(study_of: StudyOf) -> None:
    study = study_of("one_model")
    estimate = study.models[0].accuracy
    ends = [line.get_xdata() for line in accuracy.figure(study).content[0].axes[0].lines]
    assert [estimate.low, estimate.high] in [list(end) for end in ends]
