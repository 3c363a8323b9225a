"""Anybody's own images: one folder for each class, with or without a split of their own."""

import os
import unicodedata
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from pipeline.errors import DataError, did_you_mean
from pipeline.files import Files
from pipeline.learn.data import layout
from pipeline.learn.data.contents import Contents, Part, clean_name, numbers_first
from pipeline.learn.data.decode import open_image

LAYOUT = "train/<class>/* and test/<class>/*, or <class>/* alone"


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


@dataclass
class _Left:
    """What was seen and not taken: counted by name or by the end of the name."""

    behind: Counter[str] = field(default_factory=Counter)
    no_images: Counter[str] = field(default_factory=Counter)

    def notes(self) -> list[str]:
        found = (
            ("Passed over, as left behind by systems and programs", self.behind),
            ("Left out, as no images", self.no_images),
        )
        return [f"{why}: {_counted(counter)}." for why, counter in found if counter]


def _counted(counter: Counter[str]) -> str:
    shown = [f"{clean_name(name)} ({count:,})" for name, count in counter.most_common(5)]
    more = len(counter) - len(shown)
    return ", ".join(shown) + (f" and {more} more" if more else "")


def list_folder(data_dir: str) -> Contents:
    """List the images below ``data_dir``: what is no image by its first bytes is found later.

    Folders named train, val or test in one of the ways that people do (``layout.WORDS``), with class
    folders in them, are parts; val and test are optional. Otherwise every folder is a class.
    Raises DataError when there is no folder, no class, or the parts disagree on classes.
    """
    root = Path(os.path.abspath(data_dir))  # noqa: PTH100 (links stay as they are)
    if not root.is_dir():
        raise DataError(f"{data_dir}: {_missing(data_dir, root)} data_dir must hold {LAYOUT}.")
    left = _Left()
    try:
        inner = layout.descend(root)
        folders, notes = _part_folders(data_dir, inner)
        files = {name: _classes(folder, left) for name, folder in folders.items()}
        _refuse_unusable_classes(data_dir, inner, folders, files)
    except OSError as error:
        raise DataError(
            f"{clean_name(error.filename or data_dir)}: cannot be listed: {error.strerror}. "
            "Check its permissions."
        ) from None
    if inner != root:
        beside = [_neither(f) for parent in inner.parents if parent.is_relative_to(root)
                  for f in layout.folders(parent) if not inner.is_relative_to(f)]  # fmt: skip
        notes = [f"The images lie in {clean_name(inner.relative_to(root).as_posix())}/.", *beside, *notes]
    classes = sorted(files["train"], key=numbers_first)
    parts = {name: _part(root, classes, by_class) for name, by_class in files.items()}
    shown = [clean_name(label) for label in classes]
    _refuse_names_shown_alike(data_dir, shown)
    return Contents(
        "image_folder", data_dir, "a folder of image files", shown, parts, [*notes, *left.notes()]
    )


def _number(files: int) -> str:
    return f"{files:,} file" if files == 1 else f"{files:,} files"


def _missing(data_dir: str, root: Path) -> str:
    if root.exists():
        packed = root.suffix.lower() in layout.ARCHIVES
        return f"is a file, not a folder.{' Unpack it, and name the folder.' if packed else ''}"
    if "://" in data_dir:
        return "is an address. Download what lies there, and name its folder."
    siblings = [p.name for p in root.parent.iterdir() if p.is_dir()] if root.parent.is_dir() else []
    unset = " A variable in it is not set." if "$" in root.as_posix() else ""
    return f"no such folder (looked for {clean_name(str(root))}).{unset}{did_you_mean(root.name, siblings)}"


