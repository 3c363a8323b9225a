"""torchvision's sets by name: the table fits its classes, and one path reads their files."""

import inspect
import struct

import numpy as np
import pytest
from torchvision import datasets

from pipeline.errors import DataError
from pipeline.experiment import RunSettings
from pipeline.learn.data import public, sources
from pipeline.learn.data.public import TORCHVISION
from pipeline.learn.data.split import split
from tests.learn.made_images import picture


@pytest.fixture(autouse=True)
def _offline_in_tmp_path(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HEADSTART_OFFLINE", "1")


@pytest.mark.parametrize("name", TORCHVISION)
def test_the_table_names_classes_and_arguments_that_torchvision_has(name):
    made = TORCHVISION[name]
    found = getattr(datasets, made.class_name)
    known = {key for kind in found.__mro__ for key in inspect.signature(kind.__init__).parameters}
    assert {key for options in made.parts.values() for key in options} <= known
    assert ("download" in known) == (made.class_name not in public.BY_HAND_ONLY)


@pytest.mark.parametrize("name", TORCHVISION)
def test_a_set_that_is_not_there_is_refused_in_one_line_when_offline(name):
    with pytest.raises(DataError) as error:
        sources.fingerprint(RunSettings(dataset=name, data_dir="sets"))
    assert str(error.value).startswith(f"sets/{name}: ")
    assert "put its files there by hand" in str(error.value).lower()
    assert "\n" not in str(error.value)


def write_idx(path, values):
    path.parent.mkdir(parents=True, exist_ok=True)
    header = struct.pack(">HBB", 0, 8, values.ndim) + struct.pack(f">{values.ndim}I", *values.shape)
    path.write_bytes(header + values.astype(np.uint8).tobytes())


def write_fashion_mnist(folder, count=40):
    images = np.random.RandomState(0).randint(0, 256, (count, 28, 28), dtype=np.uint8)
    for kind in ("train", "t10k"):
        write_idx(folder / f"FashionMNIST/raw/{kind}-images-idx3-ubyte", images)
        write_idx(folder / f"FashionMNIST/raw/{kind}-labels-idx1-ubyte", np.arange(count) % 10)
    return images


def test_a_grey_set_of_arrays_is_read(tmp_path):
    images = write_fashion_mnist(tmp_path / "data/fashion_mnist")
    contents = sources.find(RunSettings(dataset="fashion_mnist"))
    assert contents.classes[0] == "T-shirt/top"
    assert contents.counts == {"train": [4] * 10, "test": [4] * 10}
    assert np.array_equal(np.asarray(contents.parts["test"].read(3)), images[3])
    assert contents.source == "torchvision.datasets.FashionMNIST"


def test_a_set_of_files_without_a_test_part_is_split(tmp_path):
    folder = tmp_path / "data/eurosat/eurosat/2750"
    for label in ("Forest", "River"):
        (folder / label).mkdir(parents=True)
        for number in range(5):
            picture(number).save(folder / label / f"{label}_{number}.jpg")
    settings = RunSettings(dataset="eurosat")
    contents = sources.find(settings)
    assert contents.classes == ["Forest", "River"]
    assert len(split(contents, settings).test) == 2


def test_svhn_is_read_from_its_matlab_files(tmp_path, monkeypatch):
    from scipy.io import savemat

    images = np.random.RandomState(0).randint(0, 256, (32, 32, 3, 20), dtype=np.uint8)
    folder = tmp_path / "data/svhn"
    folder.mkdir(parents=True)
    for part in ("train", "test"):
        savemat(folder / f"{part}_32x32.mat", {"X": images, "y": (np.arange(20) % 10 + 1)[:, None]})
    monkeypatch.setattr(datasets.SVHN, "_check_integrity", lambda self: True)
    contents = sources.find(RunSettings(dataset="svhn"))
    assert contents.classes == [str(digit) for digit in range(10)]
    assert contents.parts["train"].targets[:3].tolist() == [1, 2, 3]
    assert np.array_equal(np.asarray(contents.parts["test"].read(3)), images[..., 3])


def test_a_fingerprint_does_not_need_torchvision_again_and_ignores_archives(tmp_path, monkeypatch):
    settings = RunSettings(dataset="fashion_mnist")
    write_fashion_mnist(tmp_path / "data/fashion_mnist")
    first = sources.fingerprint(settings)
    monkeypatch.setattr(public.TorchvisionSet, "contents", lambda *_: pytest.fail("opened again"))
    (tmp_path / "data/fashion_mnist/FashionMNIST/raw/train-images-idx3-ubyte.gz").write_bytes(b"archive")
    assert sources.fingerprint(settings) == first


def test_a_mirror_that_does_not_answer_is_one_line(monkeypatch):
    monkeypatch.delenv("HEADSTART_OFFLINE")
    monkeypatch.setattr(datasets.FashionMNIST, "mirrors", ["http://127.0.0.1:9/"])
    with pytest.raises(DataError) as error:
        sources.find(RunSettings(dataset="fashion_mnist"))
    message = str(error.value)
    assert message.startswith("data/fashion_mnist: torchvision.datasets.FashionMNIST cannot be had: ")
    assert message.endswith("Try again later, or put its files there by hand.")
    assert "\n" not in message
