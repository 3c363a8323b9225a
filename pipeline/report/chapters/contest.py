"""Was it a fair contest: what each model's search cost and gave, and whether the ranking hangs on it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from pipeline.experiment import SEARCHED
from pipeline.ranges import Tuning
from pipeline.record import RunRecord
from pipeline.report.evidence.tuning import Standing, expected_best, lead_from, standings
from pipeline.report.look import floats, theme
from pipeline.report.look.paragraph import Words
from pipeline.report.look.table import NONE, Table, name, table
from pipeline.report.look.theme import letters
from pipeline.report.model import Model
from pipeline.report.study import Study
from pipeline.report.trials import Tuned
from pipeline.report.words.english import join, number_word, opened, plural
from pipeline.report.words.numbers import duration, percent, signed
from pipeline.report.words.sentence import Sentence
from pipeline.tuning import seconds, val_score, was_pruned

REFERENCES = ("fig-tuning", "tbl-tuning")


@dataclass(frozen=True)
class Facts:
    """The searches, and who leads after how many trials."""

    searches: Sequence[Tuned]
    untuned: Sequence[Model]
    budget: Tuning | None
    standings: Sequence[Standing]  # of the models with a score, by key; empty for fewer than two

    def spoken(self, key: str) -> str:
        return next(one.model.spoken for one in self.searches if one.model.key == key)

    @property
    def searched(self) -> list[str]:
        """The settings that some model searched, in words."""
        names = dict.fromkeys(name for one in self.searches for name in one.searched)
        return [name.replace("_", " ") for name in names]


def facts(study: Study) -> Facts | None:
    """Return what the searches show; None where nothing was tuned."""
    searches = study.tuned
    if not searches:
        return None
    scores = {one.model.key: one.scores for one in searches if one.scores}
    return Facts(
        searches,
        [model for model in study.models if model not in [one.model for one in searches]],
        study.experiment.tuning,
        standings(scores) if len(scores) > 1 else [],
    )


def words(study: Study) -> Words:
    """Say what was searched and at what cost, what it gave, and whether the ranking hangs on the budget."""
    found = facts(study)
    if found is None:
        return Words(study, [])
    return Words(study, [_budget(found), _unequal(found), _gain(found), _ranking(found)])


def results(study: Study) -> dict[str, Any] | None:
    """Return what results.json holds: the budget, and each model's trials with the best score after each."""
    found = facts(study)
    if found is None:
        return None
    return {
        "budget": found.budget.model_dump(exclude_none=True) if found.budget else None,
        "models": {one.model.key: _result(one) for one in found.searches},
        "standings": found.standings,
    }


def _result(one: Tuned) -> dict[str, Any]:
    expected = expected_best(one.scores) if one.scores else None
    return {
        "searched": one.searched,
        "chosen": one.chosen,
        "best_val": one.best_after,
        "expected_best_val": expected.value if expected else [],
        "seconds": one.seconds,
        "epochs": one.epochs,
        "trials": [_trial(record) for record in one.trials],
    }


def _trial(record: RunRecord) -> dict[str, Any]:
    searched = {key: value for key, value in record.settings.effective().items() if key in SEARCHED}
    return {
        "run_id": record.run_id,
        "status": record.details.status,
        "settings": searched,
        "val_score": val_score(record) if record.complete else None,
        "pruned": record.complete and was_pruned(record),
        "seconds": seconds(record),
    }


def _budget(found: Facts) -> Sentence:
    counts = {len(one.trials) for one in found.searches}
    each = f"each model made {plural(counts.pop(), 'trial')}" if len(counts) == 1 else "trials went on until"
    if found.budget and found.budget.minutes is not None:
        each = f"each model made trials until {found.budget.minutes:g} minutes were spent"
    pruned, failed = sum(one.pruned for one in found.searches), sum(one.failed for one in found.searches)
    tail = f"; {number_word(pruned)} fell behind earlier ones and stopped early" if pruned else ""
    tail += f"; {number_word(failed)} failed" if failed else ""
    text = (
        f"Every search began with the settings of the params file and was judged on val alone: "
        f"{each} of {join(found.searched)}{tail}. The best were then trained anew over the seeds; all other "
        "settings stayed as they were given."
    )
    evidence = {
        "budget": found.budget.model_dump() if found.budget else None,
        "trials": {one.model: len(one.trials) for one in found.searches},
        "pruned": pruned,
        "failed": failed,
        "searched": found.searched,
    }
    return Sentence(text, "contest.budget", evidence, REFERENCES)


def _unequal(found: Facts) -> Sentence | None:
    """Name what equal budgets leave unequal: time, and models that were not tuned."""
    if found.untuned:
        who = join([model.spoken for model in found.untuned])
        were = "was" if len(found.untuned) == 1 else "were"
        text = f"{opened(who)} {were} not tuned, so this is no equal contest."
        return Sentence(text, "contest.untuned", {"models": list(found.untuned)})
    if len(found.searches) < 2:
        return None
    costs = {one.model: one.seconds for one in found.searches}
    least, most = min(costs, key=costs.__getitem__), max(costs, key=costs.__getitem__)
    if costs[most] < 1.5 * costs[least] or not costs[least]:
        return None
    text = (
        f"An equal number of trials is no equal time: the search of {most.spoken} took "
        f"{duration(costs[most])}, that of {least.spoken} {duration(costs[least])}."
    )
    if found.budget and found.budget.minutes is not None:
        return None
    return Sentence(text, "contest.time", costs, ("tbl-tuning",))


