"""Baselines stand beside the models: in the table and in results.json, and in a sentence where they win."""

from dataclasses import replace
from pathlib import Path

import pytest

from pipeline.report.results_json import results
from pipeline.report.study import Study
from tests.made_records import Made, write_experiment
from tests.report.chapters.tools import DATA, grid, rules, said, shown

WEAK, STRONG = "logistic regression on 8 × 8 pixels", "nearest neighbours of frozen features"
BASELINES = {"commonest class": 0.1, WEAK: 0.4, STRONG: 0.8}
MODELS = (Made(accuracy=0.7), Made("resnet18", "fine_tune", 0.9))


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Study:
    return made(tmp_path_factory.mktemp("baselines"))


def made(folder: Path, **changes: object) -> Study:
    experiment, records = write_experiment(folder, "made", replace(DATA, baselines=BASELINES), MODELS)
    return Study.from_records(experiment.model_copy(update=changes), records)


def test_table_sets_baselines_apart_from_the_models(study: Study) -> None:
    _, *rows = grid(shown("tbl-headline", study))
    assert sorted(row[0][:2] for row in rows[:2]) == ["A ", "B "]
    assert [row[0] for row in rows[2:]] == [
        "no network: commonest class of train",
        f"no network: {WEAK}",
        f"no network: {STRONG}",
    ]
    assert rows[4][2].replace("\u00a0", " ") == "80.0 %"
    assert len(study.models) == 2


def test_results_hold_each_baseline_with_its_accuracy(study: Study) -> None:
    found = {one["name"]: one for one in results(study, "test")["baselines"]}
    assert {name: one["test"]["accuracy"] for name, one in found.items()} == pytest.approx(BASELINES)
    assert found[STRONG]["not_beaten_by"] == ["custom_cnn-scratch"]
    assert found[WEAK]["not_beaten_by"] == []


def test_model_that_does_not_beat_one_is_named(study: Study) -> None:
    assert said(study, "accuracy.baselines") == (
        "The custom CNN does not beat nearest neighbours of frozen features (80.0 %) beyond noise."
    )


def test_first_screen_warns_where_the_best_does_not_beat_one(study: Study, tmp_path: Path) -> None:
    assert "short.caveat.simple-answer" not in rules(study)

    data = replace(DATA, baselines={WEAK: 0.4, STRONG: 0.95})
    weaker = Study.from_records(*write_experiment(tmp_path, "made", data, MODELS))
    assert said(weaker, "short.caveat.simple-answer") == (
        "B is not shown to beat nearest neighbours of frozen features (95.0 %)."
    )


def test_baselines_may_be_left_out(tmp_path: Path) -> None:
    without = made(tmp_path, baselines=False)
    assert len(grid(shown("tbl-headline", without))) == 3
    assert results(without, "test")["baselines"] == []
    assert "accuracy.baselines" not in rules(without)


def test_report_reads_the_best_of_several_networks_neighbours(tmp_path: Path) -> None:
    data = replace(DATA, baselines={STRONG: 0.6})
    experiment, records = write_experiment(tmp_path, "made", data, (MODELS[1],))
    better = replace(data, baselines={STRONG: 0.7})
    _, more = write_experiment(tmp_path, "made", better, (Made("vgg16", "fine_tune", 0.9),))
    (found,) = Study.from_records(experiment, [*records, *more]).baselines
    assert found.settings == {"features_of": "vgg16"}
    assert found.test.accuracy == pytest.approx(0.7)
