"""How often clean images are accused of a shortcut, and how often a planted one is found.

``python -m bench.shortcuts [STUDIES [SEED]]`` prints both.

Made tables of properties, as a run measures them; nothing is drawn, read or trained. In each kind of set
no property says anything of the class, beyond chance.
"""

import sys
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from itertools import product

import numpy as np
import pandas as pd

from pipeline.report.evidence.interval import wilson
from pipeline.report.evidence.shortcuts import LEAST, LIGHT, Shortcut, shortcuts

CLASSES, IMAGES = (2, 3, 5, 10), (50, 100, 300, 1000, 2000)
STUDIES = 200  # of each kind, spread over all numbers of classes and images
BRIGHTER = (0.0, 0.06, 0.12, 0.18, 0.24)  # of white, in deviations of 0.12 between images: 0 to 2


def made(
    seed: int, images: int = 500, classes: int = 5, group: int = 1, weights: np.ndarray | None = None
) -> pd.DataFrame:
    """Return images whose properties have nothing to do with their classes, ``group`` of them alike.

    ``weights`` are the shares of classes, alike without it.
    """
    random = np.random.default_rng(seed)
    count = -(-images // group)
    target = random.permutation(np.arange(count) % classes)
    if weights is not None:
        target = random.choice(classes, count, p=weights)
    light = np.repeat(random.normal(0.5, 0.12, count), group)
    rows = len(light)
    columns = {name: light + 0.1 * k + random.normal(0, 0.02, rows) for k, name in enumerate(LIGHT)}
    return pd.DataFrame(
        {
            "target": np.repeat(target, group),
            "group": np.repeat([f"g{i}" for i in range(count)], group),
            "width": random.integers(100, 200, rows),
            "height": random.integers(100, 200, rows),
            "file_type": random.choice(["jpg", "png"], rows),
            "file_number": random.permutation(rows).astype(float),
            "red_cast": random.normal(size=rows),
            "blue_cast": random.normal(size=rows),
            "sharpness": random.normal(size=rows),
            **columns,
        }
    )


def drifting(seed: int, images: int, classes: int) -> pd.DataFrame:
    """Return images that grow brighter and larger with the number of their file, whatever their class."""
    table = made(seed, images, classes)
    place = table["file_number"] / len(table) - 0.5
    table[list(LIGHT)] = table[list(LIGHT)].add(0.5 * place, axis=0)
    return table.assign(
        width=table["width"] + (200 * place).astype(int), sharpness=table["sharpness"] + place
    )


def unequal(seed: int, images: int, classes: int) -> pd.DataFrame:
    """Return classes of unlike sizes, the largest ten times the smallest; files are numbered over all."""
    weights = np.geomspace(10, 1, classes)
    return made(seed, images, classes, weights=weights / weights.sum())


def numbered_by_class(seed: int, images: int, classes: int) -> pd.DataFrame:
    """Return classes of unlike sizes whose files are numbered from 1 in each class's folder."""
    table = unequal(seed, images, classes)
    return table.assign(file_number=table.groupby("target").cumcount() + 1.0)


def in_tens(seed: int, images: int, classes: int) -> pd.DataFrame:
    """Return groups of ten images that are alike in light, and of one class."""
    return made(seed, images, classes, group=10)


KINDS: dict[str, Callable[[int, int, int], pd.DataFrame]] = {
    "classes alike": made,
    "light, size and blur drift with the file number": drifting,
    "classes of unlike sizes": unequal,
    "unlike sizes, numbered from 1 in each class": numbered_by_class,
    "groups of ten": in_tens,
}


@dataclass(frozen=True)
class Draw:
    """One made set: its kind, its seed, and how much brighter its first class is."""

    kind: str
    seed: int
    images: int
    classes: int
    brighter: float = 0.0


def asked(draw: Draw) -> list[Shortcut]:
    """Return what the report would say of a made set."""
    table = KINDS[draw.kind](draw.seed, draw.images, draw.classes)
    table.loc[table["target"] == 0, list(LIGHT)] += draw.brighter
    names = [f"class {k}" for k in range(draw.classes)]
    return shortcuts(table, names, grouped=draw.kind == "groups of ten")


def accused(draw: Draw) -> tuple[bool, bool]:
    """Return whether any property of a made set is called a shortcut, and whether any p is below 5 %."""
    found = asked(draw)
    return any(one.found for one in found), any(one.p < 0.05 for one in found)


def found(draw: Draw) -> bool:
    """Return whether the planted brightness is called a shortcut."""
    return any(one.found and one.property == "brightness" for one in asked(draw))


def clean(kind: str, studies: int, first_seed: int) -> list[Draw]:
    """Return made sets without a shortcut, of every number of images and classes that can be asked."""
    sizes = [(c, n) for c, n in product(CLASSES, IMAGES) if n >= LEAST * c]
    return [
        Draw(kind, first_seed + i, sizes[i % len(sizes)][1], sizes[i % len(sizes)][0]) for i in range(studies)
    ]


def planted(brighter: float, images: int, studies: int, first_seed: int) -> list[Draw]:
    """Return made sets of five classes of which the first is that much brighter."""
    return [Draw("classes alike", first_seed + i, images, 5, brighter) for i in range(studies)]


def main(studies: int = STUDIES, first_seed: int = 10_000) -> None:
    """Print both tables."""
    with ProcessPoolExecutor(2) as pool:
        print("| clean sets | accused | 95 % interval | any p below 5 % |\n|---|---|---|---|")
        for kind in KINDS:
            answers = np.array(list(pool.map(accused, clean(kind, studies, first_seed), chunksize=10)))
            low, high = wilson(int(answers[:, 0].sum()), studies)
            share, any_p = answers.mean(0)
            print(f"| {kind} | {share:.1%} | {low:.1%} to {high:.1%} | {any_p:.1%} |", flush=True)
        print("\n| one of five classes brighter by | images | found |\n|---|---|---|")
        for brighter, images in product(BRIGHTER, (100, 500, 2000)):
            draws = planted(brighter, images, studies // 4, first_seed)
            share = np.mean(list(pool.map(found, draws, chunksize=10)))
            print(f"| {brighter / 0.12:.1f} deviations | {images:,} | {share:.0%} |")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
