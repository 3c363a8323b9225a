"""Killed at any moment, again and again, a run ends as if it had never been stopped."""

import random
import time
from pathlib import Path
from typing import Any

import pytest

from pipeline.record import RunRecord
from tests.faults.runs import Driver, assert_same, finished_epochs, job_in, kept_epochs

KILLS = 8  # of each kind of run: 32 in all
MOST_OPERATIONS = 110  # a run of its own looks at or changes 100 to 130 files
LITE = {"model": "efficientnet_lite0", "image_size": 32, "max_train_images": 64}
RUNS: dict[str, dict[str, Any]] = {
    "averaged weights, augmentation and dropout": {
        "optimizer": "sgd",
        "learning_rate": 0.1,
        "weight_averaging": True,
        "augmentation": ["crop", "alternating_flip", "random_erasing"],
        "dropout": 0.2,
        "epochs": 8,
        "max_train_images": 200,
    },
    "early stopping": {
        "optimizer": "adam",
        "learning_rate": 0.3,
        "schedule": "constant",
        "patience": 2,
        "epochs": 40,
        "max_train_images": 200,
    },
    "fine-tuning in two stages": {
        **LITE,
        "mode": "fine_tune",
        "head_epochs": 3,
        "epochs": 3,
        "dropout": 0.3,
        "augmentation": ["flip", "rand_augment"],
        "weight_averaging": True,
    },
    "a linear probe": {
        **LITE,
        "mode": "linear_probe",
        "feature_views": 2,
        "augmentation": ["flip"],
        "dropout": 0.3,
        "epochs": 6,
    },
}


@pytest.mark.slow
@pytest.mark.parametrize("changes", RUNS.values(), ids=RUNS)
def test_run_killed_at_random_points_ends_as_if_never_stopped(
    driver: Driver, tmp_path: Path, changes: dict[str, Any]
) -> None:
    whole = job_in(tmp_path / "whole", changes)
    started = time.monotonic()
    assert driver.make(whole) == 0
    seconds = time.monotonic() - started
    expected = RunRecord.read(whole.final)
    chance = random.Random(len(expected.history))
    killed, lives = 0, 0
    while killed < KILLS:
        lives += 1
        job = job_in(tmp_path / f"life {lives}", changes)
        while not job.final.is_dir():
            started, how = time.monotonic(), {"seconds": chance.uniform(0.02, seconds)}
            if killed % 2:
                how = {"operation": chance.randint(1, MOST_OPERATIONS)}
            status = driver.make(job, **how if killed < KILLS else {})
            assert status in (0, -9)
            killed += status == -9
            if status == 0:  # the first may have met a busier machine
                seconds = min(seconds, time.monotonic() - started)
            assert kept_epochs(job) >= finished_epochs(job) - 1
        assert driver.make(job) == 0  # killed in its last moment, it may have been moved but not more
        assert_same(RunRecord.read(job.final), expected)


def test_fresh_folders_give_the_same_numbers(driver: Driver, tmp_path: Path) -> None:
    records = []
    for name in ("first", "second"):
        job = job_in(tmp_path / name, {**RUNS["averaged weights, augmentation and dropout"], "epochs": 3})
        assert driver.make(job) == 0
        records.append(RunRecord.read(job.final))

    assert_same(*records)
