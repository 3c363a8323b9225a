"""Whole runs are logged once, to TensorBoard or to a local MLflow store, and no result hangs on it."""

from pathlib import Path

import pytest

from pipeline import cli, logger
from pipeline.errors import SettingsError
from pipeline.experiment import Experiment
from pipeline.plan import plan
from pipeline.record import RunRecord
from tests.made_records import Made, MadeData, write_experiment

DATA = MadeData(test=60, val=40, train=200)


@pytest.fixture
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Experiment, list[RunRecord]]:
    """A study of two whole runs, whose folder is the current one."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    return write_experiment(tmp_path, "made", DATA, (Made(accuracy=0.6), Made("resnet18", "fine_tune", 0.8)))


def test_tensorboard_has_each_epoch_and_the_final_accuracies(
    made: tuple[Experiment, list[RunRecord]],
) -> None:
    pytest.importorskip("tensorboard", reason="needs the package tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    experiment, records = made
    experiment = experiment.model_copy(update={"logger": "tensorboard"})
    logger.log(experiment, records)
    record = records[1]
    folder = Path("logs/tensorboard/made") / record.run_id
    read = EventAccumulator(str(folder))
    read.Reload()
    losses = [event.value for event in read.Scalars("val_loss")]
    assert losses == pytest.approx(list(record.history["val_loss"]), rel=1e-5)
    accuracy = read.Scalars("final_test_accuracy")[0]
    assert accuracy.value == pytest.approx(record.split("test").correct.mean())
    before = sorted(Path("logs").rglob("*"))
    logger.log(experiment, records)
    assert sorted(Path("logs").rglob("*")) == before


@pytest.mark.filterwarnings("default")  # of MLflow about SQLAlchemy
def test_mlflow_has_each_epoch_and_the_settings_once(made: tuple[Experiment, list[RunRecord]]) -> None:
    pytest.importorskip("mlflow", reason="needs the package mlflow-skinny")
    from mlflow import MlflowClient

    experiment, records = made
    experiment = experiment.model_copy(update={"logger": "mlflow"})
    logger.log(experiment, records)
    logger.log(experiment, records)
    client = MlflowClient(logger.tracking_uri())
    place = client.get_experiment_by_name("made").experiment_id
    runs = {run.info.run_name: run for run in client.search_runs([place])}
    assert set(runs) == {record.run_id for record in records}
    run, record = runs[records[1].run_id], records[1]
    assert run.data.params["model"] == "resnet18"
    assert run.data.metrics["final_test_accuracy"] == pytest.approx(record.split("test").correct.mean())
    history = client.get_metric_history(run.info.run_id, "val_loss")
    assert [one.value for one in sorted(history, key=lambda one: one.step)] == pytest.approx(
        list(record.history["val_loss"])
    )


def test_a_logger_is_no_part_of_a_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    ids = []
    for line in ("", "logger: tensorboard\n"):
        Path("x.yaml").write_text(f"{line}models: [custom_cnn]\n", encoding="utf-8")
        ids.append([planned.run_id for planned in plan(Experiment.from_yaml("x.yaml"))])
    assert ids[0] == ids[1]


def test_a_log_that_cannot_be_written_ends_nothing(
    made: tuple[Experiment, list[RunRecord]], capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("tensorboard", reason="needs the package tensorboard")
    experiment, records = made
    Path("logs").write_text("in the way")
    logger.log(experiment.model_copy(update={"logger": "tensorboard"}), records)
    assert "not logged to tensorboard" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["tensorboard", "mlflow"])
def test_a_missing_logger_is_said_in_one_line_before_any_work(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(logger.PACKAGES, name, "no_such_package")
    Path("x.yaml").write_text(f"logger: {name}\nmodels: [custom_cnn]\n", encoding="utf-8")
    assert cli.main(["run", "x.yaml"]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert f"pip install 'headstart[{name}]'" in error
    assert not list(Path("runs").iterdir())


def test_an_unknown_logger_and_a_server_offline_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "x.yaml"
    path.write_text("logger: wandb\nmodels: [custom_cnn]\n", encoding="utf-8")
    with pytest.raises(SettingsError, match="logger is 'wandb'; it must be tensorboard or mlflow"):
        Experiment.from_yaml(path)
    path.write_text("logger: mlflow\nmodels: [custom_cnn]\n", encoding="utf-8")
    monkeypatch.setitem(logger.PACKAGES, "mlflow", "json")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "https://example.com")
    monkeypatch.setenv("HEADSTART_OFFLINE", "--offline")
    with pytest.raises(SettingsError, match="--offline forbids connections"):
        logger.check(Experiment.from_yaml(path))
