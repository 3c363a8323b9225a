"""Which images are train, val and test: stratified, seeded, and told in a sentence."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from pipeline.errors import DataError
from pipeline.experiment import RunSettings, Size
from pipeline.learn.data.contents import Contents
from pipeline.learn.data.groups import choose_groups


@dataclass(frozen=True)
class Selection:
    """Images of one part of a data set: ``positions`` int64 [n] in it, ascending."""

    part: str
    positions: np.ndarray

    def __len__(self) -> int:
        return len(self.positions)


@dataclass(frozen=True)
class Splits:
    """The three splits, and how they came about."""

    train: Selection
    val: Selection
    test: Selection
    note: str

    def items(self) -> tuple[tuple[str, Selection], ...]:
        return (("train", self.train), ("val", self.val), ("test", self.test))


def split(contents: Contents, settings: RunSettings) -> Splits:
    """Return the splits of a data set; they depend on the contents and on settings alone.

    Parts that the data bring are used as they are. Others are taken from the training part, class
    by class, or where there are groups by whole groups: test first, then val, then the subset that
    ``max_train_images`` asks for.
    Raises DataError when a class has too few images for that.
    """
    refuse_small_classes(contents.place, contents.classes, contents.counts, settings)
    targets, groups = contents.parts["train"].targets, np.array(contents.parts["train"].groups)
    chosen: dict[str, Selection] = {}
    rest = np.arange(len(targets))
    for name, fraction in (("test", settings.test_fraction), ("val", settings.val_fraction)):
        if name in contents.parts:
            chosen[name] = Selection(name, np.arange(len(contents.parts[name])))
            continue
        if len(groups):
            taken = choose_groups(
                targets[rest], groups[rest], fraction, settings.split_seed, contents.place, name
            )
            chosen[name], rest = Selection("train", rest[taken]), rest[~taken]
            continue
        leave = 2 if name == "test" and "val" not in contents.parts else 1  # for train, and val
        taken = stratified_choice(targets[rest], fraction * len(rest), settings.split_seed, name, leave)
        chosen[name] = Selection("train", rest[taken])
        rest = rest[~taken]
    available = len(rest)
    if settings.max_train_images is not None and settings.max_train_images < available:
        taken = stratified_choice(targets[rest], settings.max_train_images, settings.split_seed, "train")
        rest = rest[taken]
    note = _note(contents, settings, len(rest), available, chosen)
    return Splits(Selection("train", rest), chosen["val"], chosen["test"], note)


def stratified_choice(
    targets: np.ndarray, count: float, seed: int, purpose: str, leave: int = 0
) -> np.ndarray:
    """Choose ``count`` of the images, each class in proportion to its size.

    ``targets`` int64 [n] names every class at least once. Returns bool [n]. Each class gets its
    exact share, rounded up or down, but at least one image, and keeps at least ``leave``, even if
    that makes the sum another; without ``leave``, the sum is ``count`` and the largest classes give way.
    """
    classes, members = np.unique(targets, return_inverse=True)
    sizes = np.bincount(members)
    quotas = _quotas(sizes, count)
    quotas = np.clip(quotas, 1, np.maximum(sizes - leave, 1)) if leave else _summing_to(quotas, sizes, count)
    random = random_state(seed, purpose)
    chosen = np.zeros(len(targets), dtype=bool)
    for label in range(len(classes)):
        positions = np.flatnonzero(members == label)
        chosen[random.permutation(positions)[: quotas[label]]] = True
    return chosen


def _quotas(sizes: np.ndarray, count: float) -> np.ndarray:
    """Share ``count`` among classes by largest remainder, within one image of proportion."""
    exact = sizes * (count / sizes.sum())
    quotas = np.floor(exact).astype(np.int64)
    missing = max(0, round(count) - int(quotas.sum()))
    quotas[np.argsort(quotas - exact, kind="stable")[:missing]] += 1
    return quotas


def _summing_to(quotas: np.ndarray, sizes: np.ndarray, count: float) -> np.ndarray:
    quotas = np.clip(quotas, 1, sizes)
    while quotas.sum() > max(round(count), len(sizes)):
        quotas[np.argmax(quotas)] -= 1
    return quotas


def random_state(seed: int, purpose: str) -> np.random.RandomState:
    """Return random numbers that are the same for a seed and a purpose for ever."""
    # RandomState and not Generator: NumPy promises that its stream never changes, so neither do splits.
    digest = hashlib.sha256(f"{purpose} {seed}".encode()).digest()
    return np.random.RandomState(np.frombuffer(digest, dtype="<u4"))


def refuse_small_classes(
    place: str, classes: list[str], counts: Mapping[str, Sequence[int]], settings: RunSettings
) -> None:
    """Raise DataError when the classes, or the images of one, are too few to split.

    ``counts`` gives the images of each class in each part that the data bring.
    """
    if len(classes) < 2:
        found = f"one class, {classes[0]!r}" if classes else "no class"
        raise DataError(f"{place}: holds {found}; it needs at least two, each in a folder of its own.")
    made = [name for name in ("val", "test") if name not in counts]
    for part, images in counts.items():
        needed = 1 + (len(made) if part == "train" else 0)
        smallest, fewest = min(zip(classes, images, strict=True), key=lambda pair: pair[1])
        if fewest < needed:
            shares = f" (one each for {_join(['train', *made])})" if needed > 1 else ""
            raise DataError(
                f"{place}: class {smallest!r} has {fewest} {'image' if fewest == 1 else 'images'} in {part}; "
                f"it needs at least {needed}{shares}. Add images or remove the class."
            )
    if settings.max_train_images is not None and settings.max_train_images < len(classes):
        raise DataError(
            f"{place}: max_train_images is {settings.max_train_images}, but there are {len(classes)} "
            f"classes; it must be at least {len(classes)}."
        )


def _note(
    contents: Contents, settings: RunSettings, train: int, available: int, chosen: dict[str, Selection]
) -> str:
    images = len(contents.parts["train"])
    made = [name for name in ("test", "val") if name not in contents.parts]
    brought = [name for name in ("train", "val", "test") if name in contents.parts]
    sentences = []
    if len(brought) > 1:
        sentences.append(f"The data bring their own {_join(brought)} images.")
    if made:
        shares = _join(
            [f"{len(chosen[name]):,} for {name} ({_percent(len(chosen[name]) / images)})" for name in made]
        )
        origin = "training images" if brought != ["train"] else "images"
        sentences.append(
            f"Of the {images:,} {origin}, {shares} were set apart at random, {_by(contents)} "
            f"(split_seed {settings.split_seed})."
        )
    if train < available:
        sentences.append(
            f"Of the {available:,} images left for training, {train:,} are used, drawn class by class "
            f"(max_train_images {settings.max_train_images:,}); val and test are not reduced."
        )
    return " ".join(sentences)


def _by(contents: Contents) -> str:
    groups = len(set(contents.parts["train"].groups))
    return f"in {groups:,} groups that were kept whole" if groups else "class by class"


def _percent(fraction: float) -> str:
    return f"{100 * fraction:.1f}".removesuffix(".0") + " %"


def _join(words: Sequence[str]) -> str:
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 2 else words)


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
