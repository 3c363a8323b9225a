"""``python -m bench.growth``: seconds and memory against images and classes, for training, features, report.

Each study has made-up images of 32 pixels, as PNG files in folders, a fifth of them test: one epoch of
custom_cnn, one pass of a frozen efficientnet_lite0 with one epoch of its head, and the report of both. The
first row of each kind is what its others are compared with. Writes ``growth.md`` and ``growth.json``.
"""

import argparse
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from PIL import Image

from bench import results
from bench.measuring import say
from bench.overhead import headstart
from pipeline.files import write_json
from pipeline.record import RunRecord

SIZES = {"images": (1_000, 10_000, 50_000), "classes": (10, 100, 1_000)}
# Calls a command and writes down the memory of its largest process. A process begins with that of the one
# that starts it: this one is small.
LARGEST = """
import resource, subprocess, sys
subprocess.run(sys.argv[1:], check=True)
open("largest", "w").write(str(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss))
"""
QUICK = {"images": (200, 400), "classes": (4, 20)}
STUDY: dict[str, Any] = {
    "dataset": "image_folder",
    "data_dir": "images",
    "epochs": 1,
    "image_size": 32,
    "models": [{"model": "custom_cnn"}, {"model": "efficientnet_lite0", "mode": "linear_probe"}],
}
Row = dict[str, Any]


def cases(quick: bool) -> Iterator[tuple[int, int]]:
    """Yield images and classes of each study: each number of one with the middle of the other."""
    sizes = QUICK if quick else SIZES
    middle = {name: values[len(values) // 2] for name, values in sizes.items()}
    yield from dict.fromkeys(
        [
            *((images, sizes["classes"][0]) for images in sizes["images"]),
            *((middle["images"], classes) for classes in sizes["classes"]),
        ]
    )


def measured(images: int, classes: int) -> list[Row]:
    """Make one study; return a row for each of training, features and report."""
    with tempfile.TemporaryDirectory(prefix="headstart-growth-") as name:
        folder = Path(name)
        write_images(folder / "images", images, classes)
        (folder / "study.yaml").write_text(yaml.safe_dump(STUDY), encoding="utf-8")
        headstart("run", folder / "study.yaml")
        found = [RunRecord.read(path.parent).details for path in folder.glob("runs/*/record.json")]
        timings = {run.settings.mode: run.timings for run in found}
        own, probe = timings["scratch"], timings["linear_probe"]
        assert own is not None
        assert probe is not None
        seconds, memory = report(folder / "study.yaml")
    common = {"images": images, "classes": classes}
    return [
        {"what": "training", **common, "seconds": own.train_seconds, "memory": own.peak_memory_bytes},
        {"what": "features", **common, "seconds": probe.feature_seconds, "memory": probe.peak_memory_bytes},
        {"what": "report", **common, "seconds": seconds, "memory": memory},
    ]


def report(params: Path) -> tuple[float, int]:
    """Return the seconds of a report whose runs are whole, and the memory of its largest process."""
    seconds = headstart("render", params, through=(sys.executable, "-c", LARGEST))
    unit = 1 if sys.platform == "darwin" else 1024
    return seconds, int((params.parent / "largest").read_text(encoding="utf-8")) * unit


def write_images(folder: Path, images: int, classes: int) -> None:
    """Write made-up images, each class with a colour of its own and noise, a fifth of them test."""
    random = np.random.default_rng(0)
    colours = random.integers(0, 256, (classes, 1, 1, 3))
    for number in range(images):
        label = number % classes
        place = folder / ("test" if number // classes % 5 == 0 else "train") / f"class-{label:04}"
        place.mkdir(parents=True, exist_ok=True)
        pixels = np.clip(colours[label] + random.normal(0, 60, (32, 32, 3)), 0, 255)
        Image.fromarray(pixels.astype(np.uint8)).save(place / f"{number:06}.png")


def table(rows: Sequence[Row]) -> str:
    """Return the rows as Markdown, each beside what it is of the first of its kind."""
    lines = [
        "| what | images | classes | seconds | of the first | peak memory | of the first |",
        "|---|---:|---:|---:|---:|---:|---:|",
    ]
    for row in rows:
        first = next(r for r in rows if r["what"] == row["what"])
        times = [row[key] / first[key] for key in ("seconds", "memory")]
        lines.append(
            f"| {row['what']} | {row['images']:,} | {row['classes']:,} | {row['seconds']:.1f} "
            f"| {times[0]:.2g} × | {row['memory'] / 1e6:,.0f} MB | {times[1]:.2g} × |"
        )
    return "\n".join(lines) + "\n"


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure every case, and write down what came out after each."""
    parser = argparse.ArgumentParser(prog="python -m bench.growth", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="small numbers: minutes")
    parser.add_argument("--output", type=Path, default=results.FOLDER, help="folder of growth.md")
    given = parser.parse_args(arguments)
    given.output.mkdir(parents=True, exist_ok=True)
    rows: list[Row] = []
    for images, classes in cases(given.quick):
        rows += say(f"{images:,} images, {classes:,} classes", lambda n=images, c=classes: measured(n, c))
        ordered = sorted(rows, key=lambda row: row["what"])
        write_json(given.output / "growth.json", {"about": results.about(), "rows": ordered})
        (given.output / "growth.md").write_text(table(ordered), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