def _gain(found: Facts) -> Sentence | None:
    gains = {one: one.scores and max(one.scores) - (one.first or 0) for one in _judged(found)}
    if not gains:
        return None
    parts = [
        f"{one.model.spoken} went from {percent(one.first or 0)} to {percent(max(one.scores))}"
        for one, gain in gains.items()
        if gain
    ]
    rest = [one.model.spoken for one, gain in gains.items() if not gain]
    if rest:
        parts.append(f"of {join(rest)} no trial did better than the first")
    text = (
        f"On val, {join(parts)}; the best of several trials flatters, so what tuning gave is smaller than "
        "that."
    )
    evidence = {one.model: {"first": one.first, "best": max(one.scores)} for one in gains}
    return Sentence(text, "contest.gain", evidence, REFERENCES)


def _judged(found: Facts) -> list[Tuned]:
    """Return the searches whose first trial and best are both known."""
    return [one for one in found.searches if one.scores and one.first is not None]


def _ranking(found: Facts) -> Sentence | None:
    """Say whether the leader on val leads at every budget, or only with enough trials."""
    if not found.standings:
        return None
    last, since = found.standings[-1], lead_from(found.standings)
    first, second = (found.spoken(key) for key in last.order[:2])
    trials = plural(last.trials, "trial")
    if since is None:
        text = f"After {trials} each, {first} and {second} are level on val by the best score to expect."
    elif since == 1:
        text = (
            f"{opened(first)} leads by the best val score to expect at every budget, from a single trial "
            f"each to {last.trials:,}: its lead on val is not owed to how long was searched."
        )
    else:
        before = found.spoken(found.standings[since - 2].order[0])
        text = (
            f"The ranking on val hangs on the budget: {first} leads by the best score to expect only from "
            f"{plural(since, 'trial')} each on; with fewer, {before} does or the two are level."
        )
    evidence = {"lead_from": since, "standings": list(found.standings)}
    return Sentence(text, "contest.ranking", evidence, ("fig-tuning",))


def _title(study: Study) -> str:
    found = facts(study)
    since = lead_from(found.standings) if found else None
    if found is None or since is None:
        return "The best val score to expect of so many trials"
    first = letters(study)[found.standings[-1].order[0]]
    return f"{first} leads on val " + ("at every budget" if since == 1 else f"from {since:,} trials each on")


@floats.figure(
    "fig-tuning",
    "The best val score to expect of so many trials, in any order; bands: one standard deviation between "
    "searches. Dots: trials as they were made.",
    _title,
    when=lambda study: study.tuned,
    alternative="A rising line for each model with a band: the best val score to expect against trials.",
    data=lambda study: searches(study),
)
def figure(study: Study) -> Figure:
    """Draw for each model the best val score to expect of 1, 2, ... trials, and as dots each trial's own."""
    found, styles = facts(study), theme.model_styles(study)
    assert found is not None
    drawing = theme.figure(3.4)
    axes = drawing.subplots()
    for one in found.searches:
        if one.scores:
            _draw(axes, one, styles[one.model.key])
    axes.set(xlabel="trials", ylabel="val score")
    axes.locator_params(axis="x", integer=True)
    theme.percent(axes.yaxis)
    axes.grid(axis="y")
    theme.legend(drawing, study, [one.model for one in found.searches if one.scores])
    return drawing


def _draw(axes: Axes, one: Tuned, style: theme.ModelStyle) -> None:
    expected = expected_best(one.scores)
    trials = np.arange(1, len(one.scores) + 1)
    low, high = expected.value - expected.deviation, expected.value + expected.deviation
    axes.fill_between(trials, low, np.minimum(high, max(one.scores)), color=style.color, alpha=0.13, lw=0)
    axes.plot(trials, one.scores, style.marker, color=style.color, ms=4, alpha=0.5)
    axes.plot(trials, expected.value, color=style.color)


@floats.table(
    "tbl-tuning",
    "Trials, epochs and time of all; val score of the first trial, which had the settings of the params "
    "file, and of the best.",
    floats.named("What each search cost and found"),
    when=lambda study: study.tuned,
)
def searches(study: Study) -> Table:
    """List each model's search: what it cost, where it began and ended on val, and what it chose."""
    found = facts(study)
    assert found is not None
    header = ["Model", "Trials", "Pruned", "Epochs", "Time", "First", "Best", "Gain", "Chosen"]
    return table(header, [_row(one) for one in found.searches], "lrrrrrrrl")


def _row(one: Tuned) -> list[str]:
    best = max(one.scores, default=None)
    gain = signed(best - one.first) if best is not None and one.first is not None else NONE
    chosen = ", ".join(f"{key.replace('_', ' ')} {value:.3g}" for key, value in one.chosen.items())
    return [
        name(one.model.label),
        f"{len(one.trials)}" + (f" ({one.failed} failed)" if one.failed else ""),
        str(one.pruned),
        f"{one.epochs:,}",
        duration(one.seconds),
        percent(one.first) if one.first is not None else NONE,
        percent(best) if best is not None else NONE,
        gain,
        chosen or "as given",
    ]
