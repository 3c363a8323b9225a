"""What those who keep a log of all their trainings want of each run: ``logger: tensorboard`` or ``mlflow``.

It reads whole runs and writes each once, so it changes no result and is no part of a run's identity.
"""

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path

from pipeline.errors import HeadstartError, SettingsError, one_line
from pipeline.experiment import Experiment
from pipeline.record import RunRecord

OFFLINE_VARIABLE = "HEADSTART_OFFLINE"
LOGS = Path("logs")
LOGGED = ("train_loss", "train_accuracy", "val_loss", "val_accuracy", "learning_rate")  # of each epoch
PACKAGES = {"tensorboard": "tensorboard", "mlflow": "mlflow"}
MOST_AT_ONCE = 1000  # values that an MLflow server takes in one call


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


def log(experiment: Experiment, records: Sequence[RunRecord]) -> None:
    """Log the whole runs that are not logged yet. What fails is said and left out: the runs are kept."""
    writers: dict[str, Callable[[str, Sequence[RunRecord]], None]] = {
        "tensorboard": _to_tensorboard,
        "mlflow": _to_mlflow,
    }
    if experiment.logger is None:
        return
    try:
        writers[experiment.logger](experiment.name, [record for record in records if record.complete])
    except (HeadstartError, OSError) as error:
        print(f"headstart: not logged to {experiment.logger}: {one_line(error)}", file=sys.stderr)


def epochs(record: RunRecord) -> Iterator[tuple[int, str, float]]:
    """Yield (epoch, name, value) for all that is logged of each epoch."""
    for row in record.history.to_dict("records"):
        for name in LOGGED:
            yield int(row["epoch"]), name, float(row[name])


def scores(record: RunRecord) -> dict[str, float]:
    """Return the accuracies of the network that was kept, fractions."""
    return {f"final_{name}_accuracy": float(record.split(name).correct.mean()) for name in ("val", "test")}


def _to_tensorboard(experiment: str, records: Sequence[RunRecord]) -> None:
    from torch.utils.tensorboard import SummaryWriter

    for record in records:
        folder = LOGS / "tensorboard" / experiment / record.run_id
        if folder.is_dir():
            continue
        partial = folder.with_name(f".{record.run_id}.partial")
        for left in partial.glob("*"):
            left.unlink()
        with SummaryWriter(str(partial)) as writer:
            for epoch, name, value in epochs(record):
                writer.add_scalar(name, value, epoch)
            for name, value in scores(record).items():
                writer.add_scalar(name, value, record.details.best_epoch)
            settings = "\n".join(f"    {key}: {value}" for key, value in record.settings.effective().items())
            writer.add_text("settings", settings)
        partial.rename(folder)


def tracking_uri() -> str:
    """Return where MLflow logs: ``MLFLOW_TRACKING_URI``, or else a file of this folder."""
    return os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{(LOGS / 'mlflow.db').absolute()}"


def _to_mlflow(experiment: str, records: Sequence[RunRecord]) -> None:
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    from mlflow import MlflowClient
    from mlflow.entities import Metric, Param
    from mlflow.exceptions import MlflowException

    LOGS.mkdir(exist_ok=True)
    try:
        client = MlflowClient(tracking_uri())
        known = client.get_experiment_by_name(experiment)
        place = known.experiment_id if known else client.create_experiment(experiment)
        for record in records:
            wanted = f"tags.`headstart.run_id` = '{record.run_id}'"
            if client.search_runs([place], wanted, max_results=1):
                continue
            run = client.create_run(place, run_name=record.run_id).info.run_id
            values = [Metric(name, value, 0, epoch) for epoch, name, value in epochs(record)]
            last = record.details.best_epoch or 0
            values += [Metric(name, value, 0, last) for name, value in scores(record).items()]
            for start in range(0, len(values), MOST_AT_ONCE):
                client.log_batch(run, metrics=values[start : start + MOST_AT_ONCE])
            settings = record.settings.effective().items()
            client.log_batch(run, params=[Param(key, str(value)) for key, value in settings])
            client.set_tag(run, "headstart.run_id", record.run_id)  # last: a run without it is not whole
            client.set_terminated(run)
    except MlflowException as error:
        raise HeadstartError(one_line(error)) from None
