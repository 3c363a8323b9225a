"""Was it a fair contest: told where models were tuned, with what each search cost and found."""

import numpy as np
import pytest

from pipeline.ranges import Tuning
from pipeline.report import results_json
from pipeline.report.chapters import contest, limits
from pipeline.report.look import section
from pipeline.report.look.floats import NOTHING
from pipeline.report.study import Study
from tests.report.chapters.tools import grid, said, shown, with_words
from tests.report.conftest import StudyOf

KEYS = ["custom_cnn-scratch", "efficientnet_lite0-fine_tune"]


@pytest.fixture
def study(study_of: StudyOf) -> Study:
    return study_of("tuned")


def test_trials_are_no_models_and_no_runs_of_the_answer(study: Study) -> None:
    assert [model.key for model in study.models] == KEYS
    assert len(study.trials) == 8
    content = results_json.results(study, "none")
    assert len(content["runs"]) == 4
    assert len(grid(shown("tbl-runs", study))) == 1 + 12


def test_results_hold_budget_and_best_val_score_after_each_trial(study: Study) -> None:
    found = results_json.results(study, "none")["tuning"]
    own = found["models"][KEYS[0]]
    assert own["best_val"] == pytest.approx([0.59, 0.59, 0.87, 0.87])
    assert own["expected_best_val"][0] == pytest.approx(np.mean([0.59, 0.54, 0.87, 0.79]))
    assert own["chosen"] == {"learning_rate": 0.003}
    assert [trial["settings"]["learning_rate"] for trial in own["trials"]] == [0.001, 0.0005, 0.003, 0.002]
    tuned = study.experiment.model_copy(update={"tuning": Tuning(trials=4)})
    again = Study.from_records(tuned, [*study.trials, *study.records])
    assert results_json.results(again, "none")["tuning"]["budget"] == {"trials": 4}


def test_ranking_that_hangs_on_the_budget_is_said_to(study: Study) -> None:
    assert said(study, "contest.ranking") == (
        "The ranking on val hangs on the budget: the custom CNN leads by the best score to expect only from "
        "3 trials each on; with fewer, fine-tuned EfficientNet-Lite0 does or the two are level."
    )
    assert "the custom CNN went from 59.0 % to 87.0 %" in said(study, "contest.gain")
    assert "each model made 4 trials of learning rate" in said(study, "contest.budget")


def test_chapter_draws_and_lists_the_searches(study: Study) -> None:
    assert with_words(contest.figure(study).content, "custom CNN")
    _, *rows = grid(contest.searches(study))
    assert [row[1] for row in rows] == ["4", "4"]
    assert rows[0][-1] == "learning rate 0.003"
    assert section.opening(study.tuned).data == NOTHING
    assert "Tuning searched learning rate alone" in said(study, "limits.recipe")


def test_nothing_of_it_is_told_without_tuning(study_of: StudyOf) -> None:
    untuned = study_of("one_seed")
    assert contest.results(untuned) is None
    assert list(contest.words(untuned)) == []
    assert "content-hidden" in section.opening(untuned.tuned).data
    assert "nothing shows that all were tuned equally well" in said(untuned, "limits.recipe")
    assert limits.facts(untuned).searched == []
