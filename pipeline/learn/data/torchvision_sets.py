"""torchvision's classification sets, by name: one table, one way to read them all."""

import os
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from pipeline.errors import DataError, one_line
from pipeline.learn.data.contents import Contents, Files, Part, clean_name
from pipeline.learn.data.download import refuse_offline
from pipeline.learn.data.folder import files_below

READY = ".headstart-ready"  # written once torchvision found its files whole
BY_HAND_ONLY = frozenset({"ImageNet"})  # its licence allows no download
ARCHIVES = (".zip", ".tar", ".gz", ".tgz", ".bz2", ".xz", ".7z", ".rar")


@dataclass(frozen=True)
class TorchvisionSet:
    """The class in ``torchvision.datasets``, and what it must be given for each part."""

    name: str
    class_name: str
    parts: dict[str, dict[str, Any]]

    def contents(self, data_dir: str) -> Contents:
        """Return the data set, which torchvision downloads if it is not below ``data_dir`` yet.

        Raises DataError when it cannot be had.
        """
        root = Path(data_dir) / self.name
        datasets = {part: self._open(root, options) for part, options in self.parts.items()}
        with suppress(OSError):  # a folder that may only be read
            (root / READY).touch()
        targets = {part: _targets(dataset) for part, dataset in datasets.items()}
        count = 1 + max(int(labels.max()) for labels in targets.values())
        return Contents(
            self.name,
            str(root),
            f"torchvision.datasets.{self.class_name}",
            _class_names(next(iter(datasets.values())), count),
            {part: _part(dataset, targets[part]) for part, dataset in datasets.items()},
        )

    def files(self, data_dir: str) -> Files:
        """Return all files of the set but archives that have been unpacked; see ``contents``."""
        if not (Path(data_dir) / self.name / READY).is_file():
            self.contents(data_dir)
        root = os.path.abspath(Path(data_dir) / self.name)  # noqa: PTH100 (links stay as they are)
        files = [(clean_name(path[len(root) + 1 :]), path) for path in files_below(root)]
        return [file for file in files if not file[0].lower().endswith(ARCHIVES)] or files

    def _open(self, root: Path, options: dict[str, Any]) -> Any:
        from torchvision import datasets  # takes seconds: only when such a set is asked for

        make = getattr(datasets, self.class_name)
        download = {"download": False} if self.class_name not in BY_HAND_ONLY else {}
        try:
            root.mkdir(parents=True, exist_ok=True)
            try:
                return make(str(root), **options, **download)
            except (RuntimeError, OSError):  # this is how torchvision says that files are missing
                if not download:
                    raise
                refuse_offline(
                    str(root), f"torchvision.datasets.{self.class_name}", "Put its files there by hand"
                )
                return make(str(root), **options, download=True)
        except DataError:
            raise
        except Exception as error:  # noqa: BLE001 (mirrors, archives and formats fail in every way)
            raise DataError(
                f"{root}: torchvision.datasets.{self.class_name} cannot be had: "
                f"{one_line(error, 160).rstrip('.')}. Try again later, or put its files there by hand."
            ) from None


def _part(dataset: Any, targets: np.ndarray) -> Part:
    return Part(targets, lambda position: _image(dataset[position][0]))


def _image(image: Any) -> Image.Image:
    return image if isinstance(image, Image.Image) else Image.fromarray(np.asarray(image))


def _targets(dataset: Any) -> np.ndarray:
    """Return the class of each image, int64 [n], from whichever attribute holds it."""
    for attribute in ("targets", "labels", "_labels", "y", "samples", "_samples"):
        values = getattr(dataset, attribute, None)
        if values is not None and len(values) == len(dataset):
            if isinstance(values, Sequence) and isinstance(values[0], tuple):
                values = [value[-1] for value in values]
            labels = np.asarray(values)
            if labels.dtype.kind in "iu":
                return (labels if labels.ndim == 1 else labels[:, 0]).astype(np.int64)
    return np.array([int(dataset[position][1]) for position in range(len(dataset))], dtype=np.int64)


def _class_names(dataset: Any, count: int) -> list[str]:
    names = getattr(dataset, "classes", None) or getattr(dataset, "categories", None)
    if names is None or len(names) != count:
        return [str(label) for label in range(count)]
    return [clean_name(name if isinstance(name, str) else name[0]) for name in names]


_FLAG = {"train": {"train": True}, "test": {"train": False}}
_SPLIT = {"train": {"split": "train"}, "test": {"split": "test"}}
_THREE = {"train": {"split": "train"}, "val": {"split": "val"}, "test": {"split": "test"}}
_WHOLE: dict[str, dict[str, Any]] = {"train": {}}
_TABLE: dict[str, tuple[str, dict[str, dict[str, Any]]]] = {
    "caltech101": ("Caltech101", _WHOLE),
    "caltech256": ("Caltech256", _WHOLE),
    "country211": ("Country211", _THREE | {"val": {"split": "valid"}}),
    "dtd": ("DTD", _THREE),
    "emnist": ("EMNIST", {part: {"split": "balanced"} | flag for part, flag in _FLAG.items()}),
    "eurosat": ("EuroSAT", _WHOLE),
    "fashion_mnist": ("FashionMNIST", _FLAG),
    "fgvc_aircraft": ("FGVCAircraft", _THREE),
    "flowers102": ("Flowers102", _THREE),
    "food101": ("Food101", _SPLIT),
    "gtsrb": ("GTSRB", _SPLIT),
    "imagenet": ("ImageNet", {"train": {"split": "train"}, "test": {"split": "val"}}),
    "imagenette": ("Imagenette", {"train": {"split": "train"}, "test": {"split": "val"}}),
    "kmnist": ("KMNIST", _FLAG),
    "mnist": ("MNIST", _FLAG),
    "oxford_iiit_pet": ("OxfordIIITPet", {"train": {"split": "trainval"}, "test": {"split": "test"}}),
    "pcam": ("PCAM", _THREE),
    "places365": ("Places365", {"train": {"split": "train-standard"}, "test": {"split": "val"}}),
    "qmnist": ("QMNIST", _FLAG),
    "rendered_sst2": ("RenderedSST2", _THREE),
    "semeion": ("SEMEION", _WHOLE),
    "stanford_cars": ("StanfordCars", _SPLIT),
    "stl10": ("STL10", _SPLIT),
    "sun397": ("SUN397", _WHOLE),
    "svhn": ("SVHN", _SPLIT),
    "usps": ("USPS", _FLAG),
}
SETS = {name: TorchvisionSet(name, *entry) for name, entry in _TABLE.items()}
