"""Twins of training images are found among test images, and strangers are not."""

import numpy as np
import pytest
import torch
from PIL import Image, ImageEnhance

from pipeline.learn.data import duplicates
from pipeline.learn.data.duplicates import cached_near_duplicates, near_duplicates


def scene(seed, side=40):
    """Return something like a photograph: smooth at large, with details."""
    random = np.random.RandomState(seed)
    layers = [
        np.asarray(Image.fromarray(random.randint(0, 256, (n, n, 3), dtype=np.uint8)).resize((side, side), 3))
        for n in (2, 4, 8, 16)
    ]
    return Image.fromarray(np.average(layers, axis=0, weights=[5, 4, 3, 1]).astype(np.uint8))


def stack(images, side=32):
    return torch.from_numpy(np.stack([np.asarray(image.resize((side, side), 2)) for image in images]))


TRAIN = [scene(seed) for seed in range(300)]
CHANGES = {
    "the same": lambda image: image,
    "darker": lambda image: ImageEnhance.Brightness(image).enhance(0.6),
    "less contrast": lambda image: ImageEnhance.Contrast(image).enhance(0.5),
    "cropped": lambda image: image.crop((1, 1, 39, 39)),
    "shifted": lambda image: image.crop((1, 0, 40, 40)),
    "less colour": lambda image: ImageEnhance.Color(image).enhance(0.7),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_changed_copy_is_found(change):
    test = [CHANGES[change](TRAIN[7]), *(scene(seed) for seed in range(1000, 1050))]
    found, rule = near_duplicates(stack(test), stack(TRAIN))
    assert np.flatnonzero(found).tolist() == [0]
    assert "at least 0.8" in rule


def test_strangers_are_not_found():
    found, _ = near_duplicates(stack([scene(seed) for seed in range(1000, 1300)]), stack(TRAIN))
    assert not found.any()


def test_plain_images_are_no_twins():
    plain = [Image.new("RGB", (32, 32), colour) for colour in ("black", "white", "red")]
    found, _ = near_duplicates(stack(plain), stack([*TRAIN, *plain]))
    assert not found.any()


def test_in_tiny_images_only_equal_ones_count():
    train = stack(TRAIN, 8)
    test = train[:4].clone()
    test[1:, 0, 0, 0] ^= 1
    found, rule = near_duplicates(test, train)
    assert found.tolist() == [True, False, False, False]
    assert "smaller than 16 pixels" in rule


def test_too_many_pairs_are_not_compared(monkeypatch):
    monkeypatch.setattr(duplicates, "MOST_PAIRS", 10)
    found, rule = near_duplicates(stack(TRAIN[:3]), stack(TRAIN[:4]))
    assert not found.any()
    assert rule == (
        "Near-duplicates were not looked for: 3 test images times 4 training images are too many."
    )


def test_a_second_run_does_not_search_again(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    first = cached_near_duplicates("key", stack(TRAIN[5:8]), stack(TRAIN))
    monkeypatch.setattr(duplicates, "near_duplicates", lambda *_: pytest.fail("searched again"))
    again = cached_near_duplicates("key", stack(TRAIN[5:8]), stack(TRAIN))
    assert first[0].tolist() == again[0].tolist() == [True] * 3
    assert first[1] == again[1]


@pytest.mark.parametrize("damage", ["", "{}", '{"rows": [99], "rule": ""}', '{"rows": "x", "rule": ""}'])
def test_a_damaged_answer_is_searched_again(tmp_path, monkeypatch, damage):
    monkeypatch.chdir(tmp_path)
    cached_near_duplicates("key", stack(TRAIN[5:8]), stack(TRAIN))
    next((tmp_path / "cache/duplicates").iterdir()).write_text(damage)
    assert cached_near_duplicates("key", stack(TRAIN[5:8]), stack(TRAIN))[0].all()
