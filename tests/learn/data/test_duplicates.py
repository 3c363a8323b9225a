"""Copies are found between all splits, and pictures that merely look alike are not called so."""

import io

import numpy as np
import pytest
import torch
from PIL import Image, ImageEnhance

from pipeline.learn.data import duplicates
from pipeline.learn.data.duplicates import Images, cached, find


def scene(seed, side=40):
    """Return something like a photograph: smooth at large, with details."""
    random = np.random.RandomState(seed)
    layers = [
        np.asarray(Image.fromarray(random.randint(0, 256, (n, n, 3), dtype=np.uint8)).resize((side, side), 3))
        for n in (2, 4, 8, 16)
    ]
    return Image.fromarray(np.average(layers, axis=0, weights=[5, 4, 3, 1]).astype(np.uint8))


def shirt(seed, side=28):
    """Return a small grey picture of the same thing as all others: none is a copy, all look alike."""
    random = np.random.RandomState(seed)
    y, x = np.mgrid[:side, :side] - side / 2 + 0.5
    width, height = random.uniform(7, 9), random.uniform(10, 12)
    inside = np.clip(3 * (1 - (x / width) ** 4 - (y / height) ** 4), 0, 1)
    bands = 1 + 0.25 * np.sin(y * random.uniform(0.3, 1.2) + random.uniform(0, 6))
    grey = (inside * bands * random.uniform(120, 190)).clip(0, 255).astype(np.uint8)
    return Image.fromarray(grey).convert("RGB")


def stack(images, side=32, targets=None):
    resized = (image.resize((side, side), 2) for image in images)  # those of this side stay as they are
    pixels = torch.from_numpy(np.stack([np.asarray(image) for image in resized]))
    if targets is None:
        targets = torch.arange(len(images)) % 3
    return Images(pixels, targets, range(100, 100 + len(images)))


def recoded(image):
    file = io.BytesIO()
    image.resize((32, 32), 2).save(file, "JPEG", quality=85)
    return Image.open(file).convert("RGB")


def shifted(image):
    return Image.fromarray(np.roll(np.asarray(image.resize((32, 32), 2)), 1, axis=1))


def brighter(image, by):
    pixels = np.asarray(image.resize((32, 32), 2)).astype(int)
    return Image.fromarray((pixels + by).clip(0, 255).astype(np.uint8))


TRAIN = [scene(seed) for seed in range(300)]
STRANGERS = [scene(seed) for seed in range(1000, 1050)]
VAL = stack([scene(seed) for seed in range(2000, 2010)])
NEAR = {
    "another file": recoded,
    "shifted": shifted,
    "brighter": lambda image: brighter(image, 2),
    "darker": lambda image: brighter(image, -2),
    "much darker": lambda image: ImageEnhance.Brightness(image).enhance(0.6),
    "less contrast": lambda image: ImageEnhance.Contrast(image).enhance(0.5),
}


def test_an_exact_copy_is_found_with_what_it_is_a_copy_of():
    found = find(stack(TRAIN), VAL, stack([*STRANGERS, TRAIN[7]])).test_in_train
    assert (found.exact, found.exact_of, found.near) == ([150], [107], [])
    assert found.searched == 51


def test_changed_copies_are_near_and_not_exact():
    changed = [change(TRAIN[place]) for place, change in enumerate(NEAR.values())]
    found = find(stack(TRAIN), VAL, stack([*changed, *STRANGERS])).test_in_train
    missed = [name for place, name in enumerate(NEAR) if 100 + place not in found.near]
    assert not missed
    assert (found.exact, found.near_of) == ([], found.near)  # each is of the image that it was made of
    assert len(found.near) == len(NEAR)  # and no stranger is


def test_copies_are_found_between_all_splits():
    train, val = stack(TRAIN), stack([TRAIN[3], *STRANGERS[:5]])
    found = find(train, val, stack([STRANGERS[0], recoded(STRANGERS[1]), *STRANGERS[10:20]]))
    assert (found.val_in_train.exact, found.val_in_train.exact_of) == ([100], [103])
    assert (found.test_in_val.exact, found.test_in_val.near) == ([100], [101])
    assert [*found.test_in_train.exact, *found.test_in_train.near] == []


def test_copies_with_another_label_are_found_within_train():
    twice = stack([*TRAIN, TRAIN[4], TRAIN[6]], targets=torch.tensor([*[k % 3 for k in range(300)], 2, 0]))
    found = find(twice, VAL, stack(STRANGERS)).train_across_classes
    assert found.exact == [104, 400]  # the second copy has the class of its twin


def test_strangers_are_no_copies():
    found = find(stack(TRAIN), VAL, stack([scene(seed) for seed in range(1000, 1300)])).test_in_train
    assert [*found.exact, *found.near] == []


def test_small_grey_pictures_that_look_alike_are_no_copies():
    train, test = ([shirt(seed) for seed in seeds] for seeds in (range(600), range(1000, 1200)))
    test[5] = train[8]
    found = find(stack(train, 28), stack([shirt(5000)], 28), stack(test, 28))
    assert found.test_in_train.exact == [105]
    assert len(found.test_in_train.near) <= 4
    assert found.similarity_threshold is None  # thumbnails without colour tell too little
    assert "thumbnails" not in found.rule
    assert found.threshold < duplicates.HIGHEST  # other classes come near


def test_plain_images_are_no_copies():
    plain = [Image.new("RGB", (32, 32), colour) for colour in ("black", "white", "red")]
    found = find(stack([*TRAIN, *plain]), VAL, stack(plain)).test_in_train
    assert [*found.exact, *found.near] == []


def test_in_tiny_images_only_equal_ones_count():
    train = stack(TRAIN, 8)
    pixels = train.pixels[:4].clone()
    pixels[1:, 0, 0, 0] ^= 1
    found = find(train, train, Images(pixels, train.targets[:4], range(4)))
    assert (found.test_in_train.exact, found.test_in_train.near) == ([0], [])
    assert "smaller than 16 pixels" in found.rule


def test_exact_copies_are_found_where_there_are_too_many_pairs_to_compare(monkeypatch):
    monkeypatch.setattr(duplicates, "MOST_PAIRS", 10)
    found = find(stack(TRAIN), VAL, stack(TRAIN[:3]))
    assert found.test_in_train.exact == [100, 101, 102]
    assert "3 images times 300 are too many" in found.rule


def test_a_second_run_does_not_search_again(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    first = cached("key", lambda: find(stack(TRAIN), VAL, stack(TRAIN[5:8])))
    assert cached("key", lambda: pytest.fail("searched again")) == first
    assert first.test_in_train.exact == [100, 101, 102]


@pytest.mark.parametrize("damage", ["", "{}", '{"content": {}, "sha256": ""}'])
def test_a_damaged_answer_is_searched_again(tmp_path, monkeypatch, damage):
    monkeypatch.chdir(tmp_path)
    answers = [find(stack(TRAIN[:9], 8), VAL, stack(TRAIN[k : k + 1], 8)) for k in (5, 6)]
    assert answers[0] != answers[1]
    assert [cached("key", lambda answer=answer: answer) for answer in answers] == [answers[0]] * 2
    next((tmp_path / "cache/duplicates").iterdir()).write_text(damage)
    assert cached("key", lambda: answers[1]) == answers[1]
