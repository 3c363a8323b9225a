"""Where a data set comes from: its name, its images before decoding, its fingerprint, its limits.

The parent process asks these questions for every run, so PyTorch is not imported to answer them.
"""

import importlib.util
import math
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import psutil
from PIL import Image

from pipeline.errors import DataError, did_you_mean
from pipeline.experiment import RunSettings, Size
from pipeline.files import Files, cache_folder, files_fingerprint, kept
from pipeline.learn.data import public
from pipeline.learn.data.contents import Contents, Part, Source
from pipeline.learn.data.decode import open_image, strict_pillow
from pipeline.learn.data.folder import ImageFolder
from pipeline.learn.data.groups import grouped
from pipeline.learn.data.huggingface import HuggingFace
from pipeline.learn.data.split import refuse_small_classes, resolved, split
from pipeline.learn.data.store import LARGEST_NATIVE_SIDE, Store
from pipeline.learn.data.table import Table
from pipeline.learn.data.unreadable import reason, refuse_too_many

# What says which images are split, and how.
SPLIT_SETTINGS = (
    "dataset", "name", "labels", "file_column", "label_column", "group", "val_fraction", "test_fraction",
    "split_seed", "max_train_images",
)  # fmt: skip
SAMPLED_FILES = 500
# Of how many files, and bytes, all pixels are read: what was cut off looks whole from outside.
DECODED, DECODED_IF_DAMAGED = (64, 100_000_000), (2000, 1_000_000_000)
COPIES_OF_A_BATCH = 4  # as float32: the images, what normalising them takes, and the first activations


@dataclass(frozen=True)
class Digits:
    """scikit-learn's 1,797 handwritten digits, 8x8 grey levels 0 to 16 (Alpaydin & Kaynak 1998)."""

    def contents(self, data_dir: str) -> Contents:
        """Return the digits; they come with scikit-learn, so ``data_dir`` does not matter."""
        [(_, file)] = self.files(data_dir)
        rows = np.loadtxt(file, delimiter=",")
        pixels = np.rint(rows[:, :-1].reshape(-1, 8, 8) * (255 / 16)).astype(np.uint8)
        part = Part(rows[:, -1].astype(np.int64), lambda i: Image.fromarray(pixels[i]))
        names = [str(digit) for digit in range(10)]
        return Contents("digits", "digits", "scikit-learn's handwritten digits", names, {"train": part})

    def files(self, data_dir: str) -> Files:
        """Return the file that comes with scikit-learn, which takes seconds to import."""
        package = importlib.util.find_spec("sklearn")
        folder = Path(package.origin).parent if package and package.origin else Path()
        return [("digits", str(folder / "datasets" / "data" / "digits.csv.gz"))]


SOURCES: dict[str, Source] = {
    "digits": Digits(),
    "image_folder": ImageFolder(),
    **public.SETS,
}


def source(settings: RunSettings) -> Source:
    """Return where a data set can be had. Raises DataError when its name is not known."""
    name = settings.dataset
    if name == "table":
        return Table(settings.labels, settings.file_column, settings.label_column)
    if name == "huggingface":
        return HuggingFace(settings.name)
    if name not in SOURCES:
        hint = (
            did_you_mean(name, (*SOURCES, "table", "huggingface"), 3) or f" Known are {', '.join(SOURCES)}."
        )
        raise DataError(
            f"dataset {name!r} is not known.{hint} For images of your own: image_folder or table."
        )
    return SOURCES[name]


def find(settings: RunSettings) -> Contents:
    """Return what a data set holds, downloading it first where that is needed and allowed.

    Raises DataError when there is no such data set, or it cannot be had.
    """
    return grouped(source(settings).contents(settings.data_dir), settings.group)


