"""Study: the runs of one experiment, grouped by model, with all evidence drawn from them lazily."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import pandas as pd

from pipeline.experiment import Experiment, RunSettings
from pipeline.record import DatasetInfo, RunRecord
from pipeline.report import sizes, trials
from pipeline.report.evidence import baselines, errors, tests
from pipeline.report.evidence.baselines import Baseline
from pipeline.report.evidence.conditions import Asked, asked
from pipeline.report.evidence.costs import Cost, pareto_front
from pipeline.report.evidence.data_efficiency import Efficiency, efficiencies
from pipeline.report.evidence.errors import Agreement, LabelIssue, Miss
from pipeline.report.evidence.interval import Interval
from pipeline.report.evidence.per_image import calibration_scores
from pipeline.report.evidence.robustness import Recount, recounts
from pipeline.report.evidence.shortcuts import Shortcut, shortcuts
from pipeline.report.evidence.slices import Slice, slices
from pipeline.report.evidence.tests import Comparison
from pipeline.report.model import Model, best
from pipeline.report.names import keys, labels, spoken
from pipeline.report.trials import Tuned

MODES = ("scratch", "linear_probe", "fine_tune")


@dataclass(frozen=True)
class ClassDifference:
    """How much more often the first of the compared pair is right than the second on one class."""

    target: int
    images: int
    first: float  # recall, mean over seeds
    second: float
    comparison: Comparison

    @property
    def difference(self) -> Interval:
        """The difference of recall with the interval of this class alone."""
        return Interval(self.comparison.difference, self.comparison.low, self.comparison.high)

    @property
    def distinguishable(self) -> bool:
        """Whether the report may say that one of them does better here; Holm over classes."""
        return self.comparison.distinguishable


@dataclass(frozen=True)
class Study:
    """Everything that one report says, from the records of one experiment.

    ``models`` are those with at least one whole run, in params order. ``failures`` are the runs that
    failed. ``apart`` are whole runs whose test images or classes are not those of the first model:
    nothing may be compared with them, so they are listed and left out. ``smaller`` are runs on fewer
    training images than the most of their entry: only curves of accuracy against images show them.
    ``trials`` are the runs of tuning, on val alone.
    """

    experiment: Experiment
    models: list[Model]
    failures: list[RunRecord]
    apart: list[RunRecord]
    names: dict[str, str]  # run_id → label, failed runs and those apart included
    spoken: dict[str, str]  # the same for sentences
    smaller: list[RunRecord] = field(default_factory=list)  # runs on fewer images, whole or failed
    trials: list[RunRecord] = field(default_factory=list)  # of tuning, whole or failed

    @classmethod
    def from_records(cls, experiment: Experiment, records: Sequence[RunRecord]) -> "Study":
        """Group records, given in params order, into models."""
        records, tried = trials.apart(records)
        records, smaller = sizes.apart(records)
        groups = _grouped(records)
        settings = [group[0].settings for group in groups]
        named = list(zip(groups, labels(settings), spoken(settings), keys(settings), strict=True))
        whole = [record for record in records if record.complete]
        usable = {record.run_id for record in whole if _same_test(record, whole[0])}
        models = [
            Model(label, words, key, kept, _same_network(kept, whole))
            for group, label, words, key in named
            if (kept := [record for record in group if record.run_id in usable])
        ]
        return cls(
            experiment,
            models,
            failures=[record for record in records if not record.complete],
            apart=[record for record in whole if record.run_id not in usable],
            names={record.run_id: label for group, label, _, _ in named for record in group},
            spoken={record.run_id: words for group, _, words, _ in named for record in group},
            smaller=smaller,
            trials=tried,
        )

    @property
    def headline(self) -> list[RunRecord]:
        """The runs that models are made of, failed ones and those apart included."""
        return [*self.records, *self.failures, *self.apart]

    @property
    def records(self) -> list[RunRecord]:
        """The runs that the evidence is drawn from."""
        return [record for model in self.models for record in model.records]

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
        return self.models[0].test[0].target if self.models else np.array([], np.int64)

    @property
    def images(self) -> pd.DataFrame | None:
        """What was measured of each image of all splits, a record's; None of older runs."""
        return self.models[0].chosen.images if self.models else None

    @cached_property
    def shortcuts(self) -> list[Shortcut]:
        """How well each property of the images alone tells the classes, shortcut or not."""
        if self.images is None:
            return []
        side = self.dataset.typical_side if self.dataset else None
        return shortcuts(self.images, self.classes, self.groups is not None, side)

    @property
    def found_shortcuts(self) -> list[Shortcut]:
        """The properties that are called shortcuts, the one that tells most first."""
        return sorted((one for one in self.shortcuts if one.found), key=lambda one: -one.auc)

    @cached_property
    def slices(self) -> list[Slice]:
        """The best model's accuracy by what is known of the test images, weakest first."""
        best = self.best
        if best is None or best.test_table is None:
            return []
        return slices(best.test_table, best.correct, best.groups)

    @property
    def groups(self) -> np.ndarray | None:
        """Which test images belong together, int [n]; None where each stands for itself."""
        return self.models[0].groups if self.models else None

    def image_name(self, index: int) -> str:
        """Return the file of a test image, or its number where it has none."""
        return self.test_files.get(index) or str(index)

    @cached_property
    def test_files(self) -> dict[int, str]:
        """The files of the test images by index; empty where they have none, or older runs kept none."""
        table = self.models[0].test_table if self.models else None
        return (
            {} if table is None else {i: f for i, f in zip(table["index"], table["file"], strict=True) if f}
        )

    def model(self, key: str) -> Model:
        """Return the model with this key. Raises KeyError when there is none."""
        return {model.key: model for model in self.models}[key]

    @property
    def custom(self) -> Model | None:
        """The custom CNN; of several, the best on val."""
        return best([model for model in self.models if model.is_custom])

    @property
    def scratch(self) -> list[Model]:
        """The models that started without pretrained weights, the custom CNN among them."""
        return [model for model in self.models if not model.pretrained]

    @property
    def transfer(self) -> list[Model]:
        """The models that started from pretrained weights."""
        return [model for model in self.models if model.pretrained]

    @property
    def best_scratch(self) -> Model | None:
        """The best on val of those from scratch that may be compared."""
        return best(self._worth_comparing(self.scratch))

    @property
    def best_transfer(self) -> Model | None:
        """The best on val of the pretrained that may be compared."""
        return best(self._worth_comparing(self.transfer))

    @property
    def best(self) -> Model | None:
        return best(self._worth_comparing(self.models))

    def _worth_comparing(self, models: list[Model]) -> list[Model]:
        """Leave out models that learned nothing, where others did."""
        return [model for model in models if model in self.learned] if self.learned else models

    @cached_property
    def unlearned(self) -> list[Model]:
        """The models that cannot be told from naming always the commonest class."""
        return [model for model in self.models if model not in self.learned]

    @cached_property
    def pair(self) -> tuple[Model, Model] | None:
        """What the report compares in detail: (best transfer, best from scratch), both by val.

        Where one side is missing, the best two models; None for fewer than two.
        """
        if self.best_transfer and self.best_scratch:
            return self.best_transfer, self.best_scratch
        ranked = sorted(self._worth_comparing(self.models), key=lambda model: -model.val_accuracy)
        return (ranked[0], ranked[1]) if len(ranked) > 1 else None

    @property
    def compared(self) -> tuple[Model, Model]:
        """The same where there is one. Raises LookupError for fewer than two models."""
        if self.pair is None:
            raise LookupError("A comparison takes two models.")
        return self.pair

    @property
    def ran_both_ways(self) -> bool:
        """Whether a network ran with and without pretrained weights, however little it learned."""
        pretrained = {model.name for model in self.transfer}
        return any(model.name in pretrained for model in self.scratch)

    @cached_property
    def three_ways(self) -> dict[str, dict[str, Model]]:
        """For each network that ran in several modes: mode → the best such model on val."""
        names = dict.fromkeys(model.name for model in self.models)
        found = {name: self._ways(name) for name in names}
        return {name: ways for name, ways in found.items() if len(ways) > 1}

    def _ways(self, name: str) -> dict[str, Model]:
        mine = [model for model in self._worth_comparing(self.models) if model.name == name]
        chosen = {mode: best([model for model in mine if model.mode == mode]) for mode in MODES}
        return {mode: model for mode, model in chosen.items() if model}

    @cached_property
    def tests(self) -> list[Comparison]:
        """Every pair of models once, Holm-corrected together; ``first`` and ``second`` are keys."""
        return tests.compare({model.key: model.correct for model in self.models}, self.margin, self.groups)

    @property
    def margin(self) -> float:
        """The difference of accuracy that matters, a fraction: ``practical_difference``."""
        return self.experiment.practical_difference

    def test(self, first: Model, second: Model) -> Comparison:
        """Return the test of two different models, seen from ``first``. Raises KeyError for one model."""
        for test in self.tests:
            if (test.first, test.second) == (first.key, second.key):
                return test
            if (test.second, test.first) == (first.key, second.key):
                return test.reversed
        raise KeyError(f"{first.key} and {second.key} are not two models of this study")

    @cached_property
    def beyond_chance(self) -> dict[str, Comparison]:
        """Each model, by its key, against naming always the commonest class of the test images."""
        if not self.models:
            return {}
        return tests.beats_chance(
            {model.key: model.correct for model in self.models}, self.targets, self.margin, self.groups
        )

    @cached_property
    def learned(self) -> list[Model]:
        """The models that do better than naming always the commonest class, beyond noise."""
        return [model for model in self.models if self.beyond_chance[model.key].verdict == "first"]

    @cached_property
    def baselines(self) -> list[Baseline]:
        """The simple answers that models have to beat; none where they are not asked for."""
        first = [model.chosen for model in self.models] if self.experiment.baselines else []
        return baselines.baselines(first)

    @cached_property
    def below_baselines(self) -> list[tuple[Model, Baseline]]:
        """The models that learned something, each with a baseline that it is not shown to beat."""
        rivals = [one for one in self.baselines if one.name != baselines.COMMONEST]
        named = {(model.key, one.name): (model, one) for model in self.learned for one in rivals}
        correct = {key: (model.correct, one.correct) for key, (model, one) in named.items()}
        return [
            named[key] for key, found in tests.beats(correct, self.margin, self.groups).items() if not found
        ]

    @cached_property
    def per_class(self) -> list[ClassDifference]:
        """The compared pair, first minus second, class by class, for the classes that have test images."""
        if self.pair is None:
            return []
        first, second = self.pair
        correct = {model.key: model.correct for model in self.models}
        found = tests.compare_classes(correct, first.key, second.key, self.targets, self.margin, self.groups)
        return [self._class_difference(k, comparison) for k, comparison in found.items()]

    def _class_difference(self, k: int, comparison: Comparison) -> ClassDifference:
        rows = self.targets == k
        first, second = (float(model.mean_correct[rows].mean()) for model in self.compared)
        return ClassDifference(k, int(rows.sum()), first, second, comparison)

    @cached_property
    def calibration_test(self) -> Comparison | None:
        """The calibration errors of the compared pair, first minus second; None for fewer than two models."""
        if self.pair is None:
            return None
        scores = {model.key: _calibration_scores(model) for model in self.models}
        keys = [model.key for model in self.pair]
        every = tests.compare_scores(scores, self.margin, groups=self.groups)
        found = next(one for one in every if {one.first, one.second} == set(keys))
        return found if found.first == keys[0] else found.reversed

    @cached_property
    def agreement(self) -> Agreement | None:
        """How answers go together, in the order of ``models``; None for fewer than two models."""
        chosen = [model.chosen_test for model in self.models]
        return errors.agreement(chosen) if len(chosen) > 1 else None

    @cached_property
    def missed_by_all(self) -> list[Miss]:
        """The test images that every model gets wrong; answers bear the models' keys."""
        named = [(model.key, model.chosen_test) for model in self.models]
        return errors.missed_by_all(named) if named else []

    @cached_property
    def label_issues(self) -> list[LabelIssue]:
        """The test images whose labels confident learning doubts, most doubtful first.

        It asks the models that have learned something: what others say is no doubt.
        """
        runs = [split for model in self.learned for split in model.test]
        return errors.label_issues(runs, [model.chosen_test for model in self.learned]) if runs else []

    @cached_property
    def recounts(self) -> list[Recount]:
        """The difference of the compared pair, seen from the one ahead, counted in other ways."""
        if self.pair is None:
            return []
        ahead, behind = self.pair if self.test(*self.pair).difference >= 0 else self.pair[::-1]
        twins = self.dataset.near_duplicates if self.dataset else []
        doubted = [issue.index for issue in self.label_issues]
        if len(doubted) > errors.MANY_DOUBTED * len(self.targets):
            doubted = []  # weak models doubt what they get wrong: leaving that out would flatter them
        return recounts(self.models, ahead, behind, twins, doubted, self.margin, self.groups)

    @cached_property
    def efficiencies(self) -> list[Efficiency]:
        """How accuracy grows with images, for the models that ran at several training sizes."""
        curves = [one.curve for one in sizes.sized(self.models, self.smaller)]
        return efficiencies(curves) if curves else []

    @cached_property
    def tuned(self) -> list[Tuned]:
        """The models that were tuned, in params order, each with its trials."""
        return trials.tuned(self.models, self.trials)

    @cached_property
    def conditions(self) -> Asked | None:
        """What the models keep of their accuracy under worse conditions; None where none was asked."""
        return asked(self.models, self.margin)

    @cached_property
    def torch_versions(self) -> list[str]:
        """The versions of PyTorch that trained the runs, each once, in the order of the runs."""
        found = (record.details.environment for record in self.records)
        versions = (place.packages.get("torch") for place in found if place)
        return list(dict.fromkeys(version for version in versions if version))

    def pareto(self, price: Callable[[Cost], float]) -> list[tuple[Model, float, bool]]:
        """Return (model, price, whether on the front) for accuracy against one cost, lower is better."""
        priced = [(model, float(price(model.cost))) for model in self.models if model.cost]
        front = pareto_front([value for _, value in priced], [model.test_accuracy for model, _ in priced])
        return [(model, value, on) for (model, value), on in zip(priced, front, strict=True)]


