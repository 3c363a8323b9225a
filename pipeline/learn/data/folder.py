"""Anybody's own images: one folder for each class, with or without a split of their own."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pipeline.errors import DataError, did_you_mean
from pipeline.learn.data.contents import Contents, Files, Part, clean_name
from pipeline.learn.data.decode import open_image

LAYOUT = "train/<class>/* and test/<class>/*, or <class>/* alone"
PART_NAMES = {"train": "train", "val": "val", "valid": "val", "validation": "val", "test": "test"}
IGNORED = frozenset({"thumbs.db", "desktop.ini", "__macosx"})


@dataclass(frozen=True)
class ImageFolder:
    """Images of the user's own."""

    def contents(self, data_dir: str) -> Contents:
        """See ``list_folder``."""
        return list_folder(data_dir)

    def files(self, data_dir: str) -> Files:
        """Return every file that may be an image; see ``list_folder``."""
        parts = list_folder(data_dir).parts.values()
        return [file for part in parts for file in zip(part.files, part.paths, strict=True)]


def list_folder(data_dir: str) -> Contents:
    """List the images below ``data_dir``, whatever their names: only decoding tells images from others.

    ``train/`` with class folders in it makes ``test/`` and ``val/`` (or ``valid/``,
    ``validation/``) splits of their own; each is optional. Otherwise every folder is a class.
    Raises DataError when there is no folder, no class, or the parts disagree on classes.
    """
    root = Path(os.path.abspath(data_dir))  # noqa: PTH100 (links stay as they are)
    if not root.is_dir():
        raise DataError(f"{data_dir}: {_missing(root)} data_dir must hold {LAYOUT}.")
    try:
        files = {name: _classes(folder) for name, folder in _part_folders(data_dir, root).items()}
    except OSError as error:
        raise DataError(
            f"{clean_name(error.filename or data_dir)}: cannot be listed: {error.strerror}. "
            "Check its permissions."
        ) from None
    classes = sorted(files["train"])
    _refuse_unusable_classes(data_dir, files)
    parts = {name: _part(root, classes, by_class) for name, by_class in files.items()}
    shown = [clean_name(label) for label in classes]
    _refuse_names_shown_alike(data_dir, shown)
    return Contents("image_folder", data_dir, "a folder of image files", shown, parts)


def _missing(root: Path) -> str:
    if root.exists():
        return "is a file, not a folder."
    siblings = [p.name for p in root.parent.iterdir() if p.is_dir()] if root.parent.is_dir() else []
    return f"no such folder.{did_you_mean(root.name, siblings)}"


def _part_folders(data_dir: str, root: Path) -> dict[str, Path]:
    """Return the folder of each part; the whole folder is the training part when there is no train/."""
    named: dict[str, Path] = {}
    for folder in _folders(root):
        part = PART_NAMES.get(folder.name.lower())
        if part in named:
            raise DataError(
                f"{data_dir}: holds {named[part].name}/ and {folder.name}/; it must hold one of them."
            )
        if part is not None:
            named[part] = folder
    if "train" in named and _folders(named["train"]):
        return named
    if "test" in named and _folders(named["test"]):
        raise DataError(
            f"{data_dir}: holds {named['test'].name}/, but no train/ with class folders. "
            f"It must hold {LAYOUT}."
        )
    return {"train": root}


def _classes(folder: Path) -> dict[str, list[str]]:
    return {path.name: list(files_below(path)) for path in _folders(folder)}


def _folders(root: Path) -> list[Path]:
    return [p for p in sorted(root.iterdir()) if not _hidden(p.name) and p.is_dir()]


def _hidden(name: str) -> bool:
    return name.startswith(".") or name.lower() in IGNORED


def files_below(folder: str | Path, seen: frozenset[tuple[int, int]] = frozenset()) -> Iterator[str]:
    """Yield every file below a folder that is not hidden, sorted; links are followed, never in circles."""
    about = Path(folder).stat()
    if (about.st_dev, about.st_ino) in seen:
        return
    seen |= {(about.st_dev, about.st_ino)}
    with os.scandir(folder) as entries:
        for entry in sorted(entries, key=lambda e: e.name):
            if _hidden(entry.name):
                continue
            if _is_folder(entry):
                yield from files_below(entry.path, seen)
            else:
                yield entry.path


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself
        return False


def _refuse_unusable_classes(data_dir: str, files: dict[str, dict[str, list[str]]]) -> None:
    classes = set(files["train"])
    if not classes:
        raise DataError(f"{data_dir}: holds no folder with images. It must hold {LAYOUT}.")
    for name, by_class in files.items():
        for label in sorted(classes ^ set(by_class)):
            where, other = ("train", name) if label in classes else (name, "train")
            raise DataError(
                f"{data_dir}: class {clean_name(label)!r} is in {where}, but not in {other}. "
                "Both need the same class folders; add the missing one or remove the other."
            )


def _refuse_names_shown_alike(data_dir: str, shown: list[str]) -> None:
    for label in shown:
        if shown.count(label) > 1:
            raise DataError(f"{data_dir}: two class folders are both shown as {label!r}; rename one.")


def _part(root: Path, classes: list[str], by_class: dict[str, list[str]]) -> Part:
    paths = [path for label in classes for path in by_class[label]]
    targets = np.repeat(np.arange(len(classes), dtype=np.int64), [len(by_class[label]) for label in classes])
    start = len(os.path.join(root, ""))  # noqa: PTH118 (the root folder ends in a slash already)
    names = [clean_name(path[start:]) for path in paths]
    return Part(targets, lambda position: open_image(paths[position]), names, paths)
