"""Runs made by the driver, and what is compared of them."""

import io
import json
import os
import select
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from safetensors.torch import load_file

from pipeline.experiment import RunSettings
from pipeline.job import Job
from pipeline.record import RunRecord
from tests.conftest import ROOT

UNCHANGED = ["epoch", "train_loss", "train_accuracy", "val_loss", "val_accuracy", "learning_rate"]
FEW = {"val_fraction": 0.05, "test_fraction": 0.05}
SMALL = {"batch_size": 32, "widths": [8, 16], "depth": 1, "compile": "off", "precision": "fp32", **FEW}


class Driver:
    """``tests.faults.driver`` as a process, which makes runs in forks of itself."""

    def __init__(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.faults.driver"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": str(ROOT), "HEADSTART_THREADS": "1", "OMP_NUM_THREADS": "1"},
        )

    def make(self, job: Job, operation: int = 0, seconds: float = 0.0, largest_file: int = 0) -> int:
        """Make a run, killed before a file operation or after some seconds; return its exit status."""
        asked = {"job": asdict(job), "operation": operation, "largest_file": largest_file}
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps(asked) + "\n")
        self.process.stdin.flush()
        started = int(self.process.stdout.readline())
        if seconds:
            select.select([self.process.stdout], [], [], seconds)  # it may end before
            # The driver may have taken note of its end by now; then there is nobody left to kill.
            subprocess.run(["kill", "-KILL", str(started)], stderr=subprocess.DEVNULL, check=False)
        return int(self.process.stdout.readline())


def job_in(folder: Path, changes: dict[str, Any]) -> Job:
    folder.mkdir()
    settings = RunSettings(**{**SMALL, **changes})
    return Job("made-scratch-s0-00000000", settings.model_dump(), {}, str(folder / "runs"), 1, str(folder))


def finished_epochs(job: Job) -> int:
    """Return how many epochs a run that was killed has told of."""
    path = job.partial / "progress.jsonl"
    lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
    events = [json.loads(line) for line in lines]
    return max((event["epoch"] for event in events if event.get("val_loss") is not None), default=0)


def kept_epochs(job: Job) -> int:
    """Return how many epochs the checkpoint of a run holds, or all when the run is whole."""
    if not job.partial.is_dir() or (job.partial / "record.json").is_file():
        return sys.maxsize
    path = job.partial / "checkpoint.pt"
    if not path.is_file():
        return 0
    state = torch.load(io.BytesIO(path.read_bytes()[32:]), weights_only=True)
    return len(state["rows"])


def assert_same(record: RunRecord, expected: RunRecord) -> None:
    """Compare everything that two runs learned and answered, bit for bit."""
    record.verify()
    pd.testing.assert_frame_equal(record.history[UNCHANGED], expected.history[UNCHANGED], check_exact=True)
    pd.testing.assert_frame_equal(record.predictions, expected.predictions, check_exact=True)
    pd.testing.assert_frame_equal(record.gallery, expected.gallery, check_exact=True)
    weights, whole = (load_file(r.folder / "model.safetensors") for r in (record, expected))
    assert list(weights) == list(whole)
    for name, tensor in weights.items():
        np.testing.assert_array_equal(tensor.numpy(), whole[name].numpy(), err_msg=name)
    assert record.details.best_epoch == expected.details.best_epoch
    assert record.details.stop_reason == expected.details.stop_reason
    assert {path.name for path in record.folder.iterdir()} == {p.name for p in expected.folder.iterdir()}