def _part_folders(data_dir: str, root: Path) -> tuple[dict[str, Path], list[str]]:
    """Return the folder of each part, the whole folder for train where there are none; and notes."""
    found = layout.folders(root)
    parts = {name: layout.descend(f) for name, f in layout.parts_among(data_dir, found).items()}
    with_classes = [name for name, folder in parts.items() if layout.folders(folder)]
    if "train" in with_classes:
        _refuse_unlabelled(data_dir, root, parts)
        others = [f for f in found if not any(p.is_relative_to(f) for p in parts.values())]
        return parts, [*map(_neither, others), *_loose(root, parts)]
    if parts and (with_classes or len(parts) > 1 or len(parts) == len(found)):
        _refuse_parts_without_labels(data_dir, root, parts)
    _refuse_parts_in_classes(data_dir, found)
    _refuse_unnamed_parts(data_dir, found)
    return {"train": root}, _loose(root, {"train": root})


def _neither(folder: Path) -> str:
    count = sum(1 for _ in layout.files_below(folder))
    return f"{clean_name(folder.name)}/ ({_number(count)}) is neither part nor class, and was left out."


def _loose(root: Path, parts: dict[str, Path]) -> list[str]:
    notes = []
    for folder in dict.fromkeys((root, *parts.values())):
        count = len(layout.loose_images(folder))
        if count:
            place = "the folder" if folder == root else f"{clean_name(folder.name)}/"
            notes.append(f"{_number(count)} directly in {place}: of no class, and left out.")
    return notes


def _refuse_unlabelled(data_dir: str, root: Path, parts: dict[str, Path]) -> None:
    for name, folder in parts.items():
        if not layout.folders(folder):
            count, hint = len(layout.loose_images(folder)), layout.tables_hint(root, folder)
            raise DataError(
                f"{data_dir}: {folder.name}/ holds {_number(count)} and no class folder, so nothing says "
                f"what its images show. Move it out of {data_dir} ({name} is then taken from train), or sort "
                f"it into class folders as train.{hint}"
            )


def _refuse_parts_without_labels(data_dir: str, root: Path, parts: dict[str, Path]) -> None:
    names = " and ".join(f"{folder.name}/" for folder in parts.values())
    if "train" not in parts:
        raise DataError(
            f"{data_dir}: holds {names}, but no train/ with class folders. It must hold {LAYOUT}."
        )
    count = sum(len(layout.loose_images(folder)) for folder in parts.values())
    hint = layout.tables_hint(root, *parts.values()) + layout.names_hint(parts["train"])
    raise DataError(
        f"{data_dir}: {names} are parts by their names, and hold {_number(count)} but no class folders in "
        f"train.{hint} Otherwise it must hold {LAYOUT}."
    )


def _refuse_parts_in_classes(data_dir: str, found: list[Path]) -> None:
    """Refuse classes that each hold parts: read as classes, their test images would be trained on."""
    for folder in found:
        inner = [p.name for p in layout.folders(folder)]
        parts = {part for name in inner for part, rest in [layout.part_of(name)] if part and not rest}
        if "train" in parts and len(parts) > 1:
            label, names = clean_name(folder.name), " and ".join(f"{clean_name(n)}/" for n in inner[:3])
            raise DataError(
                f"{data_dir}: {label}/ holds {names}, parts by their names. Parts come first: move "
                f"{label}/{clean_name(inner[0])}/ to {clean_name(inner[0])}/{label}/, and the others alike."
            )


def _refuse_unnamed_parts(data_dir: str, found: list[Path]) -> None:
    """Refuse folders that all hold the same folders, and nothing else: parts, whatever they are called."""
    inside = [frozenset(p.name.casefold() for p in layout.folders(folder)) for folder in found]
    if len(found) < 2 or len(inside[0]) < 2 or len(set(inside)) > 1 or any(map(layout.loose_images, found)):
        return
    names = ", ".join(f"{clean_name(folder.name)}/" for folder in found[:4])
    within = ", ".join(sorted(clean_name(p.name) for p in layout.folders(found[0]))[:4])
    raise DataError(
        f"{data_dir}: {names} all hold the same folders ({within}), as parts do and classes do not. Name "
        "them train/, val/ and test/; or, if they are classes, move their images out of the inner folders."
    )


def _classes(folder: Path, left: _Left) -> dict[str, list[str]]:
    return {path.name: list(_images_below(path, left)) for path in layout.folders(folder)}


