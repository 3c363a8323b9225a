"""Whole runs are asked under worse conditions and on images from elsewhere, once."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.datasets import load_digits

from pipeline import cli
from pipeline.errors import DataError, SettingsError
from pipeline.experiment import Experiment
from pipeline.inference import Predictor, elsewhere
from pipeline.inference.conditions import CHANGES, changed_images
from pipeline.record import CONDITIONS, RunRecord

pytestmark = pytest.mark.usefixtures("inside")


@pytest.fixture
def record(inside: Path, tmp_path: Path) -> RunRecord:
    """A copy of the whole run, to be written beside."""
    shutil.copytree(inside / "runs" / "run", tmp_path / "runs" / "run")
    return RunRecord.read(tmp_path / "runs" / "run")


def experiment(record: RunRecord, **asked: object) -> Experiment:
    return Experiment(name="x", title="x", runs=[record.settings], **asked)  # type: ignore[arg-type]


def folder_of(path: Path, names: list[str], count: int = 3) -> Path:
    """Write some digits as files, in a folder for each class."""
    digits = load_digits()
    for name in names:
        rows = np.flatnonzero(digits.target == (int(name) if name.isdigit() else 0))[:count]
        (path / name).mkdir(parents=True)
        for row in rows:
            image = Image.fromarray(np.uint8(digits.images[row] * 15))
            image.resize((8, 8)).save(path / name / f"{row}.png")
    return path


def test_each_condition_gets_worse_with_its_strength_and_is_the_same_each_time() -> None:
    images = torch.from_numpy(np.random.default_rng(0).integers(60, 200, (5, 32, 32, 3), dtype=np.uint8))
    assert list(CHANGES) == list(CONDITIONS)
    for condition in CONDITIONS:
        changed = [changed_images(images, condition, strength) for strength in (1, 2, 3)]
        apart = [float((one.float() - images.float()).abs().mean()) for one in changed]
        assert 0 < apart[0] < apart[1] < apart[2], condition
        assert torch.equal(changed[2], changed_images(images, condition, 3))
        assert (changed[0].dtype, changed[0].shape) == (torch.uint8, images.shape)


def test_noise_is_the_same_for_images_of_any_network_and_smallest_images_can_be_changed() -> None:
    images = torch.full((300, 8, 8, 3), 128, dtype=torch.uint8)
    assert torch.equal(changed_images(images, "noise", 1)[:256], changed_images(images[:256], "noise", 1))
    for condition in CONDITIONS:
        assert changed_images(images[:2], condition, 3).shape == (2, 8, 8, 3)


def test_answers_are_kept_beside_the_predictions_and_asked_once(
    record: RunRecord, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere.ask(experiment(record, robustness=True), [record])
    table = record.conditions
    assert table is not None
    test = record.split("test")
    assert len(table) == 18 * len(test.index)
    assert table.groupby(["condition", "strength"]).size().eq(len(test.index)).all()
    blurred = table[(table["condition"] == "blur") & (table["strength"] == 1)]
    assert (blurred["target"].to_numpy() == test.target).all()
    predictor = Predictor.from_run(record.folder, likeness=False)
    asked = predictor.answer(changed_images(predictor.data.test.pixels, "noise", 2)).uncalibrated
    noisy = table[(table["condition"] == "noise") & (table["strength"] == 2)]
    assert np.abs(noisy["probability"].to_numpy() - asked.max(axis=1)).max() < 1e-5
    assert "asked under worse conditions" in capsys.readouterr().err
    monkeypatch.setattr(elsewhere, "_ask", lambda *_: pytest.fail("asked twice"))
    elsewhere.ask(experiment(record, robustness=True), [RunRecord.read(record.folder)])


def test_damaged_answers_and_those_of_another_network_are_none(record: RunRecord) -> None:
    elsewhere.ask(experiment(record, robustness=True), [record])
    path = record.folder / "conditions.parquet"
    whole = path.read_bytes()
    path.write_bytes(whole[:-100])
    assert RunRecord.read(record.folder).conditions is None
    path.write_bytes(whole)
    again = RunRecord.read(record.folder)
    assert again.conditions is not None
    again.details.files["model.safetensors"] = "other"
    again.__dict__.pop("conditions")
    assert again.conditions is None


def test_images_from_elsewhere_are_asked_again_when_they_change(record: RunRecord, tmp_path: Path) -> None:
    folder = folder_of(tmp_path / "other", ["3", "7"])
    asked = experiment(record, external_test=str(folder))
    elsewhere.ask(asked, [record])
    first = record.external
    assert first is not None
    assert sorted(set(first["target"])) == [3, 7]
    assert list(first["file"]) == sorted(first["file"])
    (folder / "3" / "broken.png").write_bytes(b"no image")
    elsewhere.ask(asked, [record])
    second = record.external
    assert second is not None
    assert len(second) == len(first) == 6
    assert second.attrs["fingerprint"] != first.attrs["fingerprint"]


def test_a_folder_from_elsewhere_that_cannot_be_used_is_refused(record: RunRecord, tmp_path: Path) -> None:
    for names, message in ((["3", "cat"], "holds 'cat', which is no class"), ([], "holds no image")):
        (tmp_path / message[:8]).mkdir()
        folder = folder_of(tmp_path / message[:8], names)
        with pytest.raises(DataError, match=message):
            elsewhere.ask(experiment(record, external_test=str(folder)), [record])
    assert record.external is None


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("robustness: maybe", "robustness is 'maybe'; it must be true or false"),
        ("external_test: nowhere", "external_test is 'nowhere'; it must be a folder"),
    ],
)
def test_params_that_ask_wrongly_are_refused(
    tmp_path: Path, line: str, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "x.yaml"
    path.write_text(f"{line}\nmodels: [custom_cnn]\n", encoding="utf-8")
    with pytest.raises(SettingsError, match=message):
        Experiment.from_yaml(path)
    assert cli.main(["run", str(path)]) == 2
    assert capsys.readouterr().err.count("\n") == 1
