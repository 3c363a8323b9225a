"""Images whose classes stand in a table, one row for each file, as competitions have them."""

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from io import StringIO
from pathlib import Path

import numpy as np
import pandas as pd

from pipeline.errors import DataError, did_you_mean, one_line
from pipeline.files import Files
from pipeline.learn.data.contents import Contents, Part, clean_name, numbers_first
from pipeline.learn.data.decode import open_image
from pipeline.learn.data.layout import TABLES, files_below, no_image, part_of
from pipeline.record import METADATA

# What people call the columns, in the order of trust; case, blanks, underscores and a last s do not count.
FILE_COLUMNS = (
    *("file", "filename", "filepath", "path", "image", "imagename", "imagepath", "imageid"),
    *("imagefile", "imagefilename", "imgpath", "imgname", "imgid", "fname", "idcode", "img", "name", "id"),
)
LABEL_COLUMNS = (
    *("label", "labels", "class", "classname", "category", "target", "species", "breed"),
    *("diagnosis", "dx", "level", "classid", "categoryid", "cls"),
)
SPLIT_COLUMNS = ("split", "part", "subset", "fold", "set")
YES, NO = frozenset(("true", "1", "yes", "1.0")), frozenset(("false", "0", "no", "0.0", ""))
# What says yes or no of one part, as fastai's is_valid: the part, and the rows that are in it.
PART_COLUMNS = {
    **dict.fromkeys(("isvalid", "isval", "isvalidation"), ("val", YES)),
    "istest": ("test", YES),
    **dict.fromkeys(("istrain", "istraining", "istrainingimage"), ("test", NO)),
}
NAMELESS = re.compile(r"Unnamed: \d+$")  # what pandas calls a column without a name, as the numbers of rows
SHOWN_COLUMNS = 8
WORKBOOKS = (b"PK\x03\x04", b"\xd0\xcf\x11\xe0")  # of Excel and LibreOffice, as their files begin


@dataclass(frozen=True)
class Table:
    """A table in ``data_dir``, and its columns where they are not found by their usual names."""

    labels: str | None
    file_column: str | None = None
    label_column: str | None = None

    def contents(self, data_dir: str) -> Contents:
        """Return the images that the table names.

        Raises DataError when there is no such table, a column or files are missing, or a file stands twice.
        """
        root = Path(os.path.abspath(data_dir))  # noqa: PTH100 (links stay as they are)
        rows, notes = self._rows(data_dir, root)
        classes = sorted(rows["label"].unique(), key=numbers_first)
        named = [name for name in ("train", "val", "test") if (rows["split"] == name).any()]
        if "train" not in named:
            raise DataError(f"{data_dir}: {self.labels}: names no image for train; drop its split column.")
        parts = {name: _part(root, classes, rows[rows["split"] == name]) for name in named}
        shown = [clean_name(label) for label in classes]
        source = f"image files with their classes in {clean_name(str(self.labels))}"
        return Contents("table", data_dir, source, shown, parts, notes)

    def files(self, data_dir: str) -> Files:
        """Return the images and the table, which the classes depend on."""
        parts = self.contents(data_dir).parts.values()
        images = [file for part in parts for file in zip(part.files, part.paths, strict=True)]
        return [*images, ("the table", str(Path(os.path.abspath(data_dir)) / str(self.labels)))]  # noqa: PTH100

    def _rows(self, data_dir: str, root: Path) -> tuple[pd.DataFrame, list[str]]:
        """Return ``file`` (relative), ``label``, ``split`` and metadata of each image, and notes."""
        table, where = self._read(data_dir, root), f"{data_dir}: {self.labels}"
        file_column = _column(where, table, "file_column", self.file_column, FILE_COLUMNS)
        label_column = _column(where, table, "label_column", self.label_column, LABEL_COLUMNS, file_column)
        names, labels = table[file_column].str.strip(), table[label_column].str.strip()
        empty = (labels == "") | (names == "")
        if empty.any():
            raise DataError(
                f"{where}: {empty.sum():,} of {len(table):,} rows lack {label_column} or {file_column}, "
                f"the first in line {int(empty.to_numpy().argmax()) + 2}; fill them in, or drop the rows."
            )
        found = _find_files(where, root, list(names))
        rows = pd.DataFrame({"file": found, "label": labels.to_numpy(), "split": "train"})
        rows["split"], split_columns = _splits(where, table)
        twice = rows["file"].duplicated()
        if twice.any():
            files = "1 file" if twice.sum() == 1 else f"{twice.sum():,} files"
            raise DataError(
                f"{where}: names {files} more than once, the first "
                f"{rows['file'][twice].iloc[0]}; one image has one row."
            )
        spoken_for = {file_column, label_column, *split_columns}
        about = table[[c for c in table if c not in spoken_for and not NAMELESS.match(str(c))]].add_prefix(
            METADATA
        )
        return pd.concat([rows, about], axis=1), _unnamed(root, set(rows["file"]))

    def _read(self, data_dir: str, root: Path) -> pd.DataFrame:
        if not root.is_dir():
            raise DataError(f"{data_dir}: no such folder (looked for {root}).")
        if self.labels is None:
            found = sorted(p.name for p in root.iterdir() if p.suffix.lower() in TABLES)
            raise DataError(
                f"{data_dir}: dataset is table, and labels does not say which; "
                f"the folder holds {', '.join(found) or 'none'}."
            )
        path = root / self.labels
        if not path.is_file():
            hint = did_you_mean(path.name, [p.name for p in root.iterdir()])
            raise DataError(f"{data_dir}: labels is {self.labels!r}, and there is no such file in it.{hint}")
        try:
            table = _read_parquet(path) if path.suffix.lower() == ".parquet" else _read_text(path)
        except Exception as error:  # noqa: BLE001 (every reader fails in its own way)
            raise DataError(f"{path}: cannot be read as a table: {one_line(error, 120)}.") from None
        if _names_a_file(root, table):
            first = ", ".join(clean_name(str(c)) for c in table.columns[:3])
            raise DataError(
                f"{data_dir}: {self.labels}: its first line ({first}) is an image and its class; write a "
                "line with the names of the columns above it, as file,label."
            )
        return table


