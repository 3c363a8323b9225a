"""What one model costs against another, in words: training time, time per image, size."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pipeline.report.evidence.costs import Cost, ratio_of, relation, spread_known
from pipeline.report.evidence.interval import Interval
from pipeline.report.model import Model
from pipeline.report.words.english import join
from pipeline.report.words.numbers import data_size, duration, latency, quantity, times


@dataclass(frozen=True)
class Currency:
    """One thing to pay with, and how to say that it is more or less, with and without a ratio."""

    name: str
    more: str
    less: str
    longer: str
    shorter: str
    of: Callable[[Cost], Interval]
    show: Callable[[float], str]


def _exact(count: int) -> Interval:
    return Interval(count, count, count)


CURRENCIES = (
    Currency(
        name="training time",
        more="takes {ratio} as long to train ({mine} against {theirs})",
        less="trains {ratio} faster ({mine} against {theirs})",
        longer="took longer to train ({mine} against {theirs}, {once})",
        shorter="trained in less time ({mine} against {theirs}, {once})",
        of=lambda cost: cost.train_seconds,
        show=duration,
    ),
    Currency(
        name="time per image",
        more="needs {ratio} as long per image ({mine} against {theirs})",
        less="answers {ratio} faster ({mine} against {theirs} per image)",
        longer="took longer per image ({mine} against {theirs}, {once})",
        shorter="took less time per image ({mine} against {theirs}, {once})",
        of=lambda cost: cost.latency_seconds,
        show=latency,
    ),
    Currency(
        name="size",
        more="has {ratio} the parameters ({mine} against {theirs})",
        less="is {ratio} smaller ({mine} against {theirs} parameters)",
        longer="",
        shorter="",
        of=lambda cost: _exact(cost.total_parameters),
        show=quantity,
    ),
)


@dataclass(frozen=True)
class Bill:
    """What one model costs against another, sorted: phrases for more and for less, names of the rest."""

    more: list[str]
    less: list[str]
    same: list[str]
    open: list[str]

    @property
    def tail(self) -> str:
        """Name what is about the same and what these runs cannot tell apart, after a semicolon each."""
        same = f"; {_are(self.same)} about the same" if self.same else ""
        return same + (f"; {_unknown(self.open)}" if self.open else "")


def _are(names: list[str]) -> str:
    return f"{join(names)} {'is' if len(names) == 1 else 'are'}"


def _unknown(names: list[str]) -> str:
    return f"whether {join(names)} {'differs' if len(names) == 1 else 'differ'} these runs cannot tell"


def bill(first: Model, second: Model) -> str:
    """Return a sentence on what ``first``, the more accurate, costs against ``second``."""
    if first.cost is None or second.cost is None:
        return "What each of them costs these runs did not record."
    found = compared(first.cost, second.cost)
    against = f"against {second.spoken}, {first.spoken}"
    if found.more and not found.less:
        return f"That accuracy has a price: {against} {join(found.more)}{found.tail}."
    if found.less and not found.more:
        cheaper = "It is the cheaper choice as well" if not found.open else "It is cheaper in part"
        return f"{cheaper}: {against} {join(found.less)}{found.tail}."
    if found.more:
        return f"Its costs are mixed: {against} {join(found.less)}, but {join(found.more)}{found.tail}."
    return _neither(first, second, found)


def open_bill(first: Model, second: Model, equal: bool) -> str:
    """Return a sentence on costs where accuracy names no winner: equal, or not settled."""
    if first.cost is None or second.cost is None:
        return "What each of them costs these runs did not record."
    found = compared(first.cost, second.cost)
    start = "So cost may decide" if equal else "Cost is known better"
    against = f"{start}: against {second.spoken}, {first.spoken}"
    if found.more and found.less:
        return f"{against} {join(found.less)}, but {join(found.more)}{found.tail}."
    if found.more or found.less:
        return f"{against} {join([*found.less, *found.more])}{found.tail}."
    return _neither(first, second, found)


def _neither(first: Model, second: Model, found: Bill) -> str:
    if not found.open:
        return f"In cost {first.spoken} and {second.spoken} are about the same: {join(found.same)}."
    unknown = _unknown(found.open)
    same = f"; {_are(found.same)} about the same" if found.same else ""
    return f"{unknown[0].upper()}{unknown[1:]}{same}."


def compared(first: Cost, second: Cost) -> Bill:
    """Sort what ``first`` costs against ``second``."""
    found = Bill([], [], [], [])
    for currency in CURRENCIES:
        mine, theirs = currency.of(first), currency.of(second)
        how = relation(mine, theirs)
        said = currency.name if how in ("same", "open") else _phrase(currency, mine, theirs, how)
        getattr(found, how).append(said)
    return found


def _phrase(currency: Currency, mine: Interval, theirs: Interval, how: str) -> str:
    figures = {"mine": currency.show(mine.value), "theirs": currency.show(theirs.value)}
    figures["once"] = once(mine, theirs)
    ratio = ratio_of(mine, theirs)
    if ratio is None:
        return (currency.longer if how == "more" else currency.shorter).format(**figures)
    if how == "more":
        return currency.more.format(ratio=times(ratio), **figures)
    return currency.less.format(ratio=times(1 / ratio), **figures)


def once(mine: Interval, theirs: Interval) -> str:
    """Say why two costs have no ratio: measured once, both or one of them, or too unsteady."""
    if spread_known(mine) and spread_known(theirs):
        return "too unsteady for a ratio"
    return "one measured once" if spread_known(mine) or spread_known(theirs) else "measured once each"


def short_bill(first: Cost, second: Cost) -> str:
    """Return what ``first`` costs against ``second`` in few words: 2.9 times the size, ..."""
    said = []
    for currency in CURRENCIES:
        mine, theirs = currency.of(first), currency.of(second)
        how, ratio = relation(mine, theirs), ratio_of(mine, theirs)
        more = "more" if how == "more" else "less"
        known = f"{more} {currency.name}"
        if ratio:
            known = f"{times(ratio)} the {currency.name}" if ratio > 1 else f"{times(1 / ratio)} {known}"
        said.append(
            {"same": f"about the same {currency.name}", "open": f"{currency.name} open"}.get(how, known)
        )
    return ", ".join(said)


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
