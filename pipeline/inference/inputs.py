"""The images that the user names: files, folders, or tables of files; with labels where they have any."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from pipeline.errors import InputError, one_line
from pipeline.learn.data import layout
from pipeline.learn.data.layout import files_below

FILE_COLUMNS = ("file", "path", "image", "filename")
LABEL_COLUMNS = ("label", "class", "target")


@dataclass(frozen=True)
class Inputs:
    """Paths of images, and the class of each by name where all have one, else nothing."""

    files: list[str]
    labels: list[str] | None = None
    notes: tuple[str, ...] = ()  # why there are no labels where folders look like some


def gather(given: Sequence[str | Path], classes: Sequence[str]) -> Inputs:
    """Return the images that files, folders and tables name, in their order.

    In a folder of one folder for each class, the folders' names are the labels; in a table it is the column
    label. Raises InputError for what is missing, empty or labelled with other classes.
    """
    parts = [_gather(Path(place), classes) for place in given]
    files = [file for part in parts for file in part.files]
    if not files:
        raise InputError(f"{', '.join(map(str, given)) or 'images'}: no image given; name files or a folder.")
    if any(part.labels is None for part in parts):
        return Inputs(files, notes=tuple(note for part in parts for note in part.notes))
    return Inputs(files, [label for part in parts for label in part.labels or ()])


def _gather(place: Path, classes: Sequence[str]) -> Inputs:
    if place.is_dir():
        return _folder(place, classes)
    if not place.exists():
        raise InputError(f"{place}: no such file or folder.")
    if place.suffix.lower() in layout.TABLES:
        return _table(place, classes)
    return Inputs([str(place)])


def _folder(folder: Path, classes: Sequence[str]) -> Inputs:
    files = [file for file in files_below(folder) if not layout.no_image(file)]
    if not files:
        raise InputError(f"{folder}: holds no image.")
    inside = [Path(file).relative_to(folder).parts for file in files]
    labels = [parts[0] for parts in inside]
    known = set(labels) & set(classes)
    if not known:
        others = sorted({parts[0] for parts in inside if len(parts) > 1})
        named = ", ".join(others[:4]) + (", …" if len(others) > 4 else "")
        note = f"{folder}: its folders ({named}) are no classes of this network, so nothing is scored."
        return Inputs(files, notes=(note,) if others else ())
    unknown = sorted({label for label in labels if label not in known})
    if unknown:
        raise InputError(
            f"{folder}: holds {unknown[0]!r}, which is no class of this network, beside folders that are "
            f"({', '.join(sorted(known)[:4])}). Move it out, or give the folders one by one."
        )
    return Inputs(files, labels)


def _table(path: Path, classes: Sequence[str]) -> Inputs:
    table = _read(path)
    column = next((name for name in FILE_COLUMNS if name in table), None)
    if column is None:
        raise InputError(f"{path}: has no column of files; it must be called {', '.join(FILE_COLUMNS)}.")
    files = [str(path.parent / str(file)) for file in table[column]]
    label = next((name for name in LABEL_COLUMNS if name in table), None)
    if label is None:
        return Inputs(files)
    labels = [str(value) for value in table[label]]
    unknown = sorted(set(labels) - set(classes))
    if unknown:
        known = ", ".join(classes[:4]) + (", …" if len(classes) > 4 else "")
        raise InputError(
            f"{path}: column {label!r} says {unknown[0]!r}, which is no class of this network ({known})."
        )
    return Inputs(files, labels)


def _read(path: Path) -> pd.DataFrame:
    try:
        if path.suffix.lower() == ".parquet":
            return pd.read_parquet(path)
        return pd.read_csv(path, sep="\t" if path.suffix.lower() == ".tsv" else ",", dtype=str)
    except Exception as error:  # noqa: BLE001 (every reader fails in its own way)
        raise InputError(f"{path}: cannot be read as a table ({one_line(error, 120)}).") from None