def _names_a_file(root: Path, table: pd.DataFrame) -> bool:
    """Whether what should be the names of columns is the first row."""
    names = [str(c).strip() for c in table.columns]
    return any(Path(name).suffix and not no_image(name) and (root / name).is_file() for name in names)


def _read_parquet(path: Path) -> pd.DataFrame:
    """Read parquet as text; what is missing is empty."""
    table = pd.read_parquet(path).reset_index(drop=True)
    return table.astype(object).where(table.notna(), "").astype(str)


def _read_text(path: Path) -> pd.DataFrame:
    """Read CSV or TSV as text, whatever separates it, in UTF-8, UTF-16 (with a mark) or Latin-1."""
    raw = path.read_bytes()
    if raw.startswith(WORKBOOKS):
        raise ValueError("it is a workbook; save its sheet as CSV")
    try:
        text = raw.decode("utf-16" if raw.startswith((b"\xff\xfe", b"\xfe\xff")) else "utf-8-sig")
    except UnicodeDecodeError:
        text = raw.decode("latin-1")
    counts = {sign: text.partition("\n")[0].count(sign) for sign in "\t;|,"}
    separator = max(counts, key=lambda sign: counts[sign])
    return pd.read_csv(StringIO(text), sep=separator, dtype=str, keep_default_na=False)


def _plain(name: object) -> str:
    return "".join(c for c in str(name).casefold() if c.isalnum())


def _column(
    where: str, table: pd.DataFrame, setting: str, wanted: str | None, usual: Sequence[str], other: str = ""
) -> str:
    """Return the column asked for, or the first by a usual name. Raises DataError, naming all, for none."""
    columns = [str(c) for c in table.columns if str(c) != other]
    if wanted in columns:
        return str(wanted)
    by_name = {_plain(c).removesuffix("s"): c for c in reversed(columns)}
    by_name |= {_plain(c): c for c in reversed(columns)}
    if wanted is None and (found := next((by_name[name] for name in usual if name in by_name), None)):
        return found
    if wanted is None and len(columns) == 1 and other:
        return columns[0]
    asked = f"has no column {wanted!r}" if wanted else f"has no column by a usual name for {setting}"
    shown = ", ".join(repr(clean_name(str(column))[:60]) for column in table.columns[:SHOWN_COLUMNS])
    shown += f" and {len(table.columns) - SHOWN_COLUMNS} more" if len(table.columns) > SHOWN_COLUMNS else ""
    raise DataError(f"{where}: {asked}; its columns are {shown}. Set {setting} to one of them.")


