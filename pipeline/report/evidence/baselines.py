"""What the simple answers get that no network was trained for, on the same images as the models."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from pipeline.record import BaselineAnswers, RunRecord, SplitPredictions
from pipeline.report.evidence import interval
from pipeline.report.evidence.interval import Score
from pipeline.report.evidence.scores import Metrics, metrics

COMMONEST = "commonest class"


@dataclass(frozen=True, eq=False)
class Baseline:
    """A simple answer, from the record of one run, and its predictions on val and test."""

    found: BaselineAnswers
    record: RunRecord

    @property
    def name(self) -> str:
        return self.found.name

    @property
    def seconds(self) -> float:
        """What it cost when it was computed."""
        return self.found.seconds

    @property
    def settings(self) -> dict[str, Any]:
        """What was chosen on val, and the network whose features were used where there is one."""
        network = {"features_of": self.record.settings.model} if self.by_features else {}
        return {**self.found.settings, **network}

    @property
    def by_features(self) -> bool:
        """Whether it looks at the images through a pretrained network."""
        return "features" in self.name

    @cached_property
    def val(self) -> Metrics:
        return metrics(self._split("val"))

    @cached_property
    def test(self) -> Metrics:
        return metrics(self._split("test"))

    @cached_property
    def correct(self) -> np.ndarray:
        """Which test images it gets right, bool [1, images]."""
        return self._split("test").correct[None]

    @cached_property
    def accuracy(self) -> Score:
        """On test, with its interval over the choice of test images."""
        return interval.accuracy(self.correct)

    def _split(self, name: str) -> SplitPredictions:
        own = self.record.split("val" if name == "val" else "test")
        predicted = np.asarray(self.found.predicted[name])
        sure = np.eye(own.probability.shape[1], dtype=np.float32)[predicted]
        return SplitPredictions(own.index, own.target, sure)


def baselines(records: Sequence[RunRecord]) -> list[Baseline]:
    """Return each baseline once; of several, as by several networks' features, the best on val."""
    every = [Baseline(found, record) for record in records for found in record.baselines]
    by_name: dict[str, list[Baseline]] = {}
    for one in every:
        by_name.setdefault(one.name, []).append(one)
    return [max(same, key=lambda one: one.val.accuracy) for same in by_name.values()]
