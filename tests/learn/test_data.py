"""A data set becomes splits and batches, the same ones each time."""

import pytest
import torch

from pipeline.learn import data, hardware
from pipeline.learn.preprocessing import Preprocessing
from pipeline.settings import RunSettings


@pytest.fixture(autouse=True)
def _in_tmp_path(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def load(preprocessing=None, **settings):
    chosen = RunSettings(device="cpu", precision="fp32", **settings)
    return data.load(chosen, preprocessing or Preprocessing(), hardware.choose(chosen))


def test_digits_fill_the_range_of_a_byte():
    images = load()
    assert (images.train.images.min(), images.train.images.max()) == (0, 255)
    assert sum(images.info.split_sizes.values()) == 1797


def test_train_batches_depend_on_seed_and_epoch_alone():
    images, settings = load(), RunSettings(augmentation=["crop", "flip"])
    torch.manual_seed(1)
    first = [x for x, _ in images.train_batches(0, 3, settings)]
    torch.manual_seed(2)
    again = [x for x, _ in images.train_batches(0, 3, settings)]
    other = [x for x, _ in images.train_batches(0, 4, settings)]
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    assert not all(torch.equal(a, b) for a, b in zip(first, other, strict=True))
