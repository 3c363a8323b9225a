"""Images worth a person's look, as a table that one opens beside the folder: ``suspects.csv``.

Rules that need no network stand here, so that a run's record and ``headstart audit`` say the same.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from pipeline.files import replacing

Image = Any  # a row of a record's images

COLUMNS = ("file", "split", "label", "reason", "evidence", "suggestion")
REASONS = {
    "label_error": "another class is much more probable, by a network that did not learn from the image",
    "exact_copy": "all pixels are those of another image",
    "near_copy": "one picture with another image, up to brightness, contrast, compression and a small shift",
    "unreadable": "the file cannot be read as an image",
    "dark": "even its brightest hundredth is dark",
    "bright": "nearly all of it is white",
    "blurred": "far less sharp than the other images",
    "odd_size": "its size or shape is far from that of the others",
}
DARK, BRIGHT = 0.32, 0.92  # grey levels as fractions: of the brightest hundredth, of the darkest twentieth
FAR = 3.0  # interquartile ranges beyond the quartiles
SLACK = np.log(1.5)  # sizes, shapes that differ by less are not odd, whatever the others do
USUAL = 0.1  # share of images: what so many have is how these images are


def table(rows: Iterable[dict[str, str]]) -> pd.DataFrame:
    """Return suspects as a table in the order of ``REASONS``."""
    return in_order(pd.DataFrame(list(rows), columns=list(COLUMNS)))


def in_order(found: pd.DataFrame) -> pd.DataFrame:
    """Return suspects in the order of ``REASONS``."""
    order = {reason: number for number, reason in enumerate(REASONS)}
    return found.sort_values("reason", key=lambda column: column.map(order), kind="stable", ignore_index=True)


def write(path: Path, suspects: pd.DataFrame) -> None:
    """Write suspects.csv, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as file:
        suspects.to_csv(file, index=False)


def row(image: Image, classes: Sequence[str], reason: str, evidence: str, suggestion: str) -> dict[str, str]:
    """Return one line about an image, which is a row of a record's images."""
    label = classes[int(image["target"])]
    return {
        "file": name_of(image),
        "split": str(image["split"]),
        "label": label,
        "reason": reason,
        "evidence": evidence,
        "suggestion": suggestion,
    }


def name_of(image: Image) -> str:
    """Return an image's file, or where it stands in its split when it has none."""
    return str(image["file"]) or f"{image['split']} image {image['index']}"


def copies(
    images: pd.DataFrame, classes: Sequence[str], reason: str, pairs: dict[int, int]
) -> list[dict[str, str]]:
    """Return a line for each copy; ``pairs`` give its row in ``images`` and that of its original."""
    found = []
    for copy, original in sorted(pairs.items()):
        one, other = images.iloc[copy], images.iloc[original]
        same = "all pixels equal those of" if reason == "exact_copy" else "the same picture as"
        evidence = f"{same} {name_of(other)} ({other['split']}, {classes[int(other['target'])]})"
        found.append(row(one, classes, reason, evidence, _mend(one, other, classes)))
    return found


def _mend(one: Image, other: Image, classes: Sequence[str]) -> str:
    if one["target"] != other["target"]:
        labels = [classes[int(image["target"])] for image in (one, other)]
        return f"decide which class is right, {labels[0]} or {labels[1]}; keep one"
    if one["split"] != other["split"]:
        return f"remove it from {one['split']} or its original from {other['split']}"
    return "keep one of the two"


def exact_pairs(images: pd.DataFrame) -> dict[int, int]:
    """Return row and row of the original of each image whose pixels another one has; plain ones are none."""
    plain = images["contrast"].to_numpy() < 1e-3
    first = images.reset_index(drop=True).groupby("pixels", sort=False).ngroup()
    original = pd.Series(np.arange(len(images))).groupby(first.to_numpy()).transform("first").to_numpy()
    rows = np.flatnonzero((original != np.arange(len(images))) & ~plain)
    return {int(r): int(original[r]) for r in rows}


def by_looks(images: pd.DataFrame, classes: Sequence[str]) -> list[dict[str, str]]:
    """Return a line for each image that is dark, bright, blurred or of an odd size."""
    found = []
    for reason, chosen, evidence, suggestion in (
        _dark(images),
        _bright(images),
        _blurred(images),
        _odd(images),
    ):
        if chosen.mean() > USUAL:
            continue
        for place in np.flatnonzero(chosen):
            found.append(row(images.iloc[place], classes, reason, evidence[int(place)], suggestion))
    return found


Looks = tuple[str, np.ndarray, Sequence[str], str]


def _dark(images: pd.DataFrame) -> Looks:
    level = images["level_99"].to_numpy()
    said = [f"99 of 100 pixels are darker than {100 * v:.0f} % of white" for v in level]
    return "dark", level < DARK, said, "look whether anything can be seen; remove or replace it"


def _bright(images: pd.DataFrame) -> Looks:
    level = images["level_05"].to_numpy()
    said = [f"95 of 100 pixels are brighter than {100 * v:.0f} % of white" for v in level]
    return "bright", level > BRIGHT, said, "look whether anything can be seen; remove or replace it"


def _blurred(images: pd.DataFrame) -> Looks:
    sharp = np.log(images["sharpness"].to_numpy(float) + 1e-3)
    low, _ = _fences(sharp, 0.0)
    typical = float(np.exp(np.median(sharp))) if len(sharp) else 1.0
    said = [
        f"its edges have {100 * np.exp(v) / typical:.0f} % of the sharpness of the typical image"
        for v in sharp
    ]
    return (
        "blurred",
        (sharp < low) & (images["contrast"].to_numpy() > 0.02),
        said,
        "look whether it can be told; remove or replace it",
    )


def _odd(images: pd.DataFrame) -> Looks:
    width, height = (images[name].to_numpy(float) for name in ("width", "height"))
    known = (width > 0) & (height > 0)
    if known.sum() < 2:
        return "odd_size", np.zeros(len(images), bool), [], ""
    side = np.log(np.sqrt(np.where(known, width * height, 1)))
    shape = np.log(np.where(known, width, 1) / np.where(known, height, 1))
    odd = np.zeros(len(images), bool)
    for values in (side, shape):
        low, high = _fences(values[known], SLACK)
        odd |= known & ((values < low) | (values > high))
    usual = f"{np.median(width[known]):.0f} × {np.median(height[known]):.0f}"
    said = [f"{w:.0f} × {h:.0f} pixels; typical are {usual}" for w, h in zip(width, height, strict=True)]
    return "odd_size", odd, said, "look whether it is an image like the others, or a crop, a scan or an icon"


def _fences(values: np.ndarray, slack: float) -> tuple[float, float]:
    low, high = np.quantile(values, [0.25, 0.75])
    reach = FAR * (high - low) + slack
    return float(low - reach), float(high + reach)
