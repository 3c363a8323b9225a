"""What those who keep a log of all their trainings want of each run: ``logger: tensorboard`` or ``mlflow``.

While a run trains, what its epochs tell; once it is whole, all of it, from its record. A logger reads runs,
so it changes no result and is no part of a run's identity; what it cannot write is said, the runs are kept.
"""

import logging
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property, partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Protocol

from pipeline.errors import SettingsError, one_line
from pipeline.experiment import Experiment
from pipeline.record import RunRecord

OFFLINE_VARIABLE = "HEADSTART_OFFLINE"
LOGS = Path("logs")
LOGGED = ("train_loss", "train_accuracy", "val_loss", "val_accuracy", "learning_rate")  # of each epoch
PACKAGES = {"tensorboard": "tensorboard", "mlflow": "mlflow"}
WHOLE = ".whole"  # ends the name of TensorBoard's file of a whole run
RUN_ID = "headstart.run_id"  # MLflow's tag of a run
MOST_AT_ONCE = 1000  # values that an MLflow server takes in one call

Values = Mapping[str, float]


def check(experiment: Experiment) -> None:
    """Raise SettingsError for a logger that cannot be used: before any work."""
    name = experiment.logger
    if name and find_spec(PACKAGES[name]) is None:
        raise SettingsError(
            f"logger is {name}, but it is not installed. "
            f"Install it with pip install 'headstart[{name}]', or drop logger."
        )
    remote = name == "mlflow" and not tracking_uri().startswith(("sqlite:", "file:", "/", "."))
    if remote and os.environ.get(OFFLINE_VARIABLE):
        raise SettingsError(
            f"MLFLOW_TRACKING_URI is {tracking_uri()}, and --offline forbids connections. Unset it."
        )


class Log(Protocol):
    """Where runs are logged."""

    def epoch(self, run_id: str, epoch: int, values: Values) -> None:
        """Log an epoch, from 1, of a run that trains."""

    def whole(self, record: RunRecord) -> None:
        """Log all of a whole run, unless that was done."""

    def failed(self, run_id: str) -> None:
        """Log that a run trains no more."""


class Logger:
    """Follows the runs of an experiment, from any thread; without ``logger`` it does nothing."""

    def __init__(self, experiment: Experiment) -> None:
        self._name, self._experiment = experiment.logger, experiment.name
        self._live = True
        self._said = False
        self._lock = threading.Lock()

    def show(self, event: Mapping[str, Any]) -> None:
        """Log an epoch that has just ended, as a run tells it."""
        if self._live and event.get("val_loss") is not None:
            values = {name: float(event[name]) for name in LOGGED if name in event}
            self._live = self._did(lambda log: log.epoch(event["run_id"], int(event["epoch"]), values))

    def done(self, record: RunRecord) -> None:
        """Log how a run ended."""
        if record.complete:
            self._did(partial(_log_whole, record))
        else:
            self._did(lambda log: log.failed(record.run_id))

    def all(self, records: Sequence[RunRecord]) -> None:
        """Log the whole runs that are not logged yet, up to the first that cannot be."""
        for record in records:
            if record.complete and not self._did(partial(_log_whole, record)):
                return

    def _did(self, work: Callable[[Log], None]) -> bool:
        """Do it, and return whether it was done; say once why not."""
        if self._name is None:
            return True
        try:
            with self._lock:
                work(self._log)
        except Exception as error:  # noqa: BLE001 (stores and servers fail in every possible way)
            if not self._said:
                print(f"headstart: not logged to {self._name}: {one_line(error)}", file=sys.stderr)
            self._said = True
            return False
        return True

    @cached_property
    def _log(self) -> Log:
        return TensorBoard(self._experiment) if self._name == "tensorboard" else MLflow(self._experiment)


def _log_whole(record: RunRecord, log: Log) -> None:
    log.whole(record)


def epochs(record: RunRecord) -> Iterator[tuple[int, str, float]]:
    """Yield (epoch, name, value) for all that is logged of each epoch."""
    for row in record.history.to_dict("records"):
        for name in LOGGED:
            yield int(row["epoch"]), name, float(row[name])


def scores(record: RunRecord) -> dict[str, float]:
    """Return the accuracies of the network that was kept, fractions."""
    return {f"final_{name}_accuracy": float(record.split(name).correct.mean()) for name in ("val", "test")}


