"""CIFAR-10 as 60,000 JPEG files: ``train/<class>/*.jpg`` and ``test/<class>/*.jpg``."""

import shutil
import sys
import zipfile
from collections.abc import Mapping
from pathlib import Path

from bench.measuring import Options, SkippedError

FOLDER = Path("data/cifar10-jpeg")
ARCHIVE = Path("../shared/data/cifar10-jpeg.zip")
SOME = {"train": 300, "test": 100}  # images of each class


def cifar10_jpeg() -> Path:
    """Return the folder, unpacked first from the archive where there is one.

    Raises SkippedError when there is neither.
    """
    if not (FOLDER / "train").is_dir():
        if not ARCHIVE.is_file():
            raise SkippedError(
                f"{FOLDER}: no JPEG CIFAR-10 here. Put its folders train/<class> and test/<class> there "
                "(README says where they come from), and run again."
            )
        print(f"  unpacks {ARCHIVE} to {FOLDER}", file=sys.stderr, flush=True)
        _unpack()
    return FOLDER


def for_options(options: Options) -> Path:
    """Return the folder to measure on, absolute: that of all images, or a new one of some of them.

    Raises SkippedError as ``cifar10_jpeg`` does.
    """
    folder = some_of_them(options.folder / "images", SOME) if options.quick else cifar10_jpeg()
    return folder.absolute()


def some_of_them(target: Path, counts: Mapping[str, int]) -> Path:
    """Copy the first images of each class of each split to a new folder.

    Raises SkippedError as ``cifar10_jpeg`` does.
    """
    source = cifar10_jpeg()
    for split, count in counts.items():
        for folder in sorted((source / split).iterdir()):
            copy = target / split / folder.name
            copy.mkdir(parents=True)
            for file in sorted(folder.iterdir())[:count]:
                shutil.copyfile(file, copy / file.name)
    return target


def _unpack() -> None:
    partial = FOLDER.with_name(f".{FOLDER.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    with zipfile.ZipFile(ARCHIVE) as archive:
        archive.extractall(partial)
    shutil.rmtree(FOLDER, ignore_errors=True)
    partial.rename(FOLDER)