def _images_below(folder: Path, left: _Left) -> Iterator[str]:
    for path in layout.files_below(folder, left.behind):
        if layout.no_image(path):
            left.no_images[Path(path).suffix.lower()] += 1
        else:
            yield path


def _refuse_unusable_classes(
    data_dir: str, root: Path, folders: dict[str, Path], files: dict[str, dict[str, list[str]]]
) -> None:
    if not files["train"]:
        count = len(layout.loose_images(root))
        found = f" It holds {_number(count)} in none." if count else ""
        packed = sorted(p.name for p in root.iterdir() if p.suffix.lower() in layout.ARCHIVES)
        found += f" It holds {clean_name(packed[0])}: unpack archives first." if packed else ""
        hint = layout.tables_hint(root) + layout.names_hint(root)
        raise DataError(f"{data_dir}: holds no folder with images.{found}{hint} It must hold {LAYOUT}.")
    for label, paths in files["train"].items():
        held = Counter(Path(p).suffix.lower() for p in layout.files_below(folders["train"] / label))
        if not paths and held:
            raise DataError(
                f"{data_dir}: {clean_name(label)}/ is no class: it holds no image, but {_counted(held)}. "
                "Move it elsewhere; Headstart learns classes of whole images, not boxes or masks in them."
            )
    if pair := layout.images_and_masks(files["train"]):
        raise DataError(
            f"{data_dir}: {clean_name(pair[0])}/ holds images and {clean_name(pair[1])}/ what is where in "
            "them, by their names; they are no classes. Headstart learns classes of whole images: it must "
            f"hold {LAYOUT}."
        )
    for name, by_class in files.items():
        files[name] = _named_as_in_train(files["train"], by_class)
        _refuse_other_classes(data_dir, name, files["train"], files[name])


def _named_as_in_train(train: dict[str, list[str]], part: dict[str, list[str]]) -> dict[str, list[str]]:
    """Return a part's classes by the names that train gives them: what people read as one name is one."""
    names = {_read(label): label for label in train}
    if len(names) < len(train) or len({*map(_read, part)}) < len(part):
        return part
    return {names.get(_read(label), label): paths for label, paths in part.items()}


def _read(name: str) -> str:
    return unicodedata.normalize("NFC", name).casefold().strip()


def _refuse_other_classes(
    data_dir: str, name: str, train: dict[str, list[str]], part: dict[str, list[str]]
) -> None:
    if not set(train) & set(part):
        shown = ", ".join(repr(clean_name(label)) for label in sorted(part)[:4])
        raise DataError(
            f"{data_dir}: {name} holds the folders {shown}, none of which is a class of train. "
            f"Sort {name} into the class folders of train, or move it out of {data_dir}."
        )
    for label in sorted(set(train) ^ set(part)):
        where, other = ("train", name) if label in train else (name, "train")
        raise DataError(
            f"{data_dir}: class {clean_name(label)!r} is in {where}, but not in {other}. "
            "Both need the same class folders; add the missing one or remove the other."
        )


def _refuse_names_shown_alike(data_dir: str, shown: list[str]) -> None:
    """Refuse names that nobody can tell apart, as by an accent that is a part of its letter or by itself."""
    alike = [" ".join(unicodedata.normalize("NFC", label).split()) for label in shown]
    for label in alike:
        if alike.count(label) > 1:
            raise DataError(f"{data_dir}: two class folders are both shown as {label!r}; rename one.")


def _part(root: Path, classes: list[str], by_class: dict[str, list[str]]) -> Part:
    paths = [path for label in classes for path in by_class[label]]
    targets = np.repeat(np.arange(len(classes), dtype=np.int64), [len(by_class[label]) for label in classes])
    start = len(os.path.join(root, ""))  # noqa: PTH118 (the root folder ends in a slash already)
    names = [clean_name(path[start:]) for path in paths]
    return Part(targets, lambda position: open_image(paths[position]), names, paths)
