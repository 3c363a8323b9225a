"""Data sets of images by the Hugging Face ``datasets`` library, where it is installed."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from pipeline.errors import DataError, one_line
from pipeline.files import Files
from pipeline.learn.data.contents import Contents, Part, clean_name, numbers_first
from pipeline.learn.data.layout import part_of
from pipeline.record import METADATA

LABELS = ("label", "labels", "fine_label", "class", "category", "target")
SAVED = ("dataset_dict.json", "state.json")  # what save_to_disk leaves in a folder


@dataclass(frozen=True)
class HuggingFace:
    """A data set by its ``name``: a folder, in ``data_dir`` or anywhere, or one of the hub."""

    name: str | None

    def contents(self, data_dir: str) -> Contents:
        """Return its images. Raises DataError when it cannot be had, or lacks images or classes."""
        parts = self._parts(data_dir)
        first = parts["train"]
        image, label = _image_column(self.name, first), _label_column(self.name, first)
        classes, numbers = _classes(parts, label)
        made = {
            key: Part(np.array(numbers[key], np.int64), _reader(part, image), metadata=_metadata(part, label))
            for key, part in parts.items()
        }
        source = f"the data set {self.name} by the datasets library"
        return Contents("huggingface", str(self.name), source, [clean_name(c) for c in classes], made)

    def files(self, data_dir: str) -> Files:
        """Return the files that the library keeps of it."""
        found = [
            (f"{key}/{number}", str(file["filename"]))
            for key, part in self._parts(data_dir).items()
            for number, file in enumerate(part.cache_files)
        ]
        return found or [("the data set", str(_folder(str(self.name), data_dir) or self.name))]

    def _parts(self, data_dir: str) -> dict[str, Any]:
        if self.name is None:
            raise DataError(
                "dataset is huggingface, and name does not say which; give a folder or a name of the hub."
            )
        found = self._load(data_dir)
        if not hasattr(found, "keys"):
            return {"train": found}
        parts: dict[str, Any] = {}
        for key, part in found.items():
            kind = part_of(str(key))[0]
            if kind is not None:
                parts.setdefault(kind, part)
        if "train" not in parts:
            raise DataError(
                f"{self.name}: has the splits {', '.join(map(str, found))}, none of which is train."
            )
        return parts

    def _load(self, data_dir: str) -> Any:
        folder = _folder(str(self.name), data_dir)
        offline = bool(os.environ.get("HEADSTART_OFFLINE"))
        if folder is None and offline:
            raise DataError(
                f"{self.name}: is no folder here, and {os.environ['HEADSTART_OFFLINE']} forbids to fetch it."
            )
        try:
            import datasets
        except ImportError:
            raise DataError(
                f"{self.name}: needs the datasets library; run: pip install 'headstart[huggingface]'"
            ) from None
        datasets.disable_progress_bars()
        try:
            if folder is not None and any((folder / mark).is_file() for mark in SAVED):
                return datasets.load_from_disk(str(folder))
            return datasets.load_dataset(
                str(folder or self.name), cache_dir=str(Path(data_dir) / "huggingface")
            )
        except Exception as error:  # noqa: BLE001 (it raises what its many readers do)
            raise DataError(f"{self.name}: cannot be loaded: {one_line(error, 200)}") from None


def _folder(name: str, data_dir: str) -> Path | None:
    return next((p for p in (Path(data_dir) / name, Path(name)) if p.is_dir()), None)


def _image_column(name: str | None, part: Any) -> str:
    found = [key for key, feature in part.features.items() if type(feature).__name__ == "Image"]
    if not found:
        raise DataError(f"{name}: has no column of images; its columns are {', '.join(part.column_names)}.")
    return str(found[0])


def _label_column(name: str | None, part: Any) -> str:
    found = [key for key, feature in part.features.items() if type(feature).__name__ == "ClassLabel"]
    found = sorted(found, key=lambda key: LABELS.index(key) if key in LABELS else len(LABELS))
    found += [key for key in LABELS if key in part.column_names]
    if not found:
        raise DataError(f"{name}: has no column of classes; its columns are {', '.join(part.column_names)}.")
    return str(found[0])


def _classes(parts: dict[str, Any], label: str) -> tuple[list[str], dict[str, list[int]]]:
    """Return the classes that training images have, and each part's images' classes by number."""
    values = {key: [str(v) for v in part[label]] for key, part in parts.items()}
    names = getattr(parts["train"].features[label], "names", None)
    if names is not None:
        values = {
            key: [str(names[int(v)]) if int(v) >= 0 else "" for v in each] for key, each in values.items()
        }
    present = set(values["train"])
    order = [n for n in names if n in present] if names is not None else sorted(present, key=numbers_first)
    if unknown := [(key, v) for key, each in values.items() for v in each if v not in present]:
        key, value = unknown[0]
        raise DataError(f"{key} has images of class {value!r}, which train has not, or that have no class.")
    place = {name: number for number, name in enumerate(order)}
    return order, {key: [place[v] for v in each] for key, each in values.items()}


def _metadata(part: Any, label: str) -> pd.DataFrame | None:
    """Return as text what a data set says of its images beside their class: its columns of single values."""
    plain = [
        key for key, feature in part.features.items() if type(feature).__name__ in ("Value", "ClassLabel")
    ]
    said = {METADATA + key: [str(value) for value in part[key]] for key in plain if key != label}
    return pd.DataFrame(said) if said else None


def _reader(part: Any, image: str) -> Any:
    return lambda position: part[int(position)][image]
