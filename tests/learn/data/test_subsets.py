"""Subsets of train are nested, stratified, seeded, and refused in one line where they cannot be."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.errors import DataError
from pipeline.learn.data.split import nested_order, resolved, subset

COUNTS = st.lists(st.integers(1, 40), min_size=2, max_size=7)


def made(counts: list[int]) -> np.ndarray:
    """Return targets with so many images of each class, in mixed order."""
    return np.random.default_rng(3).permutation(np.repeat(np.arange(len(counts)), counts))


def per_class(targets: np.ndarray, positions: np.ndarray) -> np.ndarray:
    return np.bincount(targets[positions], minlength=targets.max() + 1)


@settings(deadline=None, max_examples=80)
@given(counts=COUNTS, seed=st.integers(0, 2**32 - 1), data=st.data())
def test_larger_subset_holds_the_smaller(counts: list[int], seed: int, data: st.DataObject) -> None:
    targets = made(counts)
    sizes = st.integers(len(counts), len(targets))
    small, large = sorted((data.draw(sizes), data.draw(sizes)))
    smaller, larger = subset(targets, small, seed), subset(targets, large, seed)
    assert (len(smaller), len(larger)) == (small, large)
    assert set(smaller) <= set(larger)


@settings(deadline=None, max_examples=80)
@given(counts=COUNTS, seed=st.integers(0, 2**32 - 1), data=st.data())
def test_each_class_has_an_image_and_about_its_share(
    counts: list[int], seed: int, data: st.DataObject
) -> None:
    targets = made(counts)
    size = data.draw(st.integers(len(counts), len(targets)))
    found = per_class(targets, subset(targets, size, seed))
    shares = size * np.array(counts) / len(targets)
    assert found.min() >= 1
    # One image for each class comes first, so common classes may give way to as many rare ones.
    assert np.all(found <= np.ceil(shares) + 1)
    assert np.all(found >= np.floor(shares) - len(counts))


def test_equal_classes_get_equal_shares() -> None:
    targets = made([50] * 10)
    for size in (10, 100, 330):
        assert per_class(targets, subset(targets, size, 0)).tolist() == [size // 10] * 10


def test_shares_that_rounding_by_largest_remainder_would_not_nest() -> None:
    # The Alabama paradox: by largest remainder the class of 2 gets 2 of 10 images and 1 of 11.
    targets = made([6, 6, 2])
    ten, eleven = (per_class(targets, subset(targets, size, 0)) for size in (10, 11))
    assert np.all(eleven >= ten)


def test_all_is_every_image_whatever_the_seed() -> None:
    targets = made([5, 9])
    assert subset(targets, "all", 1).tolist() == list(range(14))
    assert sorted(nested_order(targets, 2)) == list(range(14))


def test_seed_varies_the_subset_and_one_seed_repeats_it() -> None:
    targets = made([200, 100])
    first, again, other = subset(targets, 60, 0), subset(targets, 60, 0), subset(targets, 60, 1)
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)
    assert np.array_equal(per_class(targets, first), per_class(targets, other))


def test_each_image_is_drawn_equally_often_over_seeds() -> None:
    targets = made([30, 10])
    drawn = sum(np.isin(np.arange(40), subset(targets, 12, seed)) for seed in range(1000))
    # 0.3 of 1000, standard deviation 14.5: five of them on each side
    assert drawn.min() > 227
    assert drawn.max() < 373


def test_classes_that_are_equally_due_get_the_odd_image_by_chance() -> None:
    targets = made([20, 20])
    odd = [int(per_class(targets, subset(targets, 7, seed))[0]) for seed in range(40)]
    assert set(odd) == {3, 4}


def test_subset_of_a_known_seed_never_changes() -> None:
    assert subset(np.array([0, 1] * 8), 6, 7).tolist() == [4, 8, 9, 11, 12, 15]


@pytest.mark.parametrize("size", [0, 2, 8, -3])
def test_size_that_cannot_be_filled_is_refused_in_one_line(size: int) -> None:
    with pytest.raises(DataError, match=f"^p: {size} cannot be filled: train has 7 images of 3 classes") as e:
        resolved([size], np.array([0, 0, 0, 1, 1, 2, 2]), "p")
    assert "\n" not in str(e.value)
    assert "from 3 (one image a class) to 7, or all" in str(e.value)


def test_all_beside_its_own_number_is_refused() -> None:
    with pytest.raises(DataError, match="4 and all are the same here"):
        resolved([2, 4, "all"], np.array([0, 0, 1, 1]))


def test_all_is_put_in_numbers() -> None:
    assert resolved([2, 3, "all"], np.array([0, 0, 1, 1])) == (2, 3, 4)
