from collections.abc import Sequence
from pathlib import Path

import pytest

from pipeline.report.chapters import (
    cost,
    tradeoffs,
)
from pipeline.report.evidence.learning import seconds_to
from pipeline.report.study import Study
from pipeline.report.words.numbers import NBSP, energy, percent
from pipeline.report.words.sentence import Sentence
from tests.made_records import KINDS, Made, MadeData, write_experiment
from tests.report.chapters.tools import (
    DATA,
    grid,
)
from tests.report.conftest import StudyOf


def points_of(study: Study) -> list[Sentence]:
    return list(tradeoffs.words(study))


def test_tradeoffs_favour_whom_the_measures_favour(study_of: StudyOf) -> None:
    study = study_of("one_seed")
    first, second = study.pair
    rows = {row[0]: row[1:] for row in grid(tradeoffs.beside(study))}
    assert rows["What counts"] == [first.label, second.label, "In favour of"]
    scores = [percent(model.test_accuracy) for model in (first, second)]
    assert rows["Accuracy on test"] == [*scores, first.label]
    assert rows["Training"][2] == rows["Parameters"][2] == second.label
    assert rows["Peak memory"][2] == "cannot be told"
    assert rows["Seen before these images"][:2] == ["IMAGENET1K_V1", "nothing"]


def test_a_tie_favours_neither(study_of: StudyOf) -> None:
    rows = {row[0]: row[1:] for row in grid(tradeoffs.beside(study_of("tie")))}
    assert rows["Accuracy on test"][2] == "neither"


def test_energy_is_a_column_and_a_row_where_it_was_counted(tmp_path: Path) -> None:
    models = (Made(energy_joules=7200.0), Made("resnet18", "fine_tune", 0.9, energy_joules=36000.0))
    study = Study.from_records(*write_experiment(tmp_path, "made", MadeData(test=400), models))
    header, *rows = grid(cost.costs(study))
    assert header[-1] == "Energy"
    assert [row[-1] for row in rows] == [energy(36000), energy(7200)]  # the more accurate first
    weighed = {row[0]: row[1:] for row in grid(tradeoffs.beside(study))}
    assert weighed["Energy to train"] == [energy(36000), energy(7200), "custom CNN"]


def favoured(sentences: Sequence[Sentence], topic: str) -> list[str | None]:
    return [s.evidence["favours"] for s in sentences if s.rule == f"tradeoffs.{topic}"]


def told(sentences: Sequence[Sentence], topic: str) -> str:
    return " ".join(s.text for s in sentences if s.rule == f"tradeoffs.{topic}").replace(NBSP, " ")


@pytest.mark.parametrize("kind", KINDS)
def test_every_point_favours_one_of_the_two_or_nobody(kind: str, study_of: StudyOf) -> None:
    study = study_of(kind)
    pair, found = study.pair, points_of(study)
    assert bool(found) == (pair is not None)
    keys = {None, *(model.key for model in pair or ())}
    assert all(sentence.evidence["favours"] in keys for sentence in found)


@pytest.mark.parametrize("kind", KINDS)
def test_accuracy_favours_nobody_without_a_test_that_says_so(kind: str, study_of: StudyOf) -> None:
    study = study_of(kind)
    if pair := study.pair:
        test = study.test(*pair)
        better = pair[0] if test.difference > 0 else pair[1]
        expected = better.key if test.distinguishable else None
        assert favoured(points_of(study), "accuracy") == [expected]


def test_transfer_has_accuracy_and_data_and_scratch_has_cost(study_of: StudyOf) -> None:
    study = study_of("transfer_wins")
    first, second = study.pair  # type: ignore[misc]
    found = points_of(study)
    assert favoured(found, "accuracy") == favoured(found, "data") == [first.key]
    assert "ResNet-18 gets 14.0 points more out of the same 4,500 training images" in told(found, "data")
    assert favoured(found, "cost") == favoured(found, "past") == [second.key]


def test_pretraining_that_hurts_speaks_for_scratch(tmp_path: Path) -> None:
    models = (Made("resnet18", "scratch", 0.9), Made("resnet18", "fine_tune", 0.7))
    study = Study.from_records(*write_experiment(tmp_path, "made", DATA, models))
    found = points_of(study)
    assert favoured(found, "data") == ["resnet18-scratch"]
    assert "gets 20.0 points less out of" in told(found, "data")


def test_a_change_of_image_size_is_named_beside_the_weights(tmp_path: Path) -> None:
    models = (Made("resnet18", "scratch", 0.6), Made("resnet18", "fine_tune", 0.9, input_size=128))
    study = Study.from_records(*write_experiment(tmp_path, "made", DATA, models))
    assert "with its pretrained weights and another image size" in told(points_of(study), "data")


def test_equal_costs_favour_nobody(tmp_path: Path) -> None:
    modes = (("scratch", 0.6), ("fine_tune", 0.9))
    models = tuple(Made("resnet18", mode, accuracy, seeds=(0, 1)) for mode, accuracy in modes)
    found = points_of(Study.from_records(*write_experiment(tmp_path, "made", DATA, models)))
    assert favoured(found, "cost") == [None]
    assert told(found, "cost") == "Cost: training time, time per image and size are about the same."


def test_one_run_each_is_no_proof_of_equal_cost(tmp_path: Path) -> None:
    models = (Made("resnet18", "scratch", 0.6), Made("resnet18", "fine_tune", 0.9))
    found = points_of(Study.from_records(*write_experiment(tmp_path, "made", DATA, models)))
    assert told(found, "cost") == "Cost: time per image and size are about the same."
    assert told(found, "cost-open") == ("Cost: whether training time differs these runs cannot tell.")


def test_time_to_an_accuracy_counts_epochs_and_features(study_of: StudyOf) -> None:
    study = study_of("transfer_wins")
    record = study.model("resnet18-linear_probe").records[0]
    history = record.history
    level = float(history["val_accuracy"].iloc[2])
    assert seconds_to(record, level) == pytest.approx(40 + history["epoch_seconds"].iloc[:3].sum())
    assert seconds_to(record, 2.0) == float("inf")


def test_both_reach_the_accuracy_that_is_compared(study_of: StudyOf) -> None:
    study = study_of("transfer_wins")
    [point] = [s for s in points_of(study) if s.rule == "tradeoffs.speed"]
    level = point.evidence["val_accuracy"]
    records = [record for model in study.pair or () for record in model.records]
    assert all(seconds_to(record, level) < float("inf") for record in records)


@pytest.mark.parametrize("kind", KINDS)
def test_confidence_favours_the_smaller_error_where_the_test_says_so(kind: str, study_of: StudyOf) -> None:
    study = study_of(kind)
    if study.pair is None:
        return
    test = study.calibration_test
    assert test is not None
    errors = [model.calibration.before.ece for model in study.pair]
    smaller, larger = (0, 1) if test.difference < 0 else (1, 0)
    sure = test.distinguishable and errors[smaller] < errors[larger]
    assert favoured(points_of(study), "confidence") == [study.pair[smaller].key if sure else None]


def test_nothing_is_set_side_by_side_where_only_one_model_is_shown_to_have_learned(tmp_path: Path) -> None:
    models = (Made("resnet18", "scratch", 0.1), Made("resnet18", "fine_tune", 0.9))
    study = Study.from_records(*write_experiment(tmp_path, "made", DATA, models))
    assert study.pair is None
    assert "Table" not in str(tradeoffs.beside(study)._repr_markdown_())
