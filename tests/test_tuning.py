"""Each entry searches its own settings on val, and what is known of a search is read from its trials."""

import math
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path

import pytest

from pipeline import files, tuning
from pipeline.cleaning import note_study, unreferenced
from pipeline.experiment import Experiment, RunSettings
from pipeline.plan import PlannedRun, plan, reasons
from pipeline.record import Failure, RunDetails, RunFolder
from pipeline.run import Options, _is_missing, run
from tests.made_records import Made, MadeData, made_details

pytestmark = pytest.mark.usefixtures("workplace")

PARAMS = """
dataset: digits
max_train_images: 200
seeds: [3, 4]
epochs: 4
tuning: {trials: 4}
models:
  - {model: custom_cnn, widths: [8], depth: 1, learning_rate: 0.01, tune: {weight_decay: false}}
"""
DATA = MadeData(classes=("0", "1"), train=40, val=100, test=40, near_duplicates=0, label_errors=0)
Score = Callable[[RunSettings], float]


def experiment(text: str = PARAMS) -> Experiment:
    Path("x.yaml").write_text(text, encoding="utf-8")
    return Experiment.from_yaml("x.yaml")


def near(best: float) -> Score:
    """Return a val accuracy that falls with the distance of the learning rate from the best."""
    return lambda settings: 0.9 - 0.2 * abs(math.log10(settings.learning_rate / best))


def make(planned: PlannedRun, score: Score, learning: str = "healthy") -> None:
    """Write what a run would have left behind, with this score on val."""
    folder = RunFolder(planned.folder)
    folder.path.mkdir(parents=True)
    made = Made(accuracy=score(planned.settings) + 0.01, learning=learning, seed_step=0.0)
    details = made_details(folder, made, planned.settings, DATA, planned.run_id, planned.hashes)
    files.write_json(folder.path / "record.json", details.model_dump(mode="json"))


def fail(planned: PlannedRun, kind: str) -> None:
    planned.folder.mkdir(parents=True)
    failure = Failure(kind=kind, message="the loss became nan")
    details = RunDetails(
        status="failed",
        run_id=planned.run_id,
        settings=planned.settings,
        hashes=planned.hashes,
        failure=failure,
    )
    files.write_json(planned.folder / "record.json", details.model_dump(mode="json"))


def missing(asked: Experiment) -> list[PlannedRun]:
    return [planned for planned in plan(tuning.known(asked)[0]) if planned.record() is None]


def search(asked: Experiment, score: Score, trials: int) -> list[PlannedRun]:
    """Make so many trials of each entry; return those of all."""
    for _ in range(trials):
        for planned in missing(asked):
            make(planned, score)
    return [p for p in plan(tuning.known(asked)[0]) if p.settings.trial is not None]


def test_search_begins_with_the_settings_given_and_keeps_within_its_ranges() -> None:
    trials = search(experiment(), near(0.03), 4)
    settings = [planned.settings for planned in trials]
    assert settings[0].learning_rate == 0.01
    assert [one.trial for one in settings] == [0, 1, 2, 3]
    assert {one.seed for one in settings} == {3}
    assert all(0.001 <= one.learning_rate <= 0.1 for one in settings)
    assert len({one.learning_rate for one in settings}) == 4
    assert {one.weight_decay for one in settings} == {0.0005}
    assert trials[2].run_id.startswith("custom_cnn-scratch-t2-s3-")


def test_best_trials_settings_are_trained_over_the_seeds() -> None:
    asked = experiment()
    trials = search(asked, near(0.03), 4)
    found, whole = tuning.known(asked)
    assert whole
    best = max(trials, key=lambda planned: near(0.03)(planned.settings)).settings
    final = [run for run in found.runs if run.trial is None]
    assert [(run.seed, run.learning_rate) for run in final] == [
        (3, best.learning_rate),
        (4, best.learning_rate),
    ]
    assert all(not run.prune_below for run in final)


