"""Runs on fewer training images: set apart from the models that are compared, and put into curves."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from pipeline.experiment import RunSettings
from pipeline.record import RunRecord
from pipeline.report.evidence.data_efficiency import Curve
from pipeline.report.words.english import plural

if TYPE_CHECKING:
    from pipeline.report.model import Model

SMALLEST_CURVE = 2  # sizes


def whole_size(settings: RunSettings) -> float:
    """Return the training size of a run for comparing with others: infinite for all images."""
    return float("inf") if settings.train_size is None else settings.train_size


def family(settings: RunSettings) -> str:
    """Return what runs of one entry of ``models`` share, whatever their seeds and training sizes."""
    return repr(settings.model_copy(update={"seed": 0, "train_size": None, "budget": "steps"}).effective())


def apart(records: Sequence[RunRecord]) -> tuple[list[RunRecord], list[RunRecord]]:
    """Return the runs at the largest training size of their entry, and those at smaller ones."""
    largest: dict[str, float] = {}
    for record in records:
        key = family(record.settings)
        largest[key] = max(largest.get(key, 0), whole_size(record.settings))
    headline = [r for r in records if whole_size(r.settings) == largest[family(r.settings)]]
    return headline, [r for r in records if r not in headline]


@dataclass(frozen=True)
class Sized:
    """One model at several training sizes: the whole runs of each, sizes rising, the largest its own."""

    model: "Model"
    runs: dict[int, list[RunRecord]]

    @property
    def curve(self) -> Curve:
        """The answers on test at each size."""
        correct = [np.stack([r.split("test").correct for r in runs]) for runs in self.runs.values()]
        return Curve(self.model.key, tuple(self.runs), tuple(correct))


def train_images(record: RunRecord) -> int | None:
    """Return how many images a run learned from; None where it did not get so far as to say."""
    if record.settings.train_size is not None:
        return record.settings.train_size
    dataset = record.details.dataset
    return dataset.split_sizes.get("train") if dataset else None


def sized(models: Iterable["Model"], smaller: Sequence[RunRecord]) -> list[Sized]:
    """Return the models that have whole runs at two sizes at least; ``smaller`` are those on fewer images."""
    found = [Sized(model, _by_size(smaller, model)) for model in models]
    return [one for one in found if len(one.runs) >= SMALLEST_CURVE]


def _by_size(smaller: Sequence[RunRecord], model: "Model") -> dict[int, list[RunRecord]]:
    mine = family(model.records[0].settings)
    same = [r for r in smaller if family(r.settings) == mine]
    return _grouped([*_usable(same, model), *model.records], train_images)


def _usable(records: Iterable[RunRecord], model: "Model") -> list[RunRecord]:
    """Return the whole runs that were tested on the same images as the model's own."""
    own = model.records[0]
    return [
        r
        for r in records
        if r.complete
        and r.classes == own.classes
        and np.array_equal(r.split("test").index, own.split("test").index)
        and np.array_equal(r.split("test").target, own.split("test").target)
    ]


def _grouped(
    records: Iterable[RunRecord], size: Callable[[RunRecord], int | None]
) -> dict[int, list[RunRecord]]:
    groups: dict[int, list[RunRecord]] = {}
    for record in records:
        images = size(record)
        if images is not None:
            groups.setdefault(images, []).append(record)
    return dict(sorted(groups.items()))


def smaller_labels(
    smaller: Iterable[RunRecord], headline: Iterable[RunRecord], names: Mapping[str, str]
) -> dict[str, str]:
    """Return the label of each run on fewer images: its model's by ``names``, and how many images."""
    labels = {family(record.settings): names[record.run_id] for record in headline}
    sizes = [(record, plural(record.settings.train_size or 0, "image")) for record in smaller]
    return {record.run_id: f"{labels[family(record.settings)]}, {size}" for record, size in sizes}
