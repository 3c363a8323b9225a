"""Small image files for tests: every pixel chosen, nothing fetched."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from PIL import Image


def picture(seed: int, size: tuple[int, int] = (16, 16)) -> Image.Image:
    """Return a smooth random RGB image, ``size`` as width and height."""
    coarse = np.random.RandomState(seed).randint(0, 256, (4, 4, 3), dtype=np.uint8)
    return Image.fromarray(coarse).resize(size, Image.Resampling.BICUBIC)


def write_classes(folder: Path, counts: Mapping[str, int], size: tuple[int, int] = (16, 16)) -> Path:
    """Write ``<class>/<number>.png`` files, no two alike, and return the folder."""
    for label, (name, count) in enumerate(counts.items()):
        (folder / name).mkdir(parents=True)
        for number in range(count):
            seed = 1000 * label + number + sum(map(ord, folder.name))
            picture(seed, size).save(folder / name / f"{number:03}.png")
    return folder
