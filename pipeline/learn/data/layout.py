"""Which folders are parts of a data set and which are classes: told by their names and what lies in them."""

import os
import re
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path

from pipeline.errors import DataError

# What people call the parts; huggingface/datasets takes the same words, "dev" for val and "eval" for test.
WORDS = {
    "train": ("train", "training", "trn", "训练", "训练集"),
    "val": ("val", "valid", "validation", "validate", "dev", "development", "验证", "验证集"),
    "test": ("test", "testing", "tst", "eval", "evaluation", "holdout", "测试", "测试集"),
}
PARTS = {word: part for part, words in WORDS.items() for word in words}
FILLERS = frozenset(
    ("set", "sets", "data", "dataset", "images", "image", "imgs", "img", "pictures", "photos", "split", "seg")
)
SYSTEM = frozenset(
    ("thumbs.db", "ehthumbs.db", "desktop.ini", "__macosx", "__pycache__", "@eadir", "#recycle", "@recycle",
     "$recycle.bin", "system volume information", "lost+found", "icon\r")
)  # fmt: skip
# Text, archives, and what cameras and telephones put beside a photograph: never images.
NOT_IMAGES = frozenset(
    (".txt", ".csv", ".tsv", ".json", ".jsonl", ".xml", ".yaml", ".yml", ".md", ".html", ".htm", ".py",
     ".ipynb", ".parquet", ".xls", ".xlsx", ".doc", ".docx", ".log", ".ini", ".db", ".zip", ".tar", ".gz",
     ".tgz", ".rar", ".7z", ".mov", ".mp4", ".avi", ".aae", ".thm", ".xmp", ".lrv")
)  # fmt: skip
TABLES = (".csv", ".tsv", ".parquet")


def left_behind(name: str) -> bool:
    """Whether a file or folder is hidden, or one that a system or a program leaves behind."""
    return name.startswith((".", "~$")) or name.lower() in SYSTEM


def no_image(name: str) -> bool:
    """Whether the end of a file's name says that it is no image; without an end, it may be one."""
    return Path(name).suffix.lower() in NOT_IMAGES


def folders(root: Path) -> list[Path]:
    """Return the folders in a folder, sorted, but for those left behind and links to what it lies in."""
    found = (p for p in sorted(root.iterdir()) if not left_behind(p.name) and p.is_dir())
    return [p for p in found if not p.is_symlink() or not root.resolve().is_relative_to(p.resolve())]


def loose_images(root: Path) -> list[str]:
    """Return the names of files directly in a folder that may be images, sorted."""
    names = (p.name for p in root.iterdir() if not p.is_dir() and not left_behind(p.name))
    return sorted(name for name in names if not no_image(name))


def files_below(
    folder: str | Path, behind: Counter[str] | None = None, seen: frozenset[tuple[int, int]] = frozenset()
) -> Iterator[str]:
    """Yield every file below a folder that is not left behind by a system, sorted; those are counted.

    Links are followed, never in circles.
    """
    about = Path(folder).stat()
    if (about.st_dev, about.st_ino) in seen:
        return
    seen |= {(about.st_dev, about.st_ino)}
    with os.scandir(folder) as entries:
        for entry in sorted(entries, key=lambda e: e.name):
            if left_behind(entry.name):
                if behind is not None:
                    behind[entry.name if not entry.name.startswith("._") else "._*"] += 1
            elif _is_folder(entry):
                yield from files_below(entry.path, behind, seen)
            else:
                yield entry.path


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself
        return False


def part_of(name: str) -> tuple[str | None, tuple[str, ...]]:
    """Return the part that a folder's name speaks of, and what else it says, as in ``val2017``."""
    words = [w.lower() for w in re.findall(r"[A-Z]?[^\W\d_A-Z]+|[A-Z]+(?![^\W\d_A-Z])|\d+", name)]
    found = [PARTS.get(word) or PARTS.get(_without_filler(word)) for word in words]
    rest = tuple(w for w, part in zip(words, found, strict=True) if part is None and w not in FILLERS)
    named = [part for part in found if part]
    return (named[0] if len(named) == 1 else None), rest


def _without_filler(word: str) -> str:
    return next((word.removesuffix(f) for f in FILLERS if word.endswith(f) and word != f), word)


def parts_among(data_dir: str, found: list[Path]) -> dict[str, Path]:
    """Return the folders that are parts, by part: their names are alike but for the word that says which.

    Raises DataError when two folders are the same part.
    """
    alike: dict[tuple[str, ...], list[tuple[str, Path]]] = defaultdict(list)
    for folder in found:
        part, rest = part_of(folder.name)
        if part is not None:
            alike[rest].append((part, folder))
    parts: dict[str, Path] = {}
    for part, folder in _most_certain(alike):
        if part in parts:
            raise DataError(
                f"{data_dir}: holds {parts[part].name}/ and {folder.name}/, both {part}; "
                "it must hold one of them."
            )
        parts[part] = folder
    return parts


def _most_certain(alike: dict[tuple[str, ...], list[tuple[str, Path]]]) -> list[tuple[str, Path]]:
    """Return plain names if there are any, else the first that name train and another part."""
    if () in alike:
        return alike[()]
    for named in alike.values():
        parts = {part for part, _ in named}
        if "train" in parts and len(parts) > 1:
            return named
    return []


def descend(root: Path) -> Path:
    """Return the folder that the images lie in: archives often wrap everything in a folder or two."""
    for _ in range(3):
        inside = folders(root)
        if len(inside) != 1 or loose_images(root) or not folders(inside[0]):
            break
        if part_of(inside[0].name)[0] and inside[0].name != root.name:
            break
        root = inside[0]
    return root


def tables_hint(root: Path, *parts: Path) -> str:
    """Return what to do with a table that lies in one of some folders, or an empty string."""
    for folder in (root, *parts):
        for path in sorted(folder.iterdir()):
            if path.suffix.lower() in TABLES and not left_behind(path.name):
                name = path.relative_to(root).as_posix()
                return f" If {name} says the classes, set dataset: table and labels: {name}."
    return ""
