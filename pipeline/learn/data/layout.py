"""Which folders are parts of a data set and which are classes: told by their names and what lies in them."""

import os
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
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
ARCHIVES = (".zip", ".tar", ".gz", ".tgz", ".xz", ".bz2", ".7z", ".rar")
# What lies beside images and shows where things are in them, as trimaps in Oxford's pets.
IMAGES = frozenset(("image", "images", "imgs", "img", "jpegimages", "rgb", "input", "inputs"))
BEGIN = re.compile(r"[^\W\d_]+(?:[ _-][^\W\d_]+)*")  # the words before the number of a file
MASKS = frozenset(
    ("mask", "masks", "label", "labels", "annotation", "annotations", "groundtruth", "gt", "segmentation",
     "segmentations", "segmentationclass", "segmentationobject", "trimap", "trimaps", "boxes", "bboxes")
)  # fmt: skip


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


def words_of(name: str) -> list[str]:
    """Return the words of a folder's name in small letters, as train and 2017 of ``Train2017``."""
    return [w.lower() for w in re.findall(r"[A-Z]?[^\W\d_A-Z]+|[A-Z]+(?![^\W\d_A-Z])|\d+", name)]


def images_and_masks(names: Iterable[str]) -> tuple[str, str] | None:
    """Return a folder of images and one of what is where in them, if some folders' names say so."""
    whole = {name: "".join(words_of(name)) for name in names}
    words = {name: {*words_of(name), whole[name]} for name in whole}
    masks = [name for name in whole if words[name] & MASKS]
    images = [name for name in whole if words[name] & IMAGES and name not in masks]
    return (images[0], masks[0]) if images and masks else None


def part_of(name: str) -> tuple[str | None, tuple[str, ...]]:
    """Return the part that a folder's name speaks of, and what else it says, as in ``val2017``."""
    words = words_of(name)
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
        if loose_images(root):
            break
        inner = inside[0] if len(inside) == 1 else _only_with_images(inside)
        if inner is None or not folders(inner):
            break
        if part_of(inner.name)[0] and inner.name != root.name:
            break
        root = inner
    return root


def _only_with_images(inside: list[Path]) -> Path | None:
    """Return the only folder that holds images, if it is called so, as beside lists and annotations."""
    called = [folder for folder in inside if set(words_of(folder.name)) <= FILLERS]
    if len(called) != 1 or any(_holds_images(folder) for folder in inside if folder != called[0]):
        return None
    return called[0]


def _holds_images(folder: Path) -> bool:
    return any(not no_image(path) for path in files_below(folder))


def names_hint(folder: Path) -> str:
    """Return what to do with loose images whose names begin with a few words, as cat.0.jpg; or nothing."""
    names = loose_images(folder)
    begins = Counter(m.group().strip(" _-") if (m := BEGIN.match(name)) else "" for name in names)
    if "" in begins or not 2 <= len(begins) <= len(names) / 3:
        return ""
    shown = ", ".join(name for name, _ in begins.most_common(3))
    return f" If the names of the files say the classes ({shown}), move each file into a folder of its class."


def tables_hint(root: Path, *parts: Path) -> str:
    """Return what to do with a table that lies in one of some folders, or an empty string."""
    for folder in (root, *parts):
        for path in sorted(folder.iterdir()):
            if path.suffix.lower() in TABLES and not left_behind(path.name):
                name = path.relative_to(root).as_posix()
                return f" If {name} says the classes, set dataset: table and labels: {name}."
    return ""
