"""Runs are logged as they train and once whole, to TensorBoard or MLflow, and no result hangs on it."""

from pathlib import Path
from typing import Any

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


def told(record: RunRecord, epoch: int) -> dict[str, Any]:
    """Return what a run tells of an epoch while it trains."""
    row = record.history.iloc[epoch - 1]
    values = {name: float(row[name]) for name in ("train_loss", "val_loss", "val_accuracy")}
    return {"run_id": record.run_id, "stage": "train", "epoch": epoch, "epochs": 9, **values}


def logged_to(name: str, experiment: Experiment) -> Experiment:
    return experiment.model_copy(update={"logger": name})


def test_tensorboard_has_each_epoch_live_and_all_of_a_whole_run_once(
    made: tuple[Experiment, list[RunRecord]],
) -> None:
    pytest.importorskip("tensorboard", reason="needs the package tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    experiment, records = logged_to("tensorboard", made[0]), made[1]
    record, log = records[1], logger.Logger(experiment)
    losses = list(record.history["val_loss"])
    read = EventAccumulator(str(Path("logs/tensorboard/made") / record.run_id))

    def said(name: str) -> list[float]:
        return [event.value for event in read.Reload().Scalars(name)]

    log.show({"run_id": record.run_id, "stage": "train", "epoch": 1, "images_per_second": 9.0})
    log.show(told(record, 1))
    log.show(told(record, 2))
    assert said("val_loss") == pytest.approx(losses[:2], rel=1e-5)
    logger.Logger(experiment).show(told(record, 2))  # it was killed before its checkpoint, and goes on
    assert said("val_loss") == pytest.approx(losses[:2], rel=1e-5)

    log.done(record)
    assert said("val_loss") == pytest.approx(losses, rel=1e-5)  # also where it was looked at all the while
    assert said("train_accuracy") == pytest.approx(list(record.history["train_accuracy"]), rel=1e-5)
    assert said("final_test_accuracy") == [pytest.approx(record.split("test").correct.mean())]
    read = EventAccumulator(read.path)  # opened only now
    assert said("val_loss") == pytest.approx(losses, rel=1e-5)
    log.all(records)
    before = sorted(Path("logs").rglob("*"))
    assert len([path for path in before if path.name.endswith(logger.WHOLE)]) == len(records)
    logger.Logger(experiment).all(records)
    assert sorted(Path("logs").rglob("*")) == before


@pytest.mark.filterwarnings("default")  # of MLflow about SQLAlchemy
def test_mlflow_has_each_epoch_live_and_all_of_a_whole_run_once(
    made: tuple[Experiment, list[RunRecord]], capfd: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("mlflow", reason="needs the package mlflow-skinny")
    from mlflow import MlflowClient

    experiment, records = logged_to("mlflow", made[0]), made[1]
    record, log = records[1], logger.Logger(experiment)
    losses = list(record.history["val_loss"])
    log.show(told(record, 1))
    log.show(told(record, 2))
    client = MlflowClient(logger.tracking_uri())
    place = client.get_experiment_by_name("made").experiment_id

    def run() -> Any:
        (found,) = client.search_runs([place], f"tags.`headstart.run_id` = '{record.run_id}'")
        return found

    def said(name: str) -> list[float]:
        history = client.get_metric_history(run().info.run_id, name)
        return [one.value for one in sorted(history, key=lambda one: one.step)]

    assert run().info.status == "RUNNING"
    assert said("val_loss") == pytest.approx(losses[:2])
    log.done(record)
    log.all(records)
    logger.Logger(experiment).all(records)
    assert run().info.status == "FINISHED"
    assert {run.info.run_name for run in client.search_runs([place])} == {r.run_id for r in records}
    assert said("val_loss") == pytest.approx(losses)
    assert said("learning_rate") == pytest.approx(list(record.history["learning_rate"]))
    assert run().data.params["model"] == "resnet18"
    assert "mlflow" not in capfd.readouterr().err
    assert said("final_test_accuracy") == [pytest.approx(record.split("test").correct.mean())]


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
    log = logger.Logger(logged_to("tensorboard", experiment))
    log.show(told(records[0], 1))
    log.done(records[0])
    log.all(records)
    assert capsys.readouterr().err.count("not logged to tensorboard") == 1


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
