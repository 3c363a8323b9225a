"""Batches: each image once, prepared as asked, the same from memory and from disk."""

import numpy as np
import pytest
import torch
from PIL import Image
from torch.nn import functional

from pipeline.errors import DataError
from pipeline.experiment import AUGMENTATIONS, RunSettings
from pipeline.learn import data, device
from pipeline.learn.data import sources
from pipeline.learn.data.images import resized_by_matrices
from pipeline.learn.models.weights import Preprocessing
from tests.learn.made_images import write_classes


@pytest.fixture(autouse=True)
def _in_tmp_path(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def load(memory=None, preprocessing=None, **settings):
    if "dataset" not in settings:
        settings["dataset"] = "image_folder"
        write_classes_once()
    chosen = RunSettings(device="cpu", precision="fp32", **settings)
    return data.load(chosen, preprocessing or Preprocessing(), device.choose(chosen), memory=memory), chosen


def write_classes_once():
    from pathlib import Path

    if not Path("data").exists():
        write_classes(Path("data"), {"cat": 14, "dog": 19, "emu": 21})


def restored(images, x):
    """Return normalised images as bytes again: int [n, 3, S, S]."""
    mean, std = (
        torch.tensor(v)[:, None, None] for v in (images.preprocessing.mean, images.preprocessing.std)
    )
    return ((x * std + mean) * 255).round().int()


def test_evaluation_batches_are_the_images_in_order():
    images, _ = load()
    batches = list(images.batches("test", 4))
    x, y = (torch.cat(parts) for parts in zip(*batches, strict=True))
    assert [len(b) for b, _ in batches] == [4, 4, 3]
    assert torch.equal(restored(images, x), images.test.pixels.permute(0, 3, 1, 2).int())
    assert torch.equal(y, images.test.targets)


def test_an_epoch_shows_each_training_image_once():
    images, settings = load(batch_size=8)
    x, y = (torch.cat(parts) for parts in zip(*images.train_batches(0, 0, settings), strict=True))
    key = [image.numpy().tobytes() for image in restored(images, x)]
    stored = [image.numpy().tobytes() for image in images.train.pixels.permute(0, 3, 1, 2).int()]
    assert sorted(key) == sorted(stored)
    assert key != stored
    assert [stored.index(k) for k in key] != sorted(range(len(key)))
    assert torch.equal(y, images.train.targets[[stored.index(k) for k in key]])


def test_each_epoch_has_its_own_order():
    images, settings = load(batch_size=8)
    orders = [
        torch.cat([y for _, y in images.train_batches(s, e, settings)]).tolist()
        for s, e in ((0, 0), (0, 1), (1, 0))
    ]
    assert orders[0] != orders[1] != orders[2] != orders[0]


def test_training_images_in_order_are_augmented_all_the_same():
    images, settings = load(batch_size=8, augmentation=["flip"])
    x, y = (
        torch.cat(parts) for parts in zip(*images.train_batches(0, 0, settings, shuffle=False), strict=True)
    )
    same = (restored(images, x) == images.train.pixels.permute(0, 3, 1, 2).int()).flatten(1).all(1)
    mirrored = (
        (restored(images, x) == images.train.pixels.permute(0, 3, 1, 2).flip(3).int()).flatten(1).all(1)
    )
    assert torch.equal(y, images.train.targets)
    assert torch.all(same | mirrored)
    assert 0 < same.sum() < len(same)


@pytest.mark.parametrize(
    ("batch_size", "sizes"), [(39, [39]), (38, [38]), (19, [19, 19]), (10, [10, 10, 10, 9]), (1, [1] * 39)]
)
def test_a_last_batch_of_one_image_is_left_out(batch_size, sizes):
    images, settings = load(batch_size=batch_size)
    assert len(images) == 39
    assert [len(y) for _, y in images.train_batches(0, 0, settings)] == sizes
    assert images.steps_per_epoch(batch_size) == len(sizes)
    in_order = [len(y) for _, y in images.train_batches(0, 0, settings, shuffle=False)]
    assert sum(in_order) == 39


@pytest.mark.parametrize("num_workers", [0, 2])
@pytest.mark.parametrize("augmentation", [[], list(AUGMENTATIONS)])
def test_streaming_gives_the_same_batches_as_memory(num_workers, augmentation):
    options = {"batch_size": 9, "augmentation": augmentation, "num_workers": num_workers, "image_size": 20}
    kept, settings = load(**options)
    streamed, _ = load(memory=0, **options)
    assert (kept.streamed, streamed.streamed) == (False, True)
    for ours, theirs in (
        (kept.train_batches(3, 1, settings), streamed.train_batches(3, 1, settings)),
        (kept.batches("val", 4), streamed.batches("val", 4)),
    ):
        for (x, y), (other_x, other_y) in zip(ours, theirs, strict=True):
            assert torch.equal(x, other_x)
            assert torch.equal(y, other_y)


def test_subset_is_nested_and_val_and_test_stay():
    whole, _ = load()
    small, large = (load(train_size=size, seed=4)[0] for size in (9, 20))
    assert (len(small.train), len(large.train)) == (9, 20)
    assert set(small.train.index) <= set(large.train.index) <= set(whole.train.index)
    rows = np.searchsorted(whole.train.index, small.train.index)
    assert torch.equal(small.train.pixels, whole.train.pixels[torch.from_numpy(rows)])
    assert [small.train.files[i] for i in range(9)] == [whole.train.files[i] for i in rows]
    assert small.info.split_sizes == whole.info.split_sizes | {"train": 9}
    assert sum(small.info.class_counts["train"]) == 9
    assert np.array_equal(small.test.index, whole.test.index)
    assert np.array_equal(small.val.index, whole.val.index)


def test_subset_takes_as_many_steps_as_all_images_or_as_many_epochs():
    whole, settings = load(batch_size=4)
    paced, _ = load(train_size=9, batch_size=4)
    plain, _ = load(train_size=9, batch_size=4, budget="epochs")
    steps = whole.steps_per_epoch(4)
    batches = list(paced.train_batches(0, 0, settings))
    assert len(batches) == paced.steps_per_epoch(4) == steps
    assert plain.steps_per_epoch(4) == len(list(plain.train_batches(0, 0, settings))) == 2
    # Two batches a pass, since the last image alone is left out; passes differ in order.
    passes = [torch.cat([batches[k][1], batches[k + 1][1]]).tolist() for k in range(0, 6, 2)]
    assert len({tuple(one) for one in passes}) > 1
    later = next(iter(paced.train_batches(0, 1, settings)))[0]
    assert not torch.equal(batches[0][0], later)


def test_few_images_come_again_a_hundred_times_an_epoch_at_most():
    paced, _ = load(dataset="digits", train_size=10, batch_size=10)
    whole, _ = load(dataset="digits", batch_size=10)
    assert whole.steps_per_epoch(10) > 100
    assert paced.steps_per_epoch(10) == 100


def test_streamed_subset_gives_the_same_batches():
    kept, settings = load(train_size=20, batch_size=6)
    streamed, _ = load(memory=0, train_size=20, batch_size=6)
    for (x, y), (other_x, other_y) in zip(
        kept.train_batches(3, 1, settings), streamed.train_batches(3, 1, settings), strict=True
    ):
        assert torch.equal(x, other_x)
        assert torch.equal(y, other_y)


@pytest.mark.parametrize(
    ("sizes", "said"),
    [
        ((5000,), "5,000 cannot be filled"),
        ((2,), "2 cannot be filled"),
        ((39, None), "39 and all are the same"),
    ],
)
def test_sizes_that_the_images_cannot_fill_are_refused_before_work(sizes, said):
    write_classes_once()
    runs = [RunSettings(dataset="image_folder", train_size=size) for size in sizes]
    with pytest.raises(DataError, match=said):
        sources.checked_fingerprints(runs)


@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
@pytest.mark.parametrize("size", [16, 24, 40])
def test_small_images_are_enlarged_as_pillow_does(interpolation, size):
    images, _ = load(preprocessing=Preprocessing(size, interpolation=interpolation))
    x = torch.cat([x for x, _ in images.batches("val", 4)])
    assert x.shape[-1] == images.preprocessing.image_size == size
    for ours, stored in zip(restored(images, x), images.val.pixels, strict=True):
        by = Image.Resampling[interpolation.upper()]
        plain = np.asarray(Image.fromarray(stored.numpy()).resize((size, size), by))
        assert np.abs(ours.permute(1, 2, 0).numpy() - plain).max() <= 1


def test_settings_overrule_the_size_of_the_weights():
    images, _ = load(preprocessing=Preprocessing(24, (0.5,) * 3, (0.25,) * 3, "bicubic", "w"), image_size=12)
    assert images.preprocessing == Preprocessing(12, (0.5,) * 3, (0.25,) * 3, "bicubic", "w")
    assert next(images.batches("val", 2))[0].shape[2:] == (12, 12)


def test_statistics_come_from_the_training_images_alone():
    images, _ = load()
    values = images.train.pixels.permute(0, 3, 1, 2).double() / 255
    assert torch.allclose(torch.tensor(images.preprocessing.mean).double(), values.mean((0, 2, 3)))
    assert torch.allclose(
        torch.tensor(images.preprocessing.std).double(), values.std((0, 2, 3), correction=0)
    )
    x = torch.cat([x for x, _ in images.batches("train", 50)])
    assert torch.allclose(x.mean((0, 2, 3)), torch.zeros(3), atol=1e-5)
    assert torch.allclose(x.std((0, 2, 3), correction=0), torch.ones(3), atol=1e-5)


@pytest.mark.parametrize("channels_last", [True, False])
def test_batches_lie_in_memory_as_the_hardware_wants(channels_last):
    chosen = RunSettings(dataset="image_folder", device="cpu", precision="fp32", augmentation=["crop"])
    write_classes_once()
    machine = device.Hardware(torch.device("cpu"), "fp32", 1, channels_last)
    images = data.load(chosen, Preprocessing(), machine)
    layout = torch.channels_last if channels_last else torch.contiguous_format
    for x in (next(images.train_batches(0, 0, chosen))[0], next(images.batches("val", 3))[0]):
        assert x.is_contiguous(memory_format=layout)
        assert x.dtype == torch.float32


@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
@pytest.mark.parametrize(("height", "width", "size"), [(32, 32, 96), (40, 24, 16), (8, 8, 8)])
def test_resizing_by_matrices_is_resizing(interpolation: str, height: int, width: int, size: int) -> None:
    images = torch.randint(0, 256, (3, 3, height, width), dtype=torch.uint8)
    expected = functional.interpolate(images.float(), size=(size, size), mode=interpolation, antialias=True)

    torch.testing.assert_close(
        resized_by_matrices(images, size, interpolation), expected, rtol=1e-5, atol=1e-3
    )


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_gpu_sees_the_same_images():
    write_classes_once()
    chosen = RunSettings(
        dataset="image_folder", precision="fp32", augmentation=["crop", "flip"], image_size=24
    )
    both = [
        data.load(chosen, Preprocessing(), device.Hardware(torch.device(kind), "fp32", 1, True))
        for kind in ("cpu", "cuda")
    ]
    for (x, y), (other_x, other_y) in zip(*(im.train_batches(0, 0, chosen) for im in both), strict=True):
        assert torch.equal(y, other_y.cpu())
        difference = restored(both[0], x) - restored(both[1], other_x.cpu())
        assert difference.abs().max() <= 1
