"""Search a data set for images worth a look: labels, copies, damage, light, sharpness and size."""

# No result depends on this module: it is no part of a run's identity.

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch

from pipeline import suspects
from pipeline.experiment import RunSettings
from pipeline.learn import data, models
from pipeline.learn.audit import labels, properties
from pipeline.learn.data import duplicates, sources
from pipeline.learn.data.images import ImageData
from pipeline.learn.data.split import split
from pipeline.learn.data.unreadable import reason
from pipeline.learn.device import choose, tune

Tell = Callable[[str], None]


@dataclass(frozen=True)
class Found:
    """``suspects`` by ``suspects.COLUMNS``; how many ``images`` were looked at; the data's fingerprint."""

    suspects: pd.DataFrame
    images: int
    fingerprint: str
    notes: tuple[str, ...] = ()


def search(settings: RunSettings, tell: Tell = print) -> Found:
    """Return what deserves a look among the images of a run's data set, all of them.

    No network is trained but a linear probe on frozen features. Raises DataError as loading does.
    """
    settings = settings.model_copy(update={"max_unreadable": 1.0, "train_size": None, "threads": None})
    hardware = tune(choose(settings), None)
    images = data.load(settings, models.preprocessing(settings), hardware)
    tell(f"{sum(images.info.split_sizes.values()):,} images in {len(images.classes)} classes.")
    table = properties.table(images)
    rows = [*_labels(images, table, tell), *_copies(images, table)]
    rows += [*_unreadable(settings, images.info.unreadable), *suspects.by_looks(table, images.classes)]
    return Found(suspects.table(rows), len(table), images.info.fingerprint)


def _parts(images: ImageData) -> list[torch.Tensor]:
    return [split.pixels for split in (images.train, images.val, images.test)]


def _labels(images: ImageData, table: pd.DataFrame, tell: Tell) -> list[dict[str, str]]:
    """Return a line for each doubtful label in any split."""
    key = f"{images.info.fingerprint} {images.train.stored} {[len(part) for part in _parts(images)]}"
    groups = table["group"].to_numpy() if (table["group"] != "").all() else None
    targets = table["target"].to_numpy()
    values = labels.frozen_features(_parts(images), images.hardware, key, tell)
    found = labels.from_probabilities(targets, labels.out_of_fold(values, targets, groups))
    return [
        suspects.row(
            table.iloc[one.row],
            images.classes,
            "label_error",
            f"{images.classes[one.suggested]} {one.suggested_probability:.1%}, "
            f"{images.classes[targets[one.row]]} {one.label_probability:.2%}, by a probe on other images",
            f"look whether it is {images.classes[one.suggested]}; correct the label or remove the image",
        )
        for one in found
    ]


def _copies(images: ImageData, table: pd.DataFrame) -> list[dict[str, str]]:
    together = duplicates.Images(
        torch.cat([part.cpu() for part in _parts(images)]),
        torch.tensor(table["target"].to_numpy()),
        range(len(table)),
    )
    _, near = duplicates.among(together)
    exact = suspects.exact_pairs(table)
    near = {row: of for row, of in near.items() if row not in exact and exact.get(of) != row}
    return [
        *suspects.copies(table, images.classes, "exact_copy", exact),
        *suspects.copies(table, images.classes, "near_copy", near),
    ]


def _unreadable(settings: RunSettings, names: list[str]) -> Iterator[dict[str, str]]:
    """Yield a line for each file that cannot be read, with what its reader says."""
    if not names:
        return
    contents, wanted = sources.find(settings), set(names)
    for name, chosen in split(contents, settings).items():
        part = contents.parts[chosen.part]
        for position in chosen.positions:
            if part.name(int(position)) in wanted:
                yield {
                    "file": part.name(int(position)),
                    "split": name,
                    "label": contents.classes[int(part.targets[position])],
                    "reason": "unreadable",
                    "evidence": _why(part.read, int(position)),
                    "suggestion": "fetch or export it again, or remove it",
                }


def _why(read: Callable[[int], object], position: int) -> str:
    try:
        with read(position) as image:  # type: ignore[attr-defined]
            np.asarray(image)
    except Exception as error:  # noqa: BLE001 (Pillow's readers fail in every possible way)
        return reason(error)
    return "it could not be decoded"
