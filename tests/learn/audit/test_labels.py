"""Doubtful labels: planted ones are found out of fold, and right ones of a weak probe are left alone."""

import numpy as np
import pytest
import torch

from pipeline.learn.audit import labels

RIGHT = 400


def features(distance: float, seed: int = 0) -> tuple[torch.Tensor, np.ndarray]:
    """Four classes of points in 50 dimensions, their centres so far apart."""
    random = np.random.default_rng(seed)
    targets = np.arange(RIGHT) % 4
    centres = np.linalg.qr(random.normal(size=(50, 4)))[0].T * distance / np.sqrt(2)
    points = centres[targets] + random.normal(size=(RIGHT, 50))
    return torch.from_numpy(points).float(), targets


def test_planted_label_errors_are_found_and_the_right_class_is_suggested() -> None:
    values, right = features(8.0)
    given = right.copy()
    planted = np.arange(0, RIGHT, 40)
    given[planted] = (right[planted] + 1) % 4

    found = labels.from_probabilities(given, labels.out_of_fold(values, given))

    rows = {one.row for one in found}
    assert len(rows & set(planted)) >= 9
    assert len(rows - set(planted)) <= 1
    assert all(one.suggested == right[one.row] for one in found if one.row in planted)


@pytest.mark.parametrize("distance", [0.0, 2.0, 5.0])
def test_right_labels_are_not_doubted_however_weak_the_probe(distance: float) -> None:
    doubted = 0
    for seed in range(3):
        values, right = features(distance, seed)
        doubted += len(labels.from_probabilities(right, labels.out_of_fold(values, right)))

    assert doubted <= 0.01 * 3 * RIGHT


def test_a_group_is_never_learned_from_and_asked() -> None:
    targets = np.arange(60) % 2
    groups = np.arange(60) // 6

    for learned, asked in labels._folds(targets, groups):
        assert not set(groups[learned]) & set(groups[asked])


def test_a_class_of_one_image_is_not_doubted() -> None:
    targets = np.array([0] * 10 + [1] * 10 + [2])
    probability = np.full((21, 3), 0.01)
    probability[:, 0] = 0.98

    assert all(one.row != 20 for one in labels.from_probabilities(targets, probability))
