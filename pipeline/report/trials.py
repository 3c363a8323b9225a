"""Trials of tuning: set apart from the runs that are compared, and given back to the models they led to."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from pipeline.experiment import SEARCHED, untuned
from pipeline.record import RunRecord
from pipeline.report.evidence.tuning import best_so_far
from pipeline.tuning import seconds, val_score, was_pruned

if TYPE_CHECKING:
    from pipeline.report.model import Model


def apart(records: Sequence[RunRecord]) -> tuple[list[RunRecord], list[RunRecord]]:
    """Return the runs that are no trials, and the trials."""
    trials = [record for record in records if record.settings.trial is not None]
    return [record for record in records if record.settings.trial is None], trials


@dataclass(frozen=True, eq=False)
class Tuned:
    """One model and the trials that led to its settings, in order; some may have failed."""

    model: "Model"
    trials: list[RunRecord]

    @cached_property
    def scores(self) -> list[float]:
        """The val score of each trial that did not fail, in order; of a pruned one the best it got to."""
        return [val_score(record) for record in self.trials if record.complete]

    @cached_property
    def best_after(self) -> list[float | None]:
        """The best val score after each trial; None before any came to one."""
        best, found = iter(best_so_far(self.scores).tolist() if self.scores else []), []
        last: float | None = None
        for record in self.trials:
            last = next(best) if record.complete else last
            found.append(last)
        return found

    @property
    def first(self) -> float | None:
        """The val score of the settings that the params file gives, which every search begins with."""
        return val_score(self.trials[0]) if self.trials[0].complete else None

    @property
    def pruned(self) -> int:
        return sum(was_pruned(record) for record in self.trials if record.complete)

    @property
    def failed(self) -> int:
        return sum(not record.complete for record in self.trials)

    @property
    def epochs(self) -> int:
        """How many epochs all trials took."""
        return sum(len(record.history) for record in self.trials if record.complete)

    @property
    def seconds(self) -> float:
        return sum(map(seconds, self.trials))

    @property
    def searched(self) -> list[str]:
        """The settings that were searched: those that differ from trial to trial."""
        names = [name for name in self.model.settings.effective() if name in SEARCHED]
        return [n for n in names if len({getattr(trial.settings, n) for trial in self.trials}) > 1]

    @property
    def chosen(self) -> dict[str, Any]:
        """Their values in the model's runs."""
        return {name: getattr(self.model.settings, name) for name in self.searched}


def tuned(models: Iterable["Model"], trials: Iterable[RunRecord]) -> list[Tuned]:
    """Return the models that were tuned, each with its trials."""
    by_entry: dict[str, list[RunRecord]] = {}
    for record in trials:
        by_entry.setdefault(untuned(record.settings), []).append(record)
    found = [Tuned(model, by_entry.get(untuned(model.settings), [])) for model in models]
    return [one for one in found if one.trials]
