"""A whole run of the smallest real training, made once, and a report that names it."""

import json
import os
from pathlib import Path
from typing import Any

import pytest
import torch

from pipeline.learn import data, evaluate, models, speed, train
from pipeline.record import RunDetails, RunFolder, RunRecord
from tests.learn import tiny

SETTINGS = {"max_train_images": 400, "epochs": 8, "learning_rate": 0.02, "precision": "fp32", "device": "cpu"}


def trained_run(folder: Path, name: str = "run", **changes: Any) -> Path:
    """Train a tiny network in ``folder``, and write its whole run to ``folder/runs/<name>``."""
    settings = tiny.settings(**{**SETTINGS, **changes})
    run_folder = folder / "runs" / name
    run_folder.mkdir(parents=True)
    run = RunFolder(run_folder)
    torch.set_num_threads(1)
    images = data.load(settings, models.preprocessing(settings), tiny.CPU)
    network = models.build(settings, images.classes, images.preprocessing)
    fitted = train.fit(network, images, settings, run, tiny.CPU)
    predictions = evaluate.predict(network, images, settings, tiny.CPU)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(speed, "BUDGET_SECONDS", 0.0)
        evaluate.save(run, settings, images, network, fitted, predictions, tiny.CPU)
    _seal(run_folder, settings, name)
    return run_folder


def _seal(folder: Path, settings: Any, name: str) -> None:
    found = json.loads((folder / "results.json").read_text())
    (folder / "results.json").unlink()
    details = RunDetails(status="complete", run_id=name, settings=settings, **found)
    (folder / "record.json").write_text(details.sealed(folder).model_dump_json())


def write_results(folder: Path, run: RunRecord, **changes: Any) -> Path:
    """Write what a report would say of one run, as far as it is read here."""
    model = {"key": "A", "label": "custom_cnn, scratch", "model": "custom_cnn", "chosen": run.run_id}
    path = folder / "reports" / "made" / "results.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"schema_version": 1, "best": "A", "models": [model], **changes}))
    return path


@pytest.fixture(autouse=True)
def quick_speed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Measure how fast a network answers in an instant, not in seconds."""
    monkeypatch.setattr(speed, "BUDGET_SECONDS", 0.0)


@pytest.fixture(scope="session")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with one whole run in runs/run and a report of it."""
    folder = tmp_path_factory.mktemp("project")
    before = Path.cwd()
    os.chdir(folder)
    try:
        write_results(folder, RunRecord.read(trained_run(folder)))
    finally:
        os.chdir(before)
    return folder


@pytest.fixture
def inside(project: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The same folder, made the current one."""
    monkeypatch.chdir(project)
    return project
