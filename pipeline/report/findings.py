"""``suspects.csv`` beside a report: what its runs know of images worth a look.

``headstart audit`` looks further, at labels in train too: where it has seen the same images, its list stays.
"""

import json
from collections.abc import Iterator
from pathlib import Path

import pandas as pd

from pipeline import suspects
from pipeline.record import Copies, Duplicates
from pipeline.report.study import Study
from pipeline.report.words.numbers import NBSP, percent

Row = dict[str, str]


def write_beside(folder: Path, study: Study) -> None:
    """Write suspects.csv of a study whose runs measured their images, unless an audit of these made one."""
    if study.images is None or study.dataset is None or _audited(folder, study.dataset.fingerprint):
        return
    suspects.write(folder / "suspects.csv", listed(study))


def _audited(folder: Path, fingerprint: str) -> bool:
    try:
        about = json.loads((folder / "audit.json").read_text(encoding="utf-8"))
        return (folder / "suspects.csv").is_file() and fingerprint in about["fingerprints"]
    except (OSError, ValueError, KeyError, TypeError):
        return False


def listed(study: Study) -> pd.DataFrame:
    """Return the suspects: test labels that the models doubt, copies, unreadable files, odd looks."""
    images, dataset = study.images, study.dataset
    if images is None or dataset is None:
        return suspects.table([])
    images = images.reset_index(drop=True)
    exact = suspects.exact_pairs(images)
    near = {} if dataset.duplicates is None else _near(images, dataset.duplicates, exact)
    return suspects.table(
        [
            *_labels(study, images),
            *suspects.copies(images, study.classes, "exact_copy", exact),
            *suspects.copies(images, study.classes, "near_copy", near),
            *(_unreadable(file) for file in dataset.unreadable),
            *suspects.by_looks(images, study.classes),
        ]
    )


def _places(images: pd.DataFrame) -> dict[tuple[str, int], int]:
    return {key: row for row, key in enumerate(zip(images["split"], images["index"], strict=True))}


def _labels(study: Study, images: pd.DataFrame) -> Iterator[Row]:
    places = _places(images)
    for one in study.label_issues:
        label, other = study.classes[one.target], study.classes[one.suggested]
        shares = percent(one.suggested_probability), percent(one.target_probability)
        evidence = f"{other} {shares[0]}, {label} {shares[1]}, by the models".replace(NBSP, " ")
        suggestion = f"look whether it is {other}; correct the label or remove the image"
        image = images.iloc[places["test", one.index]]
        yield suspects.row(image, study.classes, "label_error", evidence, suggestion)


def _near(images: pd.DataFrame, found: Duplicates, exact: dict[int, int]) -> dict[int, int]:
    """Return row and row of the original of each near copy that the runs found."""
    places = _places(images)
    pairs: dict[int, int] = {}
    sides: tuple[tuple[str, str, Copies], ...] = (
        ("test", "train", found.test_in_train),
        ("test", "val", found.test_in_val),
        ("val", "train", found.val_in_train),
        ("train", "train", found.train_across_classes),
    )
    for asked, known, copies in sides:
        for copy, original in zip(copies.near, copies.near_of, strict=True):
            row, of = places.get((asked, copy)), places.get((known, original))
            if row is not None and of is not None and row not in exact and pairs.get(of) != row:
                pairs.setdefault(row, of)
    return pairs


def _unreadable(file: str) -> Row:
    about = {"split": "", "label": "", "reason": "unreadable", "evidence": "it could not be decoded"}
    return {"file": file, **about, "suggestion": "fetch or export it again, or remove it"}