def test_search_is_found_again_and_goes_on_where_a_trial_is_missing() -> None:
    asked = experiment()
    trials = search(asked, near(0.03), 3)
    again = [p.run_id for p in plan(tuning.known(asked)[0])]
    assert again[:3] == [p.run_id for p in trials[:3]]
    for path in trials[1].folder.iterdir():
        path.unlink()
    (planned,) = missing(asked)
    assert planned.run_id == trials[1].run_id


def test_trial_that_falls_behind_earlier_ones_is_told_when_to_stop() -> None:
    asked = experiment()
    trials = search(asked, near(0.03), 3)
    assert [planned.settings.prune_below for planned in trials[:3]] == [[], [], []]
    (fourth,) = missing(asked)
    below = fourth.settings.prune_below
    assert len(below) == 3
    assert below[0] == 0.0
    assert 0 < below[1] < below[2]


def test_minutes_are_spent_before_a_search_ends() -> None:
    asked = experiment(PARAMS.replace("trials: 4", "minutes: 5"))
    assert len(search(asked, near(0.03), 6)) == 3  # of two minutes each


def test_failed_trials_count_and_the_entrys_own_settings_remain() -> None:
    asked = experiment()
    for _ in range(4):
        fail(missing(asked)[0], "RunError")
    found, whole = tuning.known(asked)
    assert whole
    assert [run.learning_rate for run in found.runs if run.trial is None] == [0.01, 0.01]
    trials = [planned for planned in plan(found) if planned.settings.trial is not None]
    assert not any(_is_missing(planned, Options()) for planned in trials)


def test_trial_that_died_is_made_again() -> None:
    asked = experiment()
    fail(missing(asked)[0], "ProcessDied")
    known, whole = tuning.known(asked)
    assert not whole
    assert [(r.state, "-t0-" in r.run_id) for r in reasons(known)] == [("failed", True)]


def test_clean_keeps_trials_and_removes_them_when_tuning_is_gone() -> None:
    asked = experiment()
    trials = search(asked, near(0.03), 4)
    note_study(asked, [*trials, *missing(asked)])
    assert unreferenced([Path("x.yaml")]) == []
    experiment(PARAMS.replace("tuning: {trials: 4}\n", "").replace(", tune: {weight_decay: false}", ""))
    found = unreferenced([Path("x.yaml")])
    assert {one.path.name for one in found} == {planned.run_id for planned in trials}
    assert all(one.placed for one in found)


def test_each_entry_searches_what_it_has() -> None:
    asked = experiment(
        "dataset: digits\ntuning: {minutes: 1}\ntune: {head_epochs: [1, 2]}\nmodels: [custom_cnn, "
        "{model: efficientnet_lite0, mode: fine_tune, tune: {learning_rate: [1.0e-4, 1.0e-2]}}]\n"
    )
    own, transfer = asked.searches
    assert set(own.ranges) == {"learning_rate", "weight_decay"}
    assert set(transfer.ranges) == {*own.ranges, "head_epochs", "backbone_learning_rate_factor"}
    assert (transfer.ranges["learning_rate"].low, transfer.ranges["head_epochs"].high) == (1e-4, 2)


@pytest.mark.slow
def test_real_search_trains_its_trials_and_then_the_chosen_settings(
    forked_runs: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[object] = []
    monkeypatch.setattr("pipeline.run.warm_processes", lambda names: nullcontext(opened.append(names)))
    text = PARAMS.replace("trials: 4", "trials: 2").replace("seeds: [3, 4]", "seeds: [3]")
    records = run(experiment(text.replace("epochs: 4", "epochs: 2\nthreads: 1")))
    assert [(record.settings.trial, record.complete) for record in records] == [
        (0, True),
        (1, True),
        (None, True),
    ]
    assert len(opened) == 1  # one process to fork from, for all trials
    best = max(records[:2], key=tuning.val_score)
    assert records[2].settings.learning_rate == best.settings.learning_rate
