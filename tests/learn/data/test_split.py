"""Splits are disjoint, stratified, seeded, and told in words."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from pipeline.errors import DataError
from pipeline.experiment import RunSettings
from pipeline.learn.data.contents import Contents, Part
from pipeline.learn.data.split import split, stratified_choice


def contents(**parts):
    """Return the contents of a data set with so many images of each class in each part."""
    classes = [f"c{k}" for k in range(len(next(iter(parts.values()))))]
    made = {
        name: Part(np.repeat(np.arange(len(counts)), counts), lambda i: Image.new("RGB", (8, 8)))
        for name, counts in parts.items()
    }
    return Contents("made", "data/made", "made", classes, made)


def shares(targets, positions, classes):
    return np.bincount(targets[positions], minlength=classes)


@settings(deadline=None, max_examples=60)
@given(
    counts=st.lists(st.integers(3, 60), min_size=2, max_size=6),
    val=st.floats(0.02, 0.6),
    test=st.floats(0.02, 0.6),
    seed=st.integers(0, 2**32 - 1),
    brought=st.booleans(),
)
def test_splits_are_disjoint_whole_and_stratified_within_one_image(counts, val, test, seed, brought):
    parts = {"train": counts} | ({"test": [2] * len(counts)} if brought else {})
    data = contents(**parts)
    made = split(data, RunSettings(val_fraction=val, test_fraction=test, split_seed=seed))
    taken = [made.train, made.val] + ([] if brought else [made.test])
    positions = np.concatenate([selection.positions for selection in taken])
    assert sorted(positions) == list(range(sum(counts)))
    targets = data.parts["train"].targets
    left = np.array(counts)
    if not brought:
        in_test = shares(targets, made.test.positions, len(counts))
        assert np.all(np.abs(in_test - test * left) <= 1)
        left = left - in_test
    in_val = shares(targets, made.val.positions, len(counts))
    assert np.all(np.abs(in_val - val * left) <= 1)
    assert all(shares(targets, s.positions, len(counts)).min() >= 1 for s in taken)


@settings(deadline=None, max_examples=60)
@given(
    counts=st.lists(st.integers(1, 40), min_size=2, max_size=6),
    data=st.data(),
)
def test_a_choice_has_the_size_that_was_asked_for(counts, data):
    count = data.draw(st.integers(len(counts), sum(counts)))
    chosen = stratified_choice(np.repeat(np.arange(len(counts)), counts), count, 0, "train")
    assert chosen.sum() == count


def test_splits_never_change():
    made = split(contents(train=[20, 20]), RunSettings(val_fraction=0.1, test_fraction=0.1))
    assert made.test.positions.tolist() == [9, 16, 30, 34]
    assert made.val.positions.tolist() == [0, 2, 31, 37]


def test_another_split_seed_gives_another_split():
    data = contents(train=[50, 50])
    first, second = (split(data, RunSettings(split_seed=seed)).test.positions for seed in (0, 1))
    assert not np.array_equal(first, second)


def test_parts_that_the_data_bring_are_used_whole():
    made = split(contents(train=[5, 5], val=[2, 3], test=[4, 1]), RunSettings())
    assert [(s.part, len(s)) for _, s in made.items()] == [("train", 10), ("val", 5), ("test", 5)]
    assert made.note == "The data bring their own train, val and test images."


def test_fewer_training_images_leave_val_and_test_as_they_are():
    data = contents(train=[100, 60])
    whole = split(data, RunSettings())
    reduced = split(data, RunSettings(max_train_images=16))
    assert np.array_equal(whole.val.positions, reduced.val.positions)
    assert np.array_equal(whole.test.positions, reduced.test.positions)
    assert set(reduced.train.positions) <= set(whole.train.positions)
    assert shares(data.parts["train"].targets, reduced.train.positions, 2).tolist() == [10, 6]


def test_the_note_tells_how_the_splits_came_about():
    made = split(contents(train=[50, 50], test=[9, 9]), RunSettings(max_train_images=30, val_fraction=0.2))
    assert made.note == (
        "The data bring their own train and test images. Of the 100 training images, 20 for val (20 %) "
        "were set apart at random, class by class (split_seed 0). Of the 80 images left for training, 30 "
        "are used, drawn class by class (max_train_images 30); val and test are not reduced."
    )


@pytest.mark.parametrize(
    ("parts", "wanted", "message"),
    [
        (
            {"train": [9]},
            {},
            "data/made: holds one class, 'c0'; it needs at least two, each in a folder of its own.",
        ),
        (
            {"train": [9, 2]},
            {},
            "data/made: class 'c1' has 2 images in train; it needs at least 3 (one each for train, val and "
            "test). Add images or remove the class.",
        ),
        (
            {"train": [9, 1], "test": [1, 1]},
            {},
            "data/made: class 'c1' has 1 image in train; it needs at least 2 (one each for train and val). "
            "Add images or remove the class.",
        ),
        (
            {"train": [9, 9], "test": [1, 0]},
            {},
            "data/made: class 'c1' has 0 images in test; it needs at least 1. "
            "Add images or remove the class.",
        ),
        (
            {"train": [9, 9]},
            {"max_train_images": 1},
            "data/made: max_train_images is 1, but there are 2 classes; it must be at least 2.",
        ),
    ],
)
def test_too_little_to_split_is_refused_in_one_line(parts, wanted, message):
    with pytest.raises(DataError) as error:
        split(contents(**parts), RunSettings(**wanted))
    assert str(error.value) == message
