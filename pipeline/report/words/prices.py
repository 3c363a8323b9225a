"""What one model costs against another, in words: training time, time per image, size."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pipeline.report.evidence.costs import Cost, about_equal, ratio_of
from pipeline.report.evidence.interval import Interval
from pipeline.report.model import Model
from pipeline.report.words.english import join
from pipeline.report.words.numbers import data_size, duration, latency, quantity, times


@dataclass(frozen=True)
class Currency:
    """One thing to pay with, and how to say that it is more or less, by which ratio."""

    name: str
    more: str
    less: str
    of: Callable[[Cost], Interval]
    show: Callable[[float], str]


def _exact(count: int) -> Interval:
    return Interval(count, count, count)


CURRENCIES = (
    Currency(
        name="training time",
        more="takes {ratio} as long to train ({mine} against {theirs})",
        less="trains {ratio} faster ({mine} against {theirs})",
        of=lambda cost: cost.train_seconds,
        show=duration,
    ),
    Currency(
        name="time per image",
        more="needs {ratio} as long per image ({mine} against {theirs})",
        less="answers {ratio} faster ({mine} against {theirs} per image)",
        of=lambda cost: cost.latency_seconds,
        show=latency,
    ),
    Currency(
        name="size",
        more="has {ratio} the parameters ({mine} against {theirs})",
        less="is {ratio} smaller ({mine} against {theirs} parameters)",
        of=lambda cost: _exact(cost.total_parameters),
        show=quantity,
    ),
)


def bill(first: Model, second: Model) -> str:
    """Return a sentence on what ``first``, the more accurate, costs against ``second``."""
    if first.cost is None or second.cost is None:
        return "What each of them costs these runs did not record."
    more, less, level = compared(first.cost, second.cost)
    against = f"against {second.spoken}, {first.spoken}"
    tail = f"; {level}" if level else ""
    tail += once(first, second) if more or less else ""
    if more and not less:
        return f"That accuracy has a price: {against} {join(more)}{tail}."
    if less and not more:
        return f"It is the cheaper choice as well: {against} {join(less)}{tail}."
    if level and not more:
        return f"No higher price was measured than for {second.spoken}: {level}."
    return f"Its costs are mixed: {against} {join(less)}, but {join(more)}{tail}."


def deciding_bill(first: Model, second: Model) -> str:
    """Return a sentence that lets cost choose between two models of like accuracy."""
    if first.cost is None or second.cost is None:
        return "Cost cannot decide it either, since these runs did not record what each of them costs."
    more, less, level = compared(first.cost, second.cost)
    tail = f"; {level}" if level else ""
    tail += once(first, second)
    if more and less:
        return (
            f"Cost decides by what matters more to you: against {second.spoken}, {first.spoken} "
            f"{join(less)}, but {join(more)}{tail}."
        )
    if not more and not less:
        return f"Cost does not decide it either: {level}."
    if more:
        return f"Cost does, and speaks for {second.spoken}: {first.spoken} {join(more)}{tail}."
    return f"Cost does, and speaks for {first.spoken}: it {join(less)}{tail}."


def once(first: Model, second: Model) -> str:
    """Say that times come of single runs, whose spread nobody knows; nothing of several."""
    return " (times of one run each)" if len(first.records) == len(second.records) == 1 else ""


def compared(first: Cost, second: Cost) -> tuple[list[str], list[str], str]:
    """Sort the currencies into phrases for more and for less, and a clause on those that are neither."""
    more: list[str] = []
    less: list[str] = []
    same: list[str] = []
    unknown: list[str] = []
    for currency in CURRENCIES:
        mine, theirs = currency.of(first), currency.of(second)
        ratio = ratio_of(mine, theirs)
        if ratio is None:
            (same if about_equal(mine, theirs) else unknown).append(currency.name)
            continue
        figures = {"mine": currency.show(mine.value), "theirs": currency.show(theirs.value)}
        if ratio > 1:
            more.append(currency.more.format(ratio=times(ratio), **figures))
        else:
            less.append(currency.less.format(ratio=times(1 / ratio), **figures))
    parts = [f"{_are(same)} within a tenth of each other"] if same else []
    parts += [f"{_are(unknown)} not to be told apart in these runs, whose times overlap"] if unknown else []
    return more, less, join(parts)


def _are(names: list[str]) -> str:
    return f"{join(names)} {'is' if len(names) == 1 else 'are'}"


def price_of_one(model: Model) -> str:
    """Return the costs of one model as a clause."""
    if model.cost is None:
        return f"what {model.spoken} costs these runs did not record"
    cost = model.cost
    return (
        f"{model.spoken} took {duration(cost.train_seconds.value)} to train, answers in "
        f"{latency(cost.latency_seconds.value)} per image and holds {quantity(cost.total_parameters)} "
        f"parameters ({data_size(cost.parameter_bytes)})"
    )


def bill_evidence(*models: Model) -> dict[str, Any]:
    """Return the numbers behind ``bill`` and ``price_of_one``."""
    return {
        currency.name.replace(" ", "_"): {
            model.key: currency.of(model.cost).value for model in models if model.cost
        }
        for currency in CURRENCIES
    }
