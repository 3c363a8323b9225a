"""What can be measured of each image: file, size, light, colour, sharpness; one row an image.

Light, colour and sharpness are of the squares that the networks' images are made from, so what a
network cannot see does not count; width, height and type are those of the file.
"""

# No result depends on this module: it is no part of a run's identity.

import hashlib
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from pipeline.files import DAMAGE, cache_folder, digest, made_again, replacing
from pipeline.learn.data.decode import native_size, open_image, strict_pillow
from pipeline.learn.data.images import ImageData, Split
from pipeline.record import IMAGE_COLUMNS

LUMA = (0.299, 0.587, 0.114)  # ITU-R BT.601
LEVELS = {"level_01": 0.01, "level_05": 0.05, "level_50": 0.5, "level_95": 0.95, "level_99": 0.99}
AT_ONCE = 256
VERSION = 1  # raise when something is measured in another way, so that older tables are not used


def table(images: ImageData) -> pd.DataFrame:
    """Return a row for each image of all splits: ``record.IMAGE_COLUMNS``, then its metadata.

    Measured once for each data set; later runs read what was kept.
    """
    whole = images.whole
    splits: dict[str, Split] = {"train": whole.train, "val": whole.val, "test": whole.test}
    named = pd.concat([_named(name, split) for name, split in splits.items()], ignore_index=True)
    stored = [[name, len(split), *split.stored] for name, split in splits.items()]
    path = cache_folder("images") / f"{digest([VERSION, images.info.fingerprint, stored])[:24]}.parquet"
    measured = _kept(path, len(named))
    if measured is None:
        parts = [pd.concat([_of_pixels(s.pixels), _of_files(s)], axis=1) for s in splits.values()]
        measured = pd.concat(parts, ignore_index=True)
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path, "wb") as file:
            measured.to_parquet(file, index=False)
    extra = [s.metadata for s in splits.values() if s.metadata is not None]
    metadata = [pd.concat(extra, ignore_index=True)] if extra else []
    return pd.concat([pd.concat([named, measured], axis=1)[list(IMAGE_COLUMNS)], *metadata], axis=1)


def _kept(path: Path, rows: int) -> pd.DataFrame | None:
    with made_again(path, *DAMAGE):
        found = pd.read_parquet(path)
        return found if len(found) == rows else None
    return None


def _named(name: str, split: Split) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "split": name,
            "index": split.index.astype(np.int64),
            "target": split.targets.cpu().numpy().astype(np.int64),
            "file": list(split.files) if len(split.files) else "",
            "group": list(split.groups) if len(split.groups) else "",
        }
    )


def _of_pixels(pixels: Tensor) -> pd.DataFrame:
    """Measure uint8 [n, S, S, 3]; light and colour are fractions, sharpness has no unit."""
    blocks = [_block(block.cpu()) for block in pixels.split(AT_ONCE)]
    keys = [hashlib.blake2b(i.data, digest_size=12).hexdigest() for i in _each(pixels)]
    return pd.concat(blocks, ignore_index=True).assign(pixels=keys)


def _each(pixels: Tensor) -> Iterator[np.ndarray]:
    for block in pixels.split(AT_ONCE):
        yield from block.cpu().contiguous().numpy()


def _block(pixels: Tensor) -> pd.DataFrame:
    values = pixels.float() / 255
    grey = values @ torch.tensor(LUMA)
    flat = grey.flatten(1)
    levels = torch.from_numpy(np.quantile(flat.numpy(), list(LEVELS.values()), axis=1))
    red, green, blue = values.flatten(1, 2).mean(1).T
    edges = 4 * grey[:, 1:-1, 1:-1] - grey[:, :-2, 1:-1] - grey[:, 2:, 1:-1]
    edges = edges - grey[:, 1:-1, :-2] - grey[:, 1:-1, 2:]
    measured = {
        "brightness": flat.mean(1),
        **dict(zip(LEVELS, levels, strict=True)),
        "red_cast": red - green,
        "blue_cast": blue - green,
        "contrast": flat.std(1),
        "sharpness": edges.flatten(1).std(1) / (flat.std(1) + 0.01),
    }
    return pd.DataFrame({name: value.numpy().astype(np.float32) for name, value in measured.items()})


def _of_files(split: Split) -> pd.DataFrame:
    """Return width and height in pixels (0: not known), type and last number of each file's name."""
    sizes = np.zeros((len(split), 2), np.int64)
    if split.paths:
        with strict_pillow(), ThreadPoolExecutor(4) as pool:
            sizes = np.array(list(pool.map(_size, split.paths)), np.int64).reshape(-1, 2)
    names = [Path(file) for file in split.files] or [Path()] * len(split)
    return pd.DataFrame(
        {
            "width": sizes[:, 1],
            "height": sizes[:, 0],
            "file_type": [name.suffix.lower().lstrip(".") for name in names],
            "file_number": [_number(name.stem) for name in names],
        }
    )


def _size(path: str) -> tuple[int, int]:
    try:
        with open_image(path) as image:
            return native_size(image)
    except Exception:  # noqa: BLE001 (Pillow's readers fail in every possible way)
        return 0, 0


def _number(stem: str) -> float:
    """Return the last number in a file's name; none is no number."""
    found = re.findall(r"\d+", stem)
    return float(found[-1][-15:]) if found else float("nan")
