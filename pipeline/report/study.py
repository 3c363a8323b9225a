"""Study: the runs of one experiment, grouped by model, with all evidence drawn from them lazily.

How seeds combine, everywhere in the report: a model's accuracy is the mean over its seeds; choices
(the best seed, the best model) are made on val; tests between models compare their chosen seeds.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from pipeline.records import DatasetInfo, ModelInfo, RunRecord, SplitPredictions
from pipeline.report.labels import WITHOUT_EFFECT, keys, labels
from pipeline.settings import Experiment, RunSettings


@dataclass(frozen=True)
class ModelGroup:
    """One entry of ``models``: its whole runs, one per seed.

    ``label`` is unique in the study and for people; ``key`` is unique and fit for ids and files.
    """

    label: str
    key: str
    records: list[RunRecord]

    @property
    def settings(self) -> RunSettings:
        return self.chosen.settings

    @property
    def name(self) -> str:
        """The network, as in params: custom_cnn, resnet18, ..."""
        return self.records[0].settings.model

    @property
    def mode(self) -> str:
        """scratch, linear_probe or fine_tune."""
        return self.records[0].settings.mode

    @property
    def pretrained(self) -> bool:
        return self.records[0].settings.pretrained

    @property
    def is_custom(self) -> bool:
        return self.name == "custom_cnn"

    @property
    def seeds(self) -> list[int]:
        return [record.settings.seed for record in self.records]

    @cached_property
    def val(self) -> list[SplitPredictions]:
        """The val predictions, one per seed."""
        return [record.split("val") for record in self.records]

    @cached_property
    def test(self) -> list[SplitPredictions]:
        """The test predictions, one per seed, all on the same images."""
        return [record.split("test") for record in self.records]

    @cached_property
    def val_accuracies(self) -> np.ndarray:
        """Val accuracy of each seed, fractions [seeds]."""
        return np.array([split.correct.mean() for split in self.val])

    @cached_property
    def test_accuracies(self) -> np.ndarray:
        """Test accuracy of each seed, fractions [seeds]."""
        return np.array([split.correct.mean() for split in self.test])

    @property
    def val_accuracy(self) -> float:
        """Mean over seeds: what models are chosen by."""
        return float(self.val_accuracies.mean())

    @property
    def test_accuracy(self) -> float:
        """Mean over seeds: the headline figure."""
        return float(self.test_accuracies.mean())

    @cached_property
    def chosen_position(self) -> int:
        """Which of the seeds has the best val accuracy; the first of several equal ones."""
        return int(self.val_accuracies.argmax())

    @property
    def chosen(self) -> RunRecord:
        """The run of the seed with the best val accuracy: the model that one would deploy."""
        return self.records[self.chosen_position]

    @property
    def chosen_test(self) -> SplitPredictions:
        return self.test[self.chosen_position]

    @property
    def chosen_val(self) -> SplitPredictions:
        return self.val[self.chosen_position]

    @property
    def model(self) -> ModelInfo:
        """Size and shape of the network.

        Raises ValueError when the run did not record it.
        """
        return _known(self.chosen.details.model, self.chosen, "model")


@dataclass(frozen=True)
class Study:
    """Everything that one report says, from the records of one experiment.

    ``models`` are those with at least one whole run, in params order. ``failures`` are the runs that
    failed. ``apart`` are whole runs whose test images or classes are not those of the first model:
    nothing may be compared with them, so they are listed and left out.
    """

    experiment: Experiment
    models: list[ModelGroup]
    failures: list[RunRecord]
    apart: list[RunRecord]
    names: dict[str, str]  # run_id → label, failed runs and those apart included

    @classmethod
    def from_records(cls, experiment: Experiment, records: Sequence[RunRecord]) -> "Study":
        """Group records, given in params order, into models."""
        groups = _grouped(records)
        settings = [group[0].settings for group in groups]
        named = list(zip(groups, labels(settings), keys(settings), strict=True))
        whole = [record for record in records if record.complete]
        usable = {record.run_id for record in whole if _same_test(record, whole[0])}
        models = [
            ModelGroup(label, key, kept)
            for group, label, key in named
            if (kept := [record for record in group if record.run_id in usable])
        ]
        return cls(
            experiment,
            models,
            failures=[record for record in records if not record.complete],
            apart=[record for record in whole if record.run_id not in usable],
            names={record.run_id: label for group, label, _ in named for record in group},
        )

    @property
    def records(self) -> list[RunRecord]:
        """The runs that the evidence is drawn from."""
        return [record for group in self.models for record in group.records]

    @property
    def classes(self) -> list[str]:
        """Class names, in the order of every matrix and table; empty when all runs failed."""
        return self.models[0].chosen.classes if self.models else []

    @property
    def dataset(self) -> DatasetInfo | None:
        return self.models[0].chosen.details.dataset if self.models else None

    @cached_property
    def targets(self) -> np.ndarray:
        """True classes of the test images, int64 [n], in the order of every prediction."""
        return self.models[0].test[0].target

    @property
    def custom(self) -> ModelGroup | None:
        """The custom CNN; of several, the best on val."""
        return best([group for group in self.models if group.is_custom])

    @property
    def scratch(self) -> list[ModelGroup]:
        """The models that started without pretrained weights, the custom CNN among them."""
        return [group for group in self.models if not group.pretrained]

    @property
    def transfer(self) -> list[ModelGroup]:
        """The models that started from pretrained weights."""
        return [group for group in self.models if group.pretrained]

    @property
    def best_scratch(self) -> ModelGroup | None:
        return best(self.scratch)

    @property
    def best_transfer(self) -> ModelGroup | None:
        return best(self.transfer)

    @property
    def best(self) -> ModelGroup | None:
        return best(self.models)

    @cached_property
    def three_ways(self) -> dict[str, dict[str, ModelGroup]]:
        """For each network that ran in several modes: mode → the best such model on val."""
        modes = ("scratch", "linear_probe", "fine_tune")
        names = dict.fromkeys(group.name for group in self.models)
        found = {
            name: {
                mode: chosen
                for mode in modes
                if (chosen := best([g for g in self.models if (g.name, g.mode) == (name, mode)]))
            }
            for name in names
        }
        return {name: ways for name, ways in found.items() if len(ways) > 1}


def best(groups: Sequence[ModelGroup]) -> ModelGroup | None:
    """Return the model with the highest mean val accuracy, the first of equals; None of none."""
    return max(groups, key=lambda group: group.val_accuracy, default=None)


def _grouped(records: Iterable[RunRecord]) -> list[list[RunRecord]]:
    groups: dict[str, list[RunRecord]] = {}
    for record in records:
        groups.setdefault(_without_seed(record.settings), []).append(record)
    return list(groups.values())


def _without_seed(settings: RunSettings) -> str:
    return settings.model_dump_json(exclude={"seed", *WITHOUT_EFFECT})


def _same_test(record: RunRecord, other: RunRecord) -> bool:
    if record.classes != other.classes:
        return False
    mine, theirs = record.split("test"), other.split("test")
    return np.array_equal(mine.index, theirs.index) and np.array_equal(mine.target, theirs.target)


def _known(value: ModelInfo | None, record: RunRecord, what: str) -> ModelInfo:
    if value is None:
        raise ValueError(f"{record.run_id}: record.json holds no {what}.")
    return value