def _find_files(where: str, root: Path, names: list[str]) -> list[str]:
    """Return each name as a path relative to the data folder.

    A name may lack its folder and its ending, as in Kaggle's tables, where only one file fits it; it may
    begin with the data folder, and its capitals may differ where nothing fits it as written.
    """
    there = [path[len(str(root)) + 1 :] for path in files_below(root)]
    there = [Path(path).as_posix() for path in there if not no_image(path)]
    by_name: dict[str, list[str]] = {}
    for path in there:
        for short in {path, path.rsplit("/", 1)[-1], str(Path(path).with_suffix("")), Path(path).stem}:
            by_name.setdefault(short, []).append(path)
    missing: list[str] = []
    found: list[str] = []
    folded: dict[str, list[str]] = {}
    for name in names:
        fitting = by_name.get(name.replace("\\", "/").removeprefix("./"), [])
        if not fitting:
            fitting = by_name.get(_within(root, name), [])
        if not fitting:
            folded = folded or _folded(by_name)
            fitting = folded.get(_within(root, name).casefold(), [])
        if len(fitting) > 1:  # the same name in several parts: train is what tables of labels are about
            fitting = list(filter(_in_train, fitting)) or fitting
        if len(fitting) > 1:
            raise DataError(f"{where}: {name!r} may be {fitting[0]} or {fitting[1]}; write the folder out.")
        found.append(fitting[0] if fitting else "")
        if not fitting:
            missing.append(name)
    if missing:
        raise DataError(
            f"{where}: {len(missing):,} of {len(names):,} files that it names are not in the folder, the "
            f"first {clean_name(missing[0])!r}. Put them there, or drop their rows."
        )
    return found


def _within(root: Path, name: str) -> str:
    """Return a name without the data folder before it, as the shell sees it or by its own name alone."""
    name = name.replace("\\", "/")
    if (path := os.path.abspath(name)).startswith(f"{root}{os.sep}"):  # noqa: PTH100 (links stay as they are)
        return Path(path[len(str(root)) + 1 :]).as_posix()
    return name.removeprefix("./").removeprefix(f"{root.name}/")


def _folded(by_name: dict[str, list[str]]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for name, paths in by_name.items():
        found.setdefault(name.casefold(), []).extend(paths)
    return found


def _in_train(path: str) -> bool:
    return any(part_of(folder)[0] == "train" for folder in path.split("/")[:-1])


def _splits(where: str, table: pd.DataFrame) -> tuple[list[str], list[str]]:
    """Return the part of each row, and the columns that say it.

    A column by a usual name of which no value is a part, as the numbers of folds, says something else.
    Raises DataError where only some of its values are parts.
    """
    for column in (str(c) for c in table if _plain(c) in SPLIT_COLUMNS):
        parts = [part_of(value)[0] for value in table[column]]
        unknown = [value for value, part in zip(table[column], parts, strict=True) if part is None]
        if unknown and (len(unknown) < len(parts) or _plain(column) == "split"):
            raise DataError(
                f"{where}: {column} is {clean_name(unknown[0])!r} in {len(unknown):,} of {len(parts):,} "
                "rows; it must be train, val or test in every row."
            )
        if not unknown:
            return [str(part) for part in parts], [column]
    return _flagged(table)


def _flagged(table: pd.DataFrame) -> tuple[list[str], list[str]]:
    """Return the part of each row by columns as is_valid, which say yes or no of one part."""
    parts, columns = np.full(len(table), "train", object), []
    for column in (str(c) for c in table if _plain(c) in PART_COLUMNS):
        said, (part, rows) = table[column].str.strip().str.casefold(), PART_COLUMNS[_plain(column)]
        if said.isin(YES | NO).all():
            parts[said.isin(rows).to_numpy()] = part
            columns.append(column)
    return [str(part) for part in parts], columns


def _unnamed(root: Path, named: set[str]) -> list[str]:
    there = (path[len(str(root)) + 1 :] for path in files_below(root))
    count = sum(1 for path in there if not no_image(path) and Path(path).as_posix() not in named)
    files = "1 file" if count == 1 else f"{count:,} files"
    return [f"{files} in the folder stand in no row of the table, and were left out."] if count else []


def _part(root: Path, classes: list[str], rows: pd.DataFrame) -> Part:
    rows = rows.sort_values(["label", "file"], kind="stable")
    number = {label: position for position, label in enumerate(classes)}
    paths = [str(root / file) for file in rows["file"]]
    targets = np.array([number[label] for label in rows["label"]], dtype=np.int64)
    about = rows.filter(regex=f"^{METADATA}").reset_index(drop=True)
    return Part(
        targets,
        lambda i: open_image(paths[i]),
        [clean_name(f) for f in rows["file"]],
        paths,
        metadata=about if about.shape[1] else None,
    )
