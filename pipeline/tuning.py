"""Tuning: each entry of ``models`` searches its own settings on val, with the same budget as every other.

A trial is an ordinary run, kept, taken up and removed as any other. Nothing else is kept of a search: asked
again, Optuna proposes the same trials, and the records say how they came out. So what is known of a search
is found anew each time, up to the first trial that has not been made.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from pipeline.errors import InputError
from pipeline.experiment import SEARCHED, Experiment, RunSettings, Search
from pipeline.plan import PlannedRun, like, plan
from pipeline.ranges import MOST_TRIALS, Range, Tuning
from pipeline.record import RunRecord

if TYPE_CHECKING:
    import optuna

SEED = 0  # of the search, the same for all entries
# A trial stops where, in the second half of its epochs, its best val accuracy is below the median of the
# earlier trials at the same share of theirs: Optuna's MedianPruner. One cycle of the learning rate is no
# better than its end, so the first half says too little.
WHOLE_BEFORE_PRUNING = 3
PRUNE_FROM = 0.5
MOST_FAILURES = 5  # in a row, from the first trial on: then the settings are not to blame


@dataclass(frozen=True)
class Found:
    """What is known of one entry's search: trials in order, the next one to make, the settings chosen."""

    done: list[PlannedRun]
    following: PlannedRun | None
    chosen: dict[str, Any]


def known(experiment: Experiment) -> tuple[Experiment, bool]:
    """Return the experiment with all runs that it is known to ask for, and whether these are all.

    Without tuning that is the experiment as it is. With it, its trials come first: those made, and of each
    entry the next; runs with the chosen settings follow where an entry's search is over.
    """
    if experiment.tuning is None:
        return experiment, True
    bases = plan(experiment.model_copy(update={"runs": [search.base for search in experiment.searches]}))
    found = [
        _search(search, base, experiment.tuning)
        for search, base in zip(experiment.searches, bases, strict=True)
    ]
    runs: list[RunSettings] = []
    for one in found:
        runs += [planned.settings for planned in (*one.done, *([one.following] if one.following else []))]
    for one, search in zip(found, experiment.searches, strict=True):
        runs += [] if one.following else search.final(one.chosen)
    return experiment.model_copy(update={"runs": runs}), all(one.following is None for one in found)


def _search(search: Search, base: PlannedRun, budget: Tuning) -> Found:
    """Go through a search as far as its trials have been made."""
    study = _study()
    done: list[PlannedRun] = []
    records: list[RunRecord] = []
    study.enqueue_trial({name: _within(getattr(search.base, name), r) for name, r in search.ranges.items()})
    while not _spent(records, budget):
        trial = study.ask()
        asked = {name: _suggest(trial, name, range_) for name, range_ in search.ranges.items()}
        settings = search.trial(len(done), asked, prune_below(records, search.base, asked))
        planned = like(base, settings)
        record = planned.record()
        if record is None or not (record.complete or record.diverged):
            return Found(done, planned, {})
        _tell(study, trial, record)
        done.append(planned)
        records.append(record)
    return Found(done, None, _chosen(records, search))


def _study() -> "optuna.Study":
    try:
        import optuna
    except ImportError:
        raise InputError(
            "tuning needs Optuna, which is not installed: pip install 'headstart[tune]', or leave tuning out."
        ) from None
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    sampler = optuna.samplers.TPESampler(seed=SEED, n_startup_trials=5)
    return optuna.create_study(direction="maximize", sampler=sampler)


def _within(value: float, where: Range) -> float:
    return min(max(value, where.low), where.high)


def _suggest(trial: "optuna.Trial", name: str, where: Range) -> float | int:
    """Ask for a value: of two digits, as settings are written, or a whole number where the setting is one."""
    if RunSettings.model_fields[name].annotation is int:
        return int(trial.suggest_int(name, round(where.low), round(where.high)))
    value = trial.suggest_float(name, where.low, where.high, log=where.log)
    return float(f"{value:.3g}")


def _tell(study: "optuna.Study", trial: "optuna.Trial", record: RunRecord) -> None:
    from optuna.trial import TrialState

    if not record.complete:
        study.tell(trial, state=TrialState.FAIL)
    elif was_pruned(record):
        for epoch, value in enumerate(_curve(record)):
            trial.report(value, epoch)
        study.tell(trial, state=TrialState.PRUNED)
    else:
        study.tell(trial, val_score(record))


def was_pruned(record: RunRecord) -> bool:
    return (record.details.stop_reason or "").startswith("pruned")


def val_score(record: RunRecord) -> float:
    """Return what a trial is judged by: val accuracy, with classes counted alike where training does so."""
    split = record.split("val")
    if not (record.settings.class_weights or record.settings.sampler):
        return float(split.correct.mean())
    return float(np.mean([split.correct[split.target == k].mean() for k in np.unique(split.target)]))


def _spent(records: Sequence[RunRecord], budget: Tuning) -> bool:
    if len(records) >= (budget.trials or MOST_TRIALS):
        return True
    if len(records) >= MOST_FAILURES and not any(record.complete for record in records):
        return True
    return budget.minutes is not None and sum(map(seconds, records)) >= 60 * budget.minutes


def seconds(record: RunRecord) -> float:
    """Return how long a trial took, with its notebook; 0 of one that failed."""
    timings = record.details.timings
    return (timings.papermill_seconds or timings.train_seconds) if timings else 0.0


def _chosen(records: Sequence[RunRecord], search: Search) -> dict[str, Any]:
    """Return the settings of the best trial, the first of equals; the entry's own where all failed."""
    whole = [record for record in records if record.complete]
    best = max(whole, key=val_score, default=None)
    settings = search.base if best is None else best.settings
    return {name: getattr(settings, name) for name in search.ranges}


def prune_below(records: Sequence[RunRecord], base: RunSettings, asked: dict[str, Any]) -> list[float]:
    """Return by epoch the best val accuracy so far below which a trial stops; none while few are whole."""
    curves = [_curve(record) for record in records if record.complete and not was_pruned(record)]
    if len(curves) < WHOLE_BEFORE_PRUNING:
        return []
    head = asked.get("head_epochs", base.head_epochs) if base.mode == "fine_tune" else 0
    epochs = head + base.epochs
    return [_median(curves, epoch / epochs) for epoch in range(1, epochs)]


def _median(curves: Sequence[np.ndarray], share: float) -> float:
    if share < PRUNE_FROM:
        return 0.0
    return round(float(np.median([curve[int(np.ceil(share * len(curve))) - 1] for curve in curves])), 6)


def _curve(record: RunRecord) -> np.ndarray:
    """Return the best val accuracy up to each epoch."""
    return np.maximum.accumulate(record.history["val_accuracy"].to_numpy(float))


__all__ = ["SEARCHED", "Found", "known", "prune_below", "seconds", "val_score", "was_pruned"]