class TensorBoard:
    """A folder for each run: files that grow while it trains, then one of all.

    TensorBoard shows the last in their place; were they removed, one that reads them now would stop there.
    """

    def __init__(self, experiment: str) -> None:
        from torch.utils.tensorboard import SummaryWriter

        self._writer = SummaryWriter
        self._folder = LOGS / "tensorboard" / experiment
        self._open: dict[str, Any] = {}

    def epoch(self, run_id: str, epoch: int, values: Values) -> None:
        if run_id not in self._open:  # what an earlier part of the run told of this epoch or later is dropped
            self._open[run_id] = self._writer(str(self._folder / run_id), purge_step=epoch)
        for name, value in values.items():
            self._open[run_id].add_scalar(name, value, epoch)
        self._open[run_id].flush()

    def whole(self, record: RunRecord) -> None:
        self.failed(record.run_id)
        folder = self._folder / record.run_id
        if any(folder.glob(f"*{WHOLE}")):
            return
        partial = LOGS / f".{record.run_id}.partial"  # not below what TensorBoard looks through
        for left in partial.glob("*"):
            left.unlink()
        with self._writer(str(partial), purge_step=0, filename_suffix=WHOLE) as writer:
            for epoch, name, value in epochs(record):
                writer.add_scalar(name, value, epoch)
            for name, value in scores(record).items():
                writer.add_scalar(name, value, record.details.best_epoch)
            settings = "\n".join(f"    {key}: {value}" for key, value in record.settings.effective().items())
            writer.add_text("settings", settings)
        folder.mkdir(exist_ok=True)
        for file in partial.iterdir():
            file.rename(folder / file.name)
        partial.rmdir()

    def failed(self, run_id: str) -> None:
        if run_id in self._open:
            self._open.pop(run_id).close()


def tracking_uri() -> str:
    """Return where MLflow logs: ``MLFLOW_TRACKING_URI``, or else a file of this folder."""
    return os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{(LOGS / 'mlflow.db').absolute()}"


class MLflow:
    """A run of MLflow for each run: RUNNING while it trains, FINISHED once all of it is logged."""

    def __init__(self, experiment: str) -> None:
        os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
        from mlflow import MlflowClient

        logging.getLogger("mlflow").setLevel(logging.WARNING)  # else it tells of each table that it makes
        LOGS.mkdir(exist_ok=True)
        self._client = MlflowClient(tracking_uri())
        known = self._client.get_experiment_by_name(experiment)
        self._place = known.experiment_id if known else self._client.create_experiment(experiment)
        self._running: dict[str, str] = {}

    def epoch(self, run_id: str, epoch: int, values: Values) -> None:
        if run_id not in self._running:
            run = self._run(run_id)
            self._running[run_id] = run.info.run_id
            if run.info.status != "RUNNING":  # it failed, and is tried again
                self._client.update_run(run.info.run_id, status="RUNNING")
        self._add(self._running[run_id], [(epoch, name, value) for name, value in values.items()])

    def whole(self, record: RunRecord) -> None:
        from mlflow.entities import Param

        self._running.pop(record.run_id, None)
        run = self._run(record.run_id)
        if run.info.status == "FINISHED":
            return
        last = record.details.best_epoch or 0
        values = [*epochs(record), *((last, name, value) for name, value in scores(record).items())]
        self._add(run.info.run_id, values)
        settings = record.settings.effective().items()
        self._client.log_batch(run.info.run_id, params=[Param(key, str(value)) for key, value in settings])
        self._client.set_terminated(run.info.run_id)

    def failed(self, run_id: str) -> None:
        if run_id in self._running:
            self._client.set_terminated(self._running.pop(run_id), "FAILED")

    def _run(self, run_id: str) -> Any:
        found = self._client.search_runs([self._place], f"tags.`{RUN_ID}` = '{run_id}'", max_results=1)
        if found:
            return found[0]
        return self._client.create_run(self._place, tags={RUN_ID: run_id}, run_name=run_id)

    def _add(self, run: str, values: Sequence[tuple[int, str, float]]) -> None:
        """Add (epoch, name, value), those left out that are there already."""
        from mlflow.entities import Metric

        there = {
            (one.step, name)
            for name in {name for _, name, _ in values}
            for one in self._client.get_metric_history(run, name)
        }
        now = int(1000 * time.time())
        new = [Metric(name, value, now, step) for step, name, value in values if (step, name) not in there]
        for start in range(0, len(new), MOST_AT_ONCE):
            self._client.log_batch(run, metrics=new[start : start + MOST_AT_ONCE])
