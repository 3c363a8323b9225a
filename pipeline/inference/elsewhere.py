"""What a params file asks of whole runs beyond test: worse conditions, maps, and images from elsewhere.

All are asked of networks that are trained already, and no choice is made by them; answers that are there
are kept.
"""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from pipeline.errors import DataError, HeadstartError
from pipeline.experiment import Experiment
from pipeline.files import files_fingerprint
from pipeline.record import CONDITIONS_VERSION, EXPLANATIONS_VERSION, RunRecord

if TYPE_CHECKING:
    from pipeline.inference.predictor import Predictor


def check(experiment: Experiment) -> None:
    """Raise InputError for a folder that cannot be used or a package that is missing: before any work."""
    if experiment.explain:
        from pipeline.inference import explain

        explain.check()
    if experiment.external_test:
        from pipeline.learn.data import sources

        _files(experiment.external_test, sources.find(experiment.runs[0]).classes)


def ask(experiment: Experiment, records: Sequence[RunRecord]) -> None:
    """Ask the whole runs of an experiment what it wants to know beyond test, where that is not there yet.

    Raises DataError for a folder of images that cannot be used; what else fails is said and left out.
    """
    whole = [record for record in records if record.complete and record.settings.trial is None]
    folder = experiment.external_test
    fingerprint = external_fingerprint(folder, whole[0].classes) if folder and whole else ""
    for record in whole:
        conditions = experiment.robustness and not _has(record.conditions, "version", CONDITIONS_VERSION)
        maps = experiment.explain and not _has(record.explanations, "version", EXPLANATIONS_VERSION)
        external = folder and not _has(record.external, "fingerprint", fingerprint)
        if conditions or maps or external:
            _ask(record, conditions, maps, folder if external else None, fingerprint)


def _has(table: pd.DataFrame | None, key: str, value: object) -> bool:
    return table is not None and table.attrs.get(key) == value


def _ask(record: RunRecord, conditions: bool, maps: bool, folder: str | None, fingerprint: str) -> None:
    from pipeline.inference import conditions as worse
    from pipeline.inference import explain
    from pipeline.inference.predictor import Predictor

    what = ["under worse conditions"] * conditions + ["for maps"] * maps + [f"on {folder}"] * bool(folder)
    print(f"{record.run_id}: asked {' and '.join(what)}", file=sys.stderr, flush=True)
    try:
        predictor = Predictor.of(record, likeness=False)
        if conditions:
            worse.write(record, predictor)
        if maps:
            explain.write(record, predictor)
        if folder:
            record.write_beside("external.parquet", _external(predictor, folder), fingerprint=fingerprint)
    except (HeadstartError, OSError) as error:
        print(f"headstart: {record.run_id}: not asked: {error}", file=sys.stderr)


def external_fingerprint(folder: str, classes: Sequence[str]) -> str:
    """Return a fingerprint of a folder's images. Raises DataError for one that cannot be used."""
    files = _files(folder, classes)
    root = Path(folder).absolute()
    return files_fingerprint(f"external {root}", [(str(Path(f).relative_to(root)), f) for f, _ in files])


def _files(folder: str, classes: Sequence[str]) -> list[tuple[str, int]]:
    """Return the images of a folder with a folder for each class, and which class each is of."""
    from pipeline.learn.data import layout
    from pipeline.learn.data.layout import files_below

    root = Path(folder).absolute()
    if not root.is_dir():
        raise DataError(f"external_test {folder}: no such folder. It must hold a folder for each class.")
    number = {name: k for k, name in enumerate(classes)}
    found, other = [], set()
    for inner in layout.folders(root):
        files = [file for file in files_below(inner) if not layout.no_image(file)]
        if inner.name in number:
            found += [(file, number[inner.name]) for file in files]
        elif files:
            other.add(inner.name)
    known = ", ".join(classes[:4]) + (", …" if len(classes) > 4 else "")
    if other:
        raise DataError(
            f"external_test {folder}: holds {sorted(other)[0]!r}, which is no class of this study ({known}). "
            "It must hold the same classes, or some of them."
        )
    if not found:
        raise DataError(
            f"external_test {folder}: holds no image in a folder of a class of this study ({known})."
        )
    return found


def _external(predictor: "Predictor", folder: str) -> pd.DataFrame:
    files = _files(folder, predictor.classes)
    parts = list(predictor.batches(file for file, _ in files))
    position = np.concatenate([part.position for part in parts])
    probability = np.concatenate([part.uncalibrated for part in parts])
    root = Path(folder).absolute()
    table = pd.DataFrame(
        {
            "file": [str(Path(files[i][0]).relative_to(root)) for i in position],
            "target": [files[i][1] for i in position],
            "prediction": probability.argmax(axis=1),
            "probability": probability.max(axis=1),
        }
    )
    if not len(table):
        raise DataError(f"external_test {folder}: none of its {len(files):,} images can be read.")
    return table
