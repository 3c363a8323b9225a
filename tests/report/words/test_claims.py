"""A beats B only where the test says so, by how much and how sure; otherwise why nobody can tell."""

from dataclasses import replace
from pathlib import Path

import pytest

from pipeline.report.words.claims import Claim, claim, every_claim, same_network, standing
from pipeline.report.words.numbers import NBSP
from tests.made_records import KINDS, Made
from tests.report.chapters.tools import DATA, study_with
from tests.report.conftest import StudyOf


@pytest.mark.parametrize("kind", KINDS)
def test_a_model_is_better_only_where_its_test_says_so(kind: str, study_of: StudyOf) -> None:
    for found in every_claim(study_of(kind)):
        assert found.settled == found.test.distinguishable
        assert (found.better is not None) == found.settled
        ahead, behind = found.ranked
        assert ahead.accuracy.value >= behind.accuracy.value


def test_a_claim_is_the_same_from_both_sides(study_of: StudyOf) -> None:
    study = study_of("transfer_wins")
    first, second = study.pair or ()
    here, there = claim(study, first, second), claim(study, second, first)
    assert (here.outcome, there.outcome) == ("gain", "loss")
    assert (here.more, there.more) == ("more", "less")
    assert here.better is there.better is first
    assert here.size == there.size
    assert here.support == there.support


def test_a_standing_sorts_all_other_models(study_of: StudyOf) -> None:
    study = study_of("transfer_wins")
    best = study.best
    assert best is not None
    found = standing(study, best)
    sorted_ = [*found.beaten, *found.equivalent, *found.undecided, *found.ahead]
    assert set(sorted_) == set(study.models) - {best}
    assert len(sorted_) == len(study.models) - 1


def test_a_difference_within_noise_has_its_interval_and_p(study_of: StudyOf) -> None:
    [found] = every_claim(study_of("tie"))
    words = found.why_level.replace(NBSP, " ")
    assert words.startswith("a difference within noise (95 % interval −")
    assert "p = " in words


def test_seeds_far_apart_leave_a_difference_undecided(tmp_path: Path) -> None:
    models = [Made(accuracy=0.80, seeds=(0, 1, 2), seed_step=0.05),
              Made("resnet18", "fine_tune", 0.86, seeds=(0, 1, 2), seed_step=0.05)]  # fmt: skip
    [found] = every_claim(study_with(tmp_path, *models, data=replace(DATA, test=3000)))
    assert found.outcome == "undecided"
    assert found.test.low < 0 < found.test.high
    assert "seeds of each" in found.what_decides


def test_one_seed_each_speaks_of_the_trained_networks_in_the_same_words(study_of: StudyOf) -> None:
    for kind, of_runs in (("tie", True), ("one_seed", True), ("transfer_wins", False)):
        for found in every_claim(study_of(kind)):
            assert found.of_runs == of_runs
            assert ("these two trained networks" in found.sure) == of_runs


def test_the_correction_is_named_only_where_it_changes_the_outcome(study_of: StudyOf) -> None:
    for kind in KINDS:
        for found in every_claim(study_of(kind)):
            assert ("Holm" in found.sure) == (found.test.corrected and found.test.p < 0.05)


def test_equal_models_are_equivalent_only_where_the_interval_says_so(study_of: StudyOf) -> None:
    [found] = every_claim(study_of("perfect"))
    assert found.outcome == "equivalent"
    assert -found.test.margin < found.test.low < found.test.high < found.test.margin
    words = found.why_level.replace(NBSP, " ")
    assert words.startswith("a difference below the 1.0 points that matter here")


def test_what_else_differs_is_named(tmp_path: Path) -> None:
    models = (Made("resnet18", "fine_tune", 0.9, input_size=128, settings={"epochs": 3}),
              Made("resnet18", "scratch", 0.6, settings={"epochs": 9}))  # fmt: skip
    [found] = every_claim(study_with(tmp_path, *models))
    assert found.mixed_in == ["image size", "number of epochs", "number of head epochs"]


def test_evidence_is_that_of_the_test(study_of: StudyOf) -> None:
    found: Claim = every_claim(study_of("one_seed"))[0]
    assert found.evidence["difference"] == found.test.difference
    assert found.evidence["distinguishable"] == found.settled
    assert (found.evidence["first"], found.evidence["second"]) == (found.first.key, found.second.key)


def test_what_pretraining_gave_is_asked_of_one_network(study_of: StudyOf) -> None:
    found = same_network(study_of("one_seed"))
    assert found is not None
    assert (found.first.name, found.second.name) == ("resnet18", "resnet18")
    assert (found.first.mode, found.second.mode) == ("fine_tune", "scratch")
    assert same_network(study_of("tie")) is None
