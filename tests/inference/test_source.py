"""Which run a SOURCE means, and what is refused."""

import json
from pathlib import Path

import pytest

from pipeline.errors import InputError
from pipeline.inference import source
from pipeline.record import RunRecord
from pipeline.report import results_json
from tests.inference.conftest import write_results
from tests.made_records import made_study

pytestmark = pytest.mark.usefixtures("inside")


@pytest.mark.parametrize("name", ["runs/run", "reports/made", "reports/made/results.json"])
def test_run_report_and_results_mean_the_same_run(inside: Path, name: str) -> None:
    assert source.find(name).run_id == "run"
    assert source.find(inside / name).run_id == "run"


def test_best_on_val_is_taken_unless_a_model_is_named(tmp_path: Path) -> None:
    study = made_study(tmp_path, "one_seed")
    for record in study.records:
        (record.folder / "model.safetensors").write_bytes(b"")
    path = tmp_path / "reports" / "made" / "results.json"
    results_json.write(path, study, "embedded")
    assert study.best is not None
    assert source.find(path).run_id == study.best.chosen.run_id
    other = study.models[1]
    assert source.find(path, other.key).run_id == other.chosen.run_id
    assert source.find(path, other.label).run_id == other.chosen.run_id
    with pytest.raises(InputError, match=r"no model 'resnet'\..*Did you mean"):
        source.find(path, "resnet")


def test_version_is_the_one_that_the_report_writes() -> None:
    assert source.RESULTS_VERSION == results_json.SCHEMA_VERSION


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"schema_version": 2}, "schema_version is 2"),
        ({"best": None}, "no model of this report"),
        ({"models": 3}, "damaged"),
        ({"models": [{"key": "A", "label": "a", "model": "m", "chosen": "gone-1"}]}, "gone-1 is gone"),
    ],
)
def test_unusable_results_are_refused(tmp_path: Path, changes: dict[str, object], said: str) -> None:
    path = write_results(tmp_path, RunRecord.read(Path("runs/run").absolute()), **changes)
    with pytest.raises(InputError, match=said):
        source.find(path)


def test_what_is_neither_run_nor_report_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is no run and no report"):
        source.find(tmp_path)
    (tmp_path / "results.json").write_text("[1]")
    with pytest.raises(InputError, match=r"is no results\.json"):
        source.find(tmp_path)


def test_failed_run_is_refused(tmp_path: Path) -> None:
    study = made_study(tmp_path, "all_failed")
    with pytest.raises(InputError, match="this run failed"):
        source.find(study.failures[0].folder)


def test_runs_of_a_moved_report_are_found_where_one_says(tmp_path: Path, inside: Path) -> None:
    content = json.loads(Path("reports/made/results.json").read_text())
    (tmp_path / "results.json").write_text(json.dumps(content))
    assert source.find(tmp_path / "results.json", runs=inside / "runs").run_id == "run"
