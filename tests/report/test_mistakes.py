"""Errors are found where they were put."""

import numpy as np
import pytest

from pipeline.record import SplitPredictions
from pipeline.report.evidence import errors
from tests.report.made_predictions import predictions, random_predictions, right_or_wrong


def test_most_confident_mistakes_come_first() -> None:
    probability = np.array([[0.6, 0.4], [0.1, 0.9], [0.3, 0.7], [0.8, 0.2]], np.float32)
    split = SplitPredictions(np.array([3, 5, 7, 9]), np.array([1, 0, 0, 0]), probability)
    found = errors.confident_mistakes(split, 2)
    assert [(m.index, m.target, m.predicted) for m in found] == [(5, 0, 1), (7, 0, 1)]
    assert (found[0].confidence, found[0].target_probability) == (pytest.approx(0.9), pytest.approx(0.1))


def test_images_missed_by_all_bear_every_answer() -> None:
    a, b = predictions([0, 1, 2], [0, 2, 1]), predictions([0, 1, 2], [1, 0, 2])
    found = errors.missed_by_all([("a", a), ("b", b)])
    assert [(m.index, m.target) for m in found] == [(1, 1)]
    assert [(x.model, x.predicted) for x in found[0].answers] == [("a", 2), ("b", 0)]


def test_agreement_counts_what_chance_would_give() -> None:
    first = right_or_wrong([True] * 80 + [False] * 20)
    second = right_or_wrong([True] * 70 + [False] * 30)
    found = errors.agreement([first, second])
    assert (found.all_miss, found.all_right, found.images) == (20, 70, 100)
    assert found.expected_all_miss == pytest.approx(6.0)
    assert found.share.tolist() == [[1.0, 0.9], [0.9, 1.0]]
    assert found.missed.tolist() == [[20, 20], [20, 30]]
    assert found.same_miss == 20


def test_models_may_miss_an_image_in_different_ways() -> None:
    found = errors.agreement([predictions([0, 1, 2], [1, 2, 2]), predictions([0, 1, 2], [1, 0, 0])])
    assert (found.all_miss, found.same_miss) == (2, 1)


def test_wrong_labels_are_suspected() -> None:
    split = random_predictions(1000, 5, sharpness=4)
    target = split.predicted.copy()
    sure = np.argsort(-split.probability.max(axis=1))[:15]
    target[sure] = (target[sure] + 1) % 5
    wrong = SplitPredictions(split.index, target, split.probability)
    found = errors.label_issues([wrong, wrong], [wrong])
    assert {issue.index for issue in found[:15]} == set(sure.tolist())
    assert all(issue.unanimous and issue.suggested == (issue.target - 1) % 5 for issue in found)


@pytest.mark.parametrize("kept", [[0], [0, 1], [0, 1, 2, 3]])
def test_rare_and_missing_classes_are_no_obstacle(kept: list[int]) -> None:
    split = random_predictions(60, 6)
    rows = np.isin(split.target, kept)
    rows[np.flatnonzero(split.target == 5)[:1]] = True  # a class with one image
    few = SplitPredictions(split.index[rows], split.target[rows], split.probability[rows])
    assert all(issue.suggested != issue.target for issue in errors.label_issues([few], [few]))


def test_perfect_models_doubt_no_label() -> None:
    split = predictions([0, 1, 2] * 20, [0, 1, 2] * 20)
    assert errors.label_issues([split], [split]) == []


def test_accuracy_without_near_duplicates_leaves_them_out() -> None:
    split = right_or_wrong([True] * 50 + [True] * 25 + [False] * 25)
    found = errors.without_duplicates([split], range(40))
    assert found is not None
    assert (found.images, found.removed, found.accuracy_removed) == (60, 40, 1.0)
    assert found.accuracy == pytest.approx(35 / 60)
    assert found.difference.low > 0


@pytest.mark.parametrize("twins", [[], [999], list(range(10))])
def test_nothing_is_said_without_images_on_both_sides(twins: list[int]) -> None:
    assert errors.without_duplicates([right_or_wrong([True] * 10)], twins) is None
