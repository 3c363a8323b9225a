"""``headstart audit``: the images of an experiment that are worth a look, without training a network."""

from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

import pandas as pd

from pipeline import suspects
from pipeline.errors import InputError, did_you_mean
from pipeline.experiment import Experiment, RunSettings
from pipeline.files import write_json

SHOWN = 5  # suspects of each reason that the terminal names


def checked_reasons(text: str) -> tuple[str, ...]:
    """Return the reasons in a list with commas. Raises InputError for one that is not known."""
    found = tuple(part.strip() for part in text.split(",") if part.strip())
    for reason in found:
        if reason not in suspects.REASONS:
            hint = did_you_mean(reason, suspects.REASONS)
            known = ", ".join(suspects.REASONS)
            raise InputError(f"--fail-on: unknown reason {reason!r}.{hint} Known are {known}.")
    return found


def audit(experiment: Experiment, folder: Path, tell: Callable[[str], None] = print) -> pd.DataFrame:
    """Write ``suspects.csv`` and ``audit.json`` into a report's folder and return the suspects.

    Raises InputError for data that cannot be used at all; what is wrong with single images is found.
    """
    from pipeline.learn.audit.search import search  # PyTorch takes seconds to import

    found = [search(settings, tell) for settings in data_sets(experiment)]
    every = suspects.in_order(pd.concat([one.suspects for one in found]))
    suspects.write(folder / "suspects.csv", every)
    about = {
        "images": sum(one.images for one in found),
        "fingerprints": [one.fingerprint for one in found],
        "suspects": {reason: int((every["reason"] == reason).sum()) for reason in suspects.REASONS},
    }
    write_json(folder / "audit.json", about)
    return every


def data_sets(experiment: Experiment) -> list[RunSettings]:
    """Return the settings of one run for each data set and split, the one that sees the largest images."""
    chosen: dict[str, RunSettings] = {}
    for settings in experiment.runs:
        same = repr([settings.data_dir, *(getattr(settings, name) for name in WHICH_IMAGES)])
        known = chosen.setdefault(same, settings)
        if (settings.image_size or 0) > (known.image_size or 0):
            chosen[same] = settings
    return list(chosen.values())


WHICH_IMAGES = (
    "dataset", "name", "labels", "file_column", "label_column", "group", "val_fraction", "test_fraction",
    "split_seed", "max_train_images",
)  # fmt: skip


def summary(every: pd.DataFrame, path: Path) -> Sequence[str]:
    """Return what the terminal says: each reason with its count and first files."""
    counts = Counter(every["reason"])
    lines = []
    for reason, count in counts.items():
        files = list(every["file"][every["reason"] == reason])
        more = f" and {count - SHOWN:,} more" if count > SHOWN else ""
        lines.append(f"{reason}: {count:,} ({', '.join(files[:SHOWN])}{more})")
    return [*lines, f"{len(every):,} suspects in {path}" if len(every) else f"No suspect; {path} is empty."]
