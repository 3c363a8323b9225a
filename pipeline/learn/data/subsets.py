"""Nested, stratified subsets of the training images, to measure what more images are worth.

All images are put into one order for each seed; the subset of size n is the first n of it. So each
subset holds all smaller ones, and models of one seed see the same images at each size.
"""

from collections.abc import Sequence

import numpy as np

from pipeline.errors import DataError
from pipeline.learn.data.split import random_state
from pipeline.sizes import Size


def subset(targets: np.ndarray, size: Size, seed: int) -> np.ndarray:
    """Return the positions of ``size`` images, int64 [size], ascending.

    ``targets`` int64 [n] names every class at least once. Raises DataError for a size that the
    images cannot fill or that leaves a class without one.
    """
    (images,) = resolved((size,), targets)
    return np.sort(nested_order(targets, seed)[:images])


def nested_order(targets: np.ndarray, seed: int) -> np.ndarray:
    """Return all positions in an order whose every beginning is stratified, int64 [n].

    Seats go to classes by Sainte-Laguë's divisors after one for each class: unlike shares rounded by
    largest remainder, whose smaller set may hold more of a class than the larger (the Alabama
    paradox), they only ever grow. Within a class, and between classes equally due, chance decides.
    """
    random = random_state(seed, "subset")
    shuffled = random.permutation(len(targets))
    grouped = shuffled[np.argsort(targets[shuffled], kind="stable")]
    _, sizes = np.unique(targets, return_counts=True)
    seat = np.concatenate([np.arange(size) for size in sizes])
    due = np.where(seat == 0, 0.0, (seat + 0.5) / np.repeat(sizes, sizes))
    return grouped[np.lexsort((random.permutation(len(targets)), due))].astype(np.int64)


def resolved(sizes: Sequence[Size], targets: np.ndarray, place: str = "train_sizes") -> tuple[int, ...]:
    """Return the sizes in images, ``all`` put in numbers.

    Raises DataError for a size that the images cannot fill, that leaves a class without an image,
    or that is the same as ``all``.
    """
    images, classes = len(targets), len(np.unique(targets))
    found = tuple(images if size == "all" else size for size in sizes)
    for size in found:
        if not classes <= size <= images:
            raise DataError(
                f"{place}: {size:,} cannot be filled: train has {images:,} images of {classes} classes; "
                f"a size must be from {classes} (one image a class) to {images:,}, or all."
            )
    if len(set(found)) < len(found):
        raise DataError(f"{place}: {images:,} and all are the same here; leave one of them out.")
    return found
