"""Rare classes count as much as common ones: by weight, or by how often they are shown."""

import numpy as np
import pytest
import torch
from sklearn.utils.class_weight import compute_class_weight

from pipeline.learn.data import balance
from pipeline.learn.data.augment import generator

TARGETS = torch.tensor([0] * 60 + [1] * 30 + [3] * 7)


def test_weights_are_scikit_learns_balanced() -> None:
    expected = compute_class_weight("balanced", classes=np.array([0, 1, 3]), y=TARGETS.numpy())
    found = balance.weights(TARGETS, 4)
    assert found[[0, 1, 3]].numpy() == pytest.approx(expected)
    assert found[2] == 0
    assert float(found[TARGETS].sum()) == pytest.approx(len(TARGETS))


def test_each_image_comes_once_unless_balanced() -> None:
    assert balance.order(TARGETS, generator(1), balanced=False).sort().values.tolist() == [*range(97)]


def test_balanced_shows_classes_equally_often_and_each_image_of_one_as_often_as_the_next() -> None:
    shown = balance.order(TARGETS, generator(1), balanced=True)
    assert len(shown) == len(TARGETS)
    assert torch.bincount(TARGETS[shown], minlength=4).sort().values.tolist() == [0, 32, 32, 33]
    for label in (0, 1, 3):
        times = torch.bincount(shown, minlength=97)[label == TARGETS]
        assert times.max() - times.min() <= 1
    assert not torch.equal(shown, balance.order(TARGETS, generator(2), balanced=True))
    assert torch.equal(shown, balance.order(TARGETS, generator(1), balanced=True))
