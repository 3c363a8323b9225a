"""Which run is meant: a run's folder, or a report's, whose best model on val is taken."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.errors import InputError, RecordError, did_you_mean, one_line
from pipeline.record import RunRecord

RESULTS_VERSION = 1  # of results.json, as the report writes it


@dataclass(frozen=True)
class Chosen:
    """A run, and how it was chosen: ``models`` of the report (None: no report), ``seeds`` of its model."""

    record: RunRecord
    label: str
    models: int | None = None
    seeds: int = 1
    named: bool = False  # whether a model was asked for, rather than the best on val


def find(source: str | Path, model: str | None = None, runs: str | Path | None = None) -> RunRecord:
    """Return the run that ``source`` means: a run's folder, a report's folder, or its results.json.

    Of a report it is ``model``, by key, label or name, or else the best on val; its runs are looked for in
    ``runs``, or where a report's runs usually lie. Raises InputError when there is no such run, whole.
    """
    return choose(source, model, runs).record


def choose(source: str | Path, model: str | None = None, runs: str | Path | None = None) -> Chosen:
    """Return the same run, and how it was chosen."""
    path = Path(source)
    if (path / "record.json").is_file():
        if model is not None:
            raise InputError(f"{path}: is one run; --model chooses among the models of a report. Drop it.")
        record = _whole(path)
        return Chosen(record, f"{record.settings.model}, {record.settings.mode}")
    results = path / "results.json" if path.is_dir() else path
    if not results.is_file():
        raise InputError(
            f"{path}: is no run and no report. Give a run's folder (with record.json), a report's folder or "
            "its results.json."
        )
    content = read_results(results)
    found = _chosen(results, content, model)
    record = _whole(_run_folder(results, str(found["chosen"]), runs))
    seeds = len(found.get("runs") or [found["chosen"]])
    return Chosen(record, str(found["label"]), len(content["models"]), seeds, model is not None)


def read_results(path: Path) -> dict[str, Any]:
    """Return the content of a results.json. Raises InputError when it is damaged or of another version."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        version = content.get("schema_version")
    except (OSError, ValueError, AttributeError, RecursionError) as error:
        raise InputError(
            f"{path}: is no results.json ({one_line(error, 80)}). Render the report again."
        ) from None
    if version != RESULTS_VERSION:
        raise InputError(
            f"{path}: schema_version is {version!r}, this Headstart reads {RESULTS_VERSION}. "
            "Render the report again."
        )
    return dict(content)


def _chosen(path: Path, results: dict[str, Any], wanted: str | None) -> dict[str, Any]:
    """Return the model that is wanted, or the best on val."""
    try:
        models = list(results["models"])
        names = {name: model for model in reversed(models) for name in (model["model"], model["label"])}
        names |= {model["key"]: model for model in models}
        key = wanted or results["best"]
        if key is None or not models:
            raise InputError(f"{path}: no model of this report was trained to its end. Run it again.")
        if key not in names:
            known = ", ".join(repr(model["label"]) for model in models)
            raise InputError(f"{path}: no model {key!r}.{did_you_mean(key, names)} It has {known}.")
        return {**names[key], "chosen": str(names[key]["chosen"])}
    except (KeyError, TypeError, AttributeError) as error:
        raise InputError(f"{path}: damaged (lacks {one_line(error, 80)}). Render the report again.") from None


def _run_folder(results: Path, run_id: str, runs: str | Path | None) -> Path:
    """Return where a report's run lies: reports/<name>/results.json has its runs in runs/ beside reports/."""
    places = [Path(runs)] if runs else [Path("runs"), *(p / "runs" for p in results.absolute().parents[:3])]
    for place in places:
        if (place / run_id).is_dir():
            return place / run_id
    where = ", ".join(str(place) for place in places[:2])
    raise InputError(
        f"{results}: its run {run_id} is gone (looked in {where}). Run the experiment again, or say with "
        "--runs where its runs lie."
    )


def _whole(folder: Path) -> RunRecord:
    try:
        record = RunRecord.read(folder)
        if not record.complete:
            raise InputError(f"{folder}: this run failed, so it has no network. Choose another.")
        record.verify("model.safetensors", "predictions.parquet")
        answers = sum(str(name).startswith("probability_") for name in record.predictions)
        if answers != len(record.classes):
            raise InputError(
                f"{folder}: damaged: its record names {len(record.classes)} classes, predictions.parquet "
                f"{answers}. Delete it to have it run again."
            )
        return record
    except RecordError as error:
        raise InputError(str(error)) from None
