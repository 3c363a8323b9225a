from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pipeline.report.chapters import robustness
from pipeline.report.evidence.robustness import recounts
from pipeline.report.study import Study
from pipeline.report.words.numbers import NBSP
from tests.made_records import Made
from tests.report.chapters.tools import (
    DATA,
    study_with,
)
from tests.report.conftest import StudyOf


def text_of(study: Study) -> str:
    (sentence,) = robustness.words(study)
    return sentence.text.replace(NBSP, " ")


def test_each_way_counts_the_images_it_keeps(study_of: StudyOf) -> None:
    study = study_of("tie")
    transfer, own = study.models[1], study.models[0]
    found = recounts(study.models, transfer, own, twins=[0, 1, 2], doubted=range(200))
    assert [(r.way, r.images) for r in found] == [
        ("without duplicates", 397), ("without doubted labels", 200), ("macro F1", 400)
    ]  # fmt: skip
    kept = ~np.isin(own.test[0].index, range(200))
    expected = transfer.test[0].correct[kept].mean() - own.test[0].correct[kept].mean()
    assert found[1].comparison.difference == pytest.approx(expected)
    assert found[1].comparison.low < expected < found[1].comparison.high


def test_a_way_that_leaves_nothing_out_is_left_out(study_of: StudyOf) -> None:
    study = study_of("tie")
    found = recounts(study.models, *study.models, twins=[], doubted=range(400))
    assert [r.way for r in found] == ["macro F1"]


def test_a_large_difference_stands(study_of: StudyOf) -> None:
    assert text_of(study_of("one_seed")).startswith("Counted otherwise, the result stands: fine-tuned")


def test_a_lead_that_lives_on_near_duplicates_falls(tmp_path: Path) -> None:
    models = (Made(accuracy=0.80), Made("resnet18", "fine_tune", 0.86))
    study = study_with(tmp_path, *models, data=replace(DATA, near_duplicates=1))
    own, transfer = study.models
    rows = np.flatnonzero(transfer.test[0].correct & ~own.test[0].correct)
    dataset = study.dataset.model_copy(update={"near_duplicates": rows[:-4].tolist()})  # type: ignore[union-attr]
    for model in study.models:
        details = model.chosen.details.model_copy(update={"dataset": dataset})
        object.__setattr__(model.chosen, "details", details)
    assert (
        "does not stand up to every way of counting: fine-tuned ResNet-18 is behind without the copies"
        in text_of(study)
    )


def test_a_tie_stays_level(study_of: StudyOf) -> None:
    assert "neither fine-tuned ResNet-18 nor the custom CNN is better beyond noise" in text_of(
        study_of("tie")
    )


def test_one_model_has_nothing_to_count_again(study_of: StudyOf) -> None:
    assert list(robustness.words(study_of("one_model"))) == []


def test_what_holm_calls_noise_is_shown_with_the_interval_of_the_family(study_of: StudyOf) -> None:
    recount = study_of("one_seed").recounts[-1]
    alone = replace(recount.comparison, verdict="undecided", corrected=True, low=0.001, high=0.02,
                    family_low=-0.004, family_high=0.025)  # fmt: skip
    found = robustness.facts(study_of("one_seed"))
    assert found is not None
    text, rule = robustness._of_a_difference(replace(found, recounts=[replace(recount, comparison=alone)]))
    assert rule == "robustness.falls"
    assert "within noise in macro F1 (−0.4 to +2.5" in text
