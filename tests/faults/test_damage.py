"""A file of a finished run that is not what was written is noticed, named, and the run made again."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from pipeline.errors import RecordError
from pipeline.experiment import Experiment
from pipeline.plan import plan, reasons
from pipeline.record import RunRecord
from pipeline.run import job_of
from tests.faults.runs import Driver, assert_same

PARAMS = """
dataset: digits
max_train_images: 100
epochs: 2
compile: 'off'
precision: fp32
models: [{model: custom_cnn, widths: [8], depth: 1}]
"""
FILES = (
    "settings.yaml",
    "train.ipynb",
    "history.csv",
    "predictions.parquet",
    "gallery.parquet",
    "images.parquet",
    "baselines.json",
    "model.safetensors",
    "record.json",
)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, driver: Driver) -> Path:
    """A folder with a params file and its whole run."""
    folder = tmp_path_factory.mktemp("whole")
    (folder / "x.yaml").write_text(PARAMS, encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        (planned,) = plan(Experiment.from_yaml("x.yaml"))
        assert driver.make(job_of(planned, threads=1)) == 0
        assert {path.name for path in planned.folder.iterdir()} == set(FILES)
    return folder


@pytest.fixture
def copy(whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of that run's folder; the current folder is the one that holds its params file."""
    shutil.copytree(whole, tmp_path / "copy")
    monkeypatch.chdir(tmp_path / "copy")
    (folder,) = Path("runs").glob("custom_cnn*")
    return folder


def damage(path: Path, region: float) -> None:
    content = bytearray(path.read_bytes())
    place = int(region * len(content))
    content[place : place + 3] = bytes(255 - byte for byte in content[place : place + 3])
    path.write_bytes(content)


@pytest.mark.parametrize("region", np.linspace(0, 0.999, 6).round(3))
@pytest.mark.parametrize("name", FILES)
def test_damage_in_any_region_of_any_file_is_named_and_the_run_made_again(
    copy: Path, name: str, region: float
) -> None:
    damage(copy / name, region)

    (reason,) = reasons(Experiment.from_yaml("x.yaml"))

    assert reason.state == "damaged"
    assert reason.text.startswith(f"damaged and is made again: {copy / name}: damaged")
    assert reason.text.endswith(f"Delete {copy} to have it run again.")


@pytest.mark.parametrize("kept", [0, 0.5])
@pytest.mark.parametrize("name", [name for name in FILES if name != "record.json"])
def test_a_file_that_is_cut_off_or_gone_is_named(copy: Path, name: str, kept: float) -> None:
    path = copy / name
    content = path.read_bytes()
    path.unlink()
    if kept:
        path.write_bytes(content[: int(kept * len(content))])

    with pytest.raises(RecordError, match=f"{name}: {'damaged' if kept else 'missing'}"):
        RunRecord.read(copy).verify()


def test_a_damaged_run_is_made_again_as_it_was(whole: Path, copy: Path, driver: Driver) -> None:
    damage(copy / "model.safetensors", 0.5)
    (planned,) = plan(Experiment.from_yaml("x.yaml"))

    assert driver.make(job_of(planned, threads=1)) == 0

    assert_same(RunRecord.read(copy), RunRecord.read(whole / copy))
    assert reasons(Experiment.from_yaml("x.yaml"))[0].state == "whole"


@pytest.mark.parametrize("largest_file", [200, 3_000, 20_000, 60_000])
def test_a_full_disk_loses_nothing_but_the_work_since_the_last_checkpoint(
    whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, driver: Driver, largest_file: int
) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copy(whole / "x.yaml", "x.yaml")
    (planned,) = plan(Experiment.from_yaml("x.yaml"))
    job = job_of(planned, threads=1)

    assert driver.make(job, largest_file=largest_file) != 0
    assert not planned.folder.exists()
    assert driver.make(job) == 0

    assert_same(RunRecord.read(planned.folder), RunRecord.read(whole / planned.folder))
