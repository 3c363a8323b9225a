"""A run's network answers as it did in the report, and says when it should not be asked."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.datasets import load_sample_image

from pipeline.confidence import fit_temperature, scale
from pipeline.errors import InputError
from pipeline.inference import Predictor
from pipeline.record import RunRecord
from tests.inference.conftest import trained_run

pytestmark = pytest.mark.usefixtures("inside")


@pytest.fixture
def predictor(inside: Path) -> Predictor:
    return Predictor.from_run(inside / "runs" / "run")


def test_test_images_get_the_probabilities_of_the_report(predictor: Predictor) -> None:
    expected = predictor.record.split("test").probability
    found = predictor(list(predictor.data.test.pixels.numpy()))
    assert np.abs(found.uncalibrated - expected).max() < 1e-5


def test_probabilities_hold_the_temperature_fitted_on_val(predictor: Predictor) -> None:
    val, test = (predictor.record.split(name) for name in ("val", "test"))
    found = predictor.answer(predictor.data.test.pixels)
    assert predictor.temperature == fit_temperature(val) != 1
    assert np.abs(found.probability - scale(test, predictor.temperature).probability).max() < 1e-4


def test_bf16_gives_nearly_the_same(inside: Path, predictor: Predictor) -> None:
    rough = Predictor.from_run(inside / "runs" / "run", precision="bf16", likeness=False)
    exact, found = (p.answer(predictor.data.test.pixels) for p in (predictor, rough))
    difference = np.abs(exact.uncalibrated - found.uncalibrated).max()
    assert 1e-5 < difference < 0.05
    assert (exact.predicted == found.predicted).mean() > 0.98


def test_val_images_are_flagged_at_the_stated_rate(predictor: Predictor) -> None:
    found = predictor.answer(predictor.data.val.pixels)
    assert 0.005 <= found.unlike_training.mean() <= 0.03  # type: ignore[union-attr]


@pytest.mark.parametrize("kind", ["noise", "grey noise", "inverted", "photograph"])
def test_other_images_are_unlike_the_training_images(predictor: Predictor, kind: str) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (200, 8, 8, 3), dtype=np.uint8)
    photograph = load_sample_image("china.jpg")[:384, :384].reshape(48, 8, 48, 8, 3).swapaxes(1, 2)
    others = {
        "noise": noise,
        "grey noise": noise[..., :1].repeat(3, axis=3),
        "inverted": 255 - predictor.data.test.pixels.numpy(),
        "photograph": photograph.reshape(-1, 8, 8, 3)[::10],
    }
    assert predictor(list(others[kind])).unlike_training.mean() > 0.9  # type: ignore[union-attr]


def test_a_training_image_is_its_own_nearest(predictor: Predictor) -> None:
    found = predictor.answer(predictor.data.train.pixels[:20])
    assert (found.nearest[:, 0] == np.arange(20)).all()  # type: ignore[index]


def test_without_its_data_a_run_still_answers(
    inside: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = trained_run(tmp_path, dataset="image_folder", data_dir=str(_classes(tmp_path)), val_fraction=0.3)
    for file in (tmp_path / "images").rglob("*.png"):
        Image.fromarray(255 - np.asarray(Image.open(file))).save(file)
    predictor = Predictor.from_run(folder)
    found = predictor([np.zeros((16, 16, 3), np.uint8)])
    assert found.unlike_training is None
    assert "not those" in predictor.why_no_likeness
    assert found.probability.sum() == pytest.approx(1)


def _classes(folder: Path) -> Path:
    from tests.learn.made_images import write_classes

    return write_classes(folder / "images", {"a": 20, "b": 20}, size=(20, 16))


def test_files_are_prepared_as_the_data_set_was(tmp_path: Path) -> None:
    place = _classes(tmp_path)
    folder = trained_run(tmp_path, dataset="image_folder", data_dir=str(place), val_fraction=0.3)
    predictor = Predictor.from_run(folder)
    files = [place / name for name in predictor.data.test.files]
    expected = RunRecord.read(folder).split("test").probability
    assert np.abs(predictor(files).uncalibrated - expected).max() < 1e-5


def test_what_cannot_be_read_is_named_and_the_rest_answered(predictor: Predictor, tmp_path: Path) -> None:
    (tmp_path / "broken.png").write_bytes(b"no image")
    found = predictor([tmp_path / "broken.png", np.zeros((8, 8, 3), np.uint8), tmp_path / "gone.png"])
    assert list(found.position) == [1]
    assert set(found.unreadable) == {0, 2}


def test_images_in_many_batches_keep_their_places(
    predictor: Predictor, monkeypatch: pytest.MonkeyPatch
) -> None:
    pixels = predictor.data.test.pixels[:50]
    whole = predictor.answer(pixels)
    predictor.batch_size = 7
    found = predictor(list(pixels.numpy()))
    assert list(found.position) == list(range(50))
    assert np.allclose(found.probability, whole.probability, atol=1e-5)


@pytest.mark.parametrize("damage", ["weights", "record", "metadata"])
def test_damaged_run_is_refused_in_one_line(tmp_path: Path, damage: str, inside: Path) -> None:
    import shutil

    folder = Path(shutil.copytree(inside / "runs" / "run", tmp_path / "run"))
    name = "record.json" if damage == "record" else "model.safetensors"
    content = bytearray((folder / name).read_bytes())
    content[len(content) // 2 if damage != "metadata" else 4] ^= 0xFF
    (folder / name).write_bytes(content)
    with pytest.raises(InputError, match="damaged") as caught:
        Predictor.from_run(folder)
    assert "\n" not in str(caught.value)


def test_transfer_network_is_rebuilt_without_its_published_weights(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = trained_run(
        tmp_path,
        model="efficientnet_lite0",
        mode="linear_probe",
        image_size=32,
        epochs=1,
        max_train_images=60,
    )
    from pipeline.learn.models import lite

    monkeypatch.setattr(lite, "state", lambda settings: pytest.fail("the published weights were read"))
    predictor = Predictor.from_run(folder)
    expected = predictor.record.split("test").probability
    found = predictor.answer(predictor.data.test.pixels)
    assert np.abs(found.uncalibrated - expected).max() < 1e-5
    assert torch.isfinite(torch.tensor(found.probability)).all()
