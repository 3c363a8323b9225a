"""How many planted faults an audit finds, and how many of its findings are planted.

``python -m bench.audit [DRAWS]`` prints it: images of CIFAR-10 (JPEG), ``WRONG`` labels moved to another
class at random, and ``COPIES`` images planted again under another name: in the other split, in another class,
or beside the first, in turn; byte for byte, stored anew without loss, or compressed, brighter and a pixel
aside. CIFAR-10's own errors and copies count as wrong findings.
"""

import random
import shutil
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
from PIL import Image, ImageChops

from bench.images import cifar10_jpeg
from pipeline import audit, suspects
from pipeline.experiment import Experiment

EACH = {"train": 150, "test": 50}  # images of each class
WRONG, COPIES, DRAWS = 60, 40, 3
PLACES = ("split", "class", "name")  # what a copy differs in
WAYS = ("bytes", "lossless", "changed")
ORIGINAL = r"(?:those of|picture as) (.+) \(\w+, \w+\)$"  # in what an audit says of a copy
PARAMS = "dataset: image_folder\ndata_dir: {data}\nimage_size: 32\nmodels: [custom_cnn]\n"


@dataclass(frozen=True)
class Planted:
    """Files whose labels are wrong, and of each copy its original and how it was made, by name."""

    wrong: frozenset[str]
    copies: dict[str, tuple[str, str, str]]


@dataclass(frozen=True)
class Found:
    """How many of the ``planted`` faults are ``found``, among how many findings of that kind."""

    planted: int
    found: int
    findings: int


def plant(data: Path, seed: int, wrong: int = WRONG, copies: int = COPIES) -> Planted:
    """Plant faults in a folder of train/<class>/* and test/<class>/*, and tell where they are."""
    draw = random.Random(seed)
    files = sorted(path for path in data.rglob("*") if path.is_file())
    chosen = draw.sample(files, wrong + copies)
    labels = sorted(folder.name for folder in (data / "train").iterdir())
    others = {label: [k for k in labels if k != label] for label in labels}
    moved = [_moved(path, draw.choice(others[path.parent.name])) for path in chosen[:wrong]]
    planted = {}
    for number, path in enumerate(chosen[wrong:]):
        place, way = PLACES[number % len(PLACES)], WAYS[number // len(PLACES) % len(WAYS)]
        split, label = path.parent.parent.name, path.parent.name
        if place == "split":
            split = "train" if split == "test" else "test"
        elif place == "class":
            label = draw.choice(others[label])
        copy = _copied(path, data / split / label / f"copy-{number:02}", way)
        planted[copy.relative_to(data).as_posix()] = (path.relative_to(data).as_posix(), place, way)
    return Planted(frozenset(path.relative_to(data).as_posix() for path in moved), planted)


def _moved(path: Path, label: str) -> Path:
    return path.rename(path.parent.parent / label / f"moved-{path.parent.name}-{path.name}")


def _copied(path: Path, target: Path, way: str) -> Path:
    if way == "bytes":
        return Path(shutil.copyfile(path, target.with_suffix(path.suffix)))
    with Image.open(path) as image:
        if way == "lossless":
            image.save(target.with_suffix(".png"))
            return target.with_suffix(".png")
        brighter = [min(255, round(1.08 * level)) for level in range(256)] * len(image.getbands())
        shifted = ImageChops.offset(image.point(brighter), 1, 0)
        shifted.save(target.with_suffix(".jpg"), quality=80)
    return target.with_suffix(".jpg")


def score(found: pd.DataFrame, planted: Planted) -> dict[str, Found]:
    """Return what an audit's table found of the planted faults: wrong labels, and copies by how they differ.

    A copy in another class has a wrong label too, so doubting that label is neither right nor wrong here.
    """
    doubted = set(found["file"][found["reason"] == "label_error"])
    doubted -= {copy for copy, (_, place, _) in planted.copies.items() if place == "class"}
    scores = {"wrong labels": Found(len(planted.wrong), len(doubted & planted.wrong), len(doubted))}
    rows = found[found["reason"].isin(("exact_copy", "near_copy"))]
    others = rows["evidence"].str.extract(ORIGINAL, expand=False)
    pairs = {frozenset(pair) for pair in zip(rows["file"], others, strict=True)}
    true = {frozenset((copy, original)): how for copy, (original, *how) in planted.copies.items()}
    scores["copies"] = Found(len(true), len(pairs & true.keys()), len(pairs))
    for name in (*PLACES, *WAYS):
        those = {pair for pair, how in true.items() if name in how}
        scores[f"copies: {name}"] = Found(len(those), len(those & pairs), 0)
    return scores


def draw(seed: int, folder: Path) -> dict[str, Found]:
    """Plant faults in other images for each seed, audit them, and return what was found."""
    data = _images(folder / "data", seed)
    planted = plant(data, seed)
    params = folder / f"draw{seed}.yaml"
    params.write_text(PARAMS.format(data=data), encoding="utf-8")
    found = audit.audit(Experiment.from_yaml(params), folder / "report", lambda _: None)
    assert tuple(found.columns) == suspects.COLUMNS
    return score(found, planted)


def _images(target: Path, seed: int) -> Path:
    source, chosen = cifar10_jpeg(), random.Random(-1 - seed)
    for split, count in EACH.items():
        for label in sorted(folder.name for folder in (source / split).iterdir()):
            (target / split / label).mkdir(parents=True)
            for path in chosen.sample(sorted((source / split / label).iterdir()), count):
                shutil.copyfile(path, target / split / label / path.name)
    return target


def table(draws: Sequence[dict[str, Found]]) -> str:
    """Return what all draws found together, and each alone, as a Markdown table."""
    lines = ["| planted | found | of findings | each draw |", "|---|---:|---:|---|"]
    for name in draws[0]:
        each = [one[name] for one in draws]
        planted, found, findings = (
            sum(getattr(one, key) for one in each) for key in ("planted", "found", "findings")
        )
        share = f"{100 * found / findings:.0f} % of {findings}" if findings else ""
        alone = ", ".join(f"{one.found} of {one.planted}" for one in each)
        lines.append(f"| {name} | {found} of {planted} ({100 * found / planted:.0f} %) | {share} | {alone} |")
    return "\n".join(lines)


def main() -> None:
    """Print what was found in all draws."""
    found = []
    for seed in range(int(sys.argv[1]) if len(sys.argv) > 1 else DRAWS):
        with tempfile.TemporaryDirectory(prefix="headstart-bench-") as folder:
            found.append(draw(seed, Path(folder)))
    print(table(found))


if __name__ == "__main__":
    main()
