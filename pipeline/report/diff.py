"""Compare two reports: what changed in the settings, and paired differences on the same test images.

Each side is a ``results.json``, a report's folder that holds one, or a params file whose whole runs are
read (none is started). Models are matched by model and mode, in the order of their params files.
"""

import dataclasses
import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.errors import InputError
from pipeline.experiment import Experiment
from pipeline.report.evidence.tests import Comparison as Test
from pipeline.report.evidence.tests import compare_pairs
from pipeline.report.read_results import Model, Results, Run, read
from pipeline.report.results_json import plain, results
from pipeline.report.study import Study


@dataclass(frozen=True)
class Change:
    """One setting of one model that is not what it was; None where a side does not have it."""

    model: str
    setting: str
    before: Any
    after: Any


@dataclass(frozen=True)
class ModelChange:
    """One model on both sides: mean accuracies, and the test of second against first.

    ``test`` is seen from the second side (positive: it got better) and None where the test images
    are not the same, or the runs on both sides are.
    """

    key: str
    label: str
    before: float
    after: float
    test: Test | None
    same_runs: bool

    @property
    def better(self) -> bool:
        """Whether it got better beyond noise."""
        return self.test is not None and self.test.distinguishable and self.after > self.before

    @property
    def worse(self) -> bool:
        """Whether it got worse beyond noise."""
        return self.test is not None and self.test.distinguishable and self.after < self.before


@dataclass(frozen=True)
class Comparison:
    """Everything that two reports differ in."""

    first: str
    second: str
    same_images: bool
    settings: list[Change]
    causes: list[str]  # other things that changed: the images, the training code, ...
    models: list[ModelChange]
    only_first: list[str]
    only_second: list[str]
    answers: tuple[list[str], list[str]]

    def judged_worse(self) -> bool:
        """Return whether a model is worse beyond noise on the second side.

        Raises InputError where that cannot be told of any model: it would pass whatever happened.
        """
        if not self.models:
            raise InputError(
                f"{self.second}: has no model in common with {self.first}, so nothing can be judged. "
                "Compare reports of the same models."
            )
        if not self.same_images:
            raise InputError(
                f"{self.second}: its test images are not those of {self.first}, so nothing can be judged. "
                "Make the first report again on the same data."
            )
        return any(model.worse for model in self.models)

    def to_json(self) -> str:
        """Return the comparison for a machine; numbers unrounded, differences as fractions."""
        return json.dumps(plain(dataclasses.asdict(self)), indent=1, ensure_ascii=False, allow_nan=False)


def diff(first: str | Path, second: str | Path) -> Comparison:
    """Compare two ``results.json`` or params files.

    Raises InputError for a file that is missing, damaged or neither.
    """
    return compare(Side(str(first), load(Path(first))), Side(str(second), load(Path(second))))


def load(path: Path) -> Results:
    """Return the results that a ``results.json`` holds, or that a params file's whole runs give."""
    if path.is_dir():
        return read(path / "results.json")
    if not path.exists():
        raise InputError(f"{path}: no such file. Give a report's folder, a results.json or a params file.")
    if path.suffix == ".json":
        return read(path)
    from pipeline.run import records

    experiment = Experiment.from_yaml(path)
    study = Study.from_records(experiment, records(experiment))
    if not study.models:
        raise InputError(f"{path}: none of its runs is whole. Run 'headstart run {path}' first.")
    return Results.model_validate(results(study, engine="none"))


@dataclass(frozen=True)
class Side:
    """One of two results, with what the comparison asks of it."""

    name: str
    results: Results

    @cached_property
    def runs(self) -> dict[str, Run]:
        return {run.run_id: run for run in self.results.runs}

    @cached_property
    def models(self) -> dict[str, Model]:
        return {model.key: model for model in self.results.models}

    def chosen(self, key: str) -> Run:
        return self.runs[self.models[key].chosen]

    def correct(self, key: str) -> np.ndarray:
        """Return which images each seed of a model got right, bool [seeds, images]."""
        model = self.models[key]
        return np.stack([self.results.correct[run] for run in model.runs])


def compare(first: Side, second: Side) -> Comparison:
    """Compare two sides: models by their keys, in pairs where the test images are the same."""
    shared = [key for key in first.models if key in second.models]
    images = first.results.test_images
    same_images = images is not None and images == second.results.test_images
    kept: set[str] = set()
    tests: dict[str, Test] = {}
    if same_images:
        kept = {key for key in shared if first.models[key].runs == second.models[key].runs}
        other = [key for key in shared if key not in kept]
        tests = compare_pairs({key: (second.correct(key), first.correct(key)) for key in other})
    return Comparison(
        first=first.name,
        second=second.name,
        same_images=same_images,
        settings=[change for key in shared for change in _setting_changes(first, second, key)],
        causes=_causes(first, second, shared),
        models=[
            ModelChange(
                key,
                second.models[key].label,
                first.models[key].accuracy.value,
                second.models[key].accuracy.value,
                tests.get(key),
                key in kept,
            )
            for key in shared
        ],
        only_first=[model.label for key, model in first.models.items() if key not in shared],
        only_second=[model.label for key, model in second.models.items() if key not in shared],
        answers=(list(first.results.answer), list(second.results.answer)),
    )


def _setting_changes(first: Side, second: Side, key: str) -> list[Change]:
    before, after = first.chosen(key).settings, second.chosen(key).settings
    label = second.models[key].label
    changed = [
        Change(label, name, before.get(name), after.get(name))
        for name in dict.fromkeys((*before, *after))
        if name != "seed" and before.get(name) != after.get(name)
    ]
    seeds = [sorted(side.runs[run].seed for run in side.models[key].runs) for side in (first, second)]
    return [*changed, *([Change(label, "seeds", *seeds)] if seeds[0] != seeds[1] else [])]


def _causes(first: Side, second: Side, shared: Sequence[str]) -> list[str]:
    """Return which parts of the runs' identity, other than settings, differ for some shared model."""
    pairs = [(first.chosen(key).hashes, second.chosen(key).hashes) for key in shared]
    parts = dict.fromkeys(part for before, after in pairs for part in (*before, *after))
    return [
        part
        for part in parts
        if part != "settings" and any(before.get(part) != after.get(part) for before, after in pairs)
    ]