def _same_network(records: Sequence[RunRecord], every: Sequence[RunRecord]) -> list[RunRecord]:
    """Return the runs of other models that had the same network, input and machine when they answered."""
    mine = _answering(records[0])
    own = {record.run_id for record in records}
    return [one for one in every if mine and one.run_id not in own and _answering(one) == mine]


def _answering(record: RunRecord) -> tuple[object, ...] | None:
    """Return all that decides how fast a run's network answers; None where its run did not record it."""
    network, place, settings = record.details.model, record.details.environment, record.settings
    if network is None or place is None:
        return None
    size = (network.name, network.input_size, network.total_parameters, network.macs)
    return (*size, settings.flip_at_test, place.device, place.cpu, place.threads, place.precision)


def _calibration_scores(model: Model) -> np.ndarray:
    confidence = np.stack([split.probability.max(axis=1) for split in model.test])
    return calibration_scores(confidence, model.correct)


def _grouped(records: Iterable[RunRecord]) -> list[list[RunRecord]]:
    groups: dict[str, list[RunRecord]] = {}
    for record in records:
        groups.setdefault(_without_seed(record.settings), []).append(record)
    return list(groups.values())


def _without_seed(settings: RunSettings) -> str:
    return repr(settings.model_copy(update={"seed": 0}).effective())


def _same_test(record: RunRecord, other: RunRecord) -> bool:
    if record.classes != other.classes:
        return False
    mine, theirs = record.split("test"), other.split("test")
    return np.array_equal(mine.index, theirs.index) and np.array_equal(mine.target, theirs.target)