def likely_input(settings: RunSettings) -> tuple[int, int]:
    """Return how many classes there are, and the side in pixels that a network of the user's own will see."""
    contents = find(settings)
    if settings.image_size:
        return len(contents.classes), settings.image_size
    part, sides = contents.parts["train"], []
    for position in range(0, len(part), max(1, len(part) // 8)):
        try:
            with part.read(position) as image:
                sides.append(min(image.size))
        except Exception:  # noqa: BLE001 (what cannot be read is told elsewhere)
            continue
    side = sides[0] if len(set(sides)) == 1 else LARGEST_NATIVE_SIDE
    return len(contents.classes), max(8, min(side, LARGEST_NATIVE_SIDE))


def fingerprint(settings: RunSettings) -> str:
    """Return a SHA-256 of the content of a data set, the same wherever it lies.

    A data set that is not there yet is downloaded. Raises DataError as ``find`` does.
    """
    files = source(settings).files(settings.data_dir)
    return files_fingerprint(f"{settings.dataset} {os.path.abspath(settings.data_dir)}", files)  # noqa: PTH100


def check(settings: RunSettings) -> None:
    """Raise DataError for everything about data and memory that can be refused before work starts."""
    checked_fingerprints([settings])


def checked_fingerprints(runs: Sequence[RunSettings]) -> list[str]:
    """Return the fingerprint of each run's data set; as ``check`` for all runs.

    Each data set is looked at once, so thirty runs on it take little longer than one.
    """
    known: dict[_Place, _Known] = {}
    for settings in runs:
        place = _place(settings)
        if place not in known:
            known[place] = _look(settings)
        _check(settings, known[place])
    _refuse_sizes(runs, known)
    return [known[_place(settings)].fingerprint for settings in runs]


_Place = tuple[str | None, ...]


def _place(settings: RunSettings) -> _Place:
    """Return what says which images are meant."""
    table = settings.labels, settings.file_column, settings.label_column
    return (
        settings.dataset,
        settings.data_dir,
        settings.name,
        settings.group,
        *(table if settings.dataset == "table" else ()),
    )


def training_images(runs: Sequence[RunSettings]) -> list[int]:
    """Return how many images each run trains on at least, as far as it can be told in little time."""
    first = {_place(settings): settings for settings in runs}
    known = {place: sum(_look(settings).counts["train"]) for place, settings in first.items()}
    return [_kept_for_training(known[_place(s)], s) for s in runs]


def _kept_for_training(images: int, settings: RunSettings) -> int:
    rest = int(images * (1 - settings.val_fraction) * (1 - settings.test_fraction))
    return max(1, min(rest, settings.max_train_images or rest))


@dataclass(frozen=True)
class _Known:
    """What can be known of a data set in little time; ``contents`` only where they are known too."""

    fingerprint: str
    place: str
    classes: list[str]
    counts: dict[str, list[int]]
    contents: Contents | None = None
    unreadable: float = 0.0


def _look(settings: RunSettings) -> _Known:
    key = fingerprint(settings)
    if settings.dataset in ("image_folder", "table"):
        contents = find(settings)
        return replace(_known(key, contents), unreadable=_unreadable_share(contents))
    path = cache_folder("contents") / f"{key}.json"
    return _Known(**kept(path, lambda: asdict(replace(_known(key, find(settings)), contents=None))))


def _known(key: str, contents: Contents) -> _Known:
    return _Known(key, contents.place, contents.classes, contents.counts, contents)


def _check(settings: RunSettings, known: _Known) -> None:
    refuse_small_classes(known.place, known.classes, known.counts, settings)
    if known.contents is not None:
        if known.unreadable > settings.max_unreadable:
            _refuse_unreadable(known.contents, settings.max_unreadable)
        splits = split(known.contents, settings)
        how = {"image_size": settings.image_size, "resize": settings.resize}
        store = Store.of(known.contents, splits, known.fingerprint, **how)
        store.refuse_without_room()
        if not store.was_decoded:
            _refuse_damaged(known.contents, settings.max_unreadable)
    _refuse_without_memory(settings)


def _unreadable_share(contents: Contents) -> float:
    """Return the share of some hundred files, spread over all, that Pillow does not open as images."""
    paths = [path for part in contents.parts.values() for path in part.paths]
    sample = paths[:: max(1, len(paths) // SAMPLED_FILES)]
    return sum(1 for path in sample if _problem(path)) / max(1, len(sample))


def _problem(path: str, decode: bool = False) -> str:
    """Return why a file does not open as an image, or cannot be decoded as one, or an empty string."""
    try:
        with strict_pillow(), open_image(path) as image:
            if decode:
                image.draft(None, (1, 1))
                image.load()
            return ""
    except Exception as error:  # noqa: BLE001 (Pillow's readers fail in every possible way)
        return reason(error)


def _refuse_damaged(contents: Contents, allowed: float) -> None:
    """Raise DataError when more than a share of the files cannot be decoded, by some spread over all."""
    paths = [pair for part in contents.parts.values() for pair in zip(part.files, part.paths, strict=True)]
    for files, most_bytes in (DECODED, DECODED_IF_DAMAGED):
        sample = paths[:: -(-len(paths) // files) or 1]
        sample = sample[:: max(1, math.ceil(sum(_size(path) for _, path in sample) / most_bytes))]
        found = {name: why for name, path in sample if (why := _problem(path, decode=True))}
        if len(found) <= allowed * len(sample):
            return
    refuse_too_many(contents.place, found, len(sample), allowed, every=len(paths))


def _size(path: str) -> int:
    try:
        return Path(path).stat().st_size
    except OSError:  # a broken link
        return 0


def _refuse_unreadable(contents: Contents, allowed: float) -> None:
    """Raise DataError when more than a share of the files does not open as images, saying why."""
    paths = {n: p for part in contents.parts.values() for n, p in zip(part.files, part.paths, strict=True)}
    found = {name: why for name, path in paths.items() if (why := _problem(path))}
    refuse_too_many(contents.place, found, len(paths), allowed)


def _refuse_sizes(runs: Sequence[RunSettings], known: "dict[_Place, _Known]") -> None:
    """Raise DataError for training sizes that the images, split as these runs ask, cannot fill."""
    asked: dict[str, tuple[RunSettings, set[int | None]]] = {}
    for settings in runs:
        plain = repr([settings.data_dir, *(getattr(settings, name) for name in SPLIT_SETTINGS)])
        asked.setdefault(plain, (settings, set()))[1].add(settings.train_size)
    for settings, sizes in asked.values():
        if sizes != {None}:
            contents = known[_place(settings)].contents or find(settings)
            chosen = split(contents, settings).train
            targets = contents.parts[chosen.part].targets[chosen.positions]
            rising: list[Size] = [*sorted(size for size in sizes if size is not None)]
            resolved([*rising, "all"] if None in sizes else rising, targets)


def _refuse_without_memory(settings: RunSettings) -> None:
    side = settings.image_size or LARGEST_NATIVE_SIDE
    needed = COPIES_OF_A_BATCH * settings.batch_size * 3 * side * side * 4
    available = psutil.virtual_memory().available
    if needed > available:
        raise DataError(
            f"batch_size {settings.batch_size} at {side} pixels needs {needed / 1e9:,.4g} GB for the images "
            f"alone, and {available / 1e9:.3g} GB of memory are free; lower batch_size or image_size."
        )
