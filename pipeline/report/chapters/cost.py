"""Cost: time to train, time per image, size, energy, and which models are never the best buy."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import comb

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import Locator, LogLocator, MaxNLocator, NullLocator

from pipeline.report.evidence.costs import Cost, ratio_of, relation
from pipeline.report.evidence.interval import Interval
from pipeline.report.evidence.tests import Comparison, compare
from pipeline.report.look import floats, theme
from pipeline.report.look.paragraph import Words
from pipeline.report.look.table import NONE, Table, name, table
from pipeline.report.look.theme import letters
from pipeline.report.model import Model
from pipeline.report.names import network as written
from pipeline.report.study import Study
from pipeline.report.words.claims import mixed_in
from pipeline.report.words.english import join, opened
from pipeline.report.words.numbers import (
    NBSP,
    data_size,
    duration,
    energy,
    latency,
    percent,
    points_range,
    quantity,
    signed,
    times,
)
from pipeline.report.words.phrases import MOST_NAMED, spoken_list
from pipeline.report.words.prices import once
from pipeline.report.words.sentence import Sentence

SIDES = ((10, 6), (10, -6), (-10, 6), (-10, -6))  # points from a mark to its letter
PRICES: dict[str, Callable[[Cost], Interval]] = {
    "milliseconds for one image": lambda cost: _times(cost.latency_seconds, 1000),
    "seconds of training": lambda cost: cost.train_seconds,
}


def _times(found: Interval, factor: float) -> Interval:
    return Interval(found.value * factor, found.low * factor, found.high * factor)


TOLD = ("fig-pareto", "tbl-cost")  # beside these sentences


@dataclass(frozen=True)
class Frozen:
    """The first network that trained faster frozen than fine-tuned."""

    network: str
    mixed_in: Sequence[str]  # what else differs between the two
    probe: Interval  # seconds of training
    tuned: Interval
    ratio: float


@dataclass(frozen=True)
class Small:
    """A model's chosen network in 8 bits, as it was exported, against the same in 32."""

    model: Model
    test: Comparison  # 8 bits first
    accuracy: float
    bytes: int
    latency_seconds: float
    fp32_seconds: float  # of the same network in 32 bits, measured with it


@dataclass(frozen=True)
class Facts:
    """What the models cost, in params order, and which are on the fronts of accuracy against cost."""

    models: int  # those without recorded costs included
    costs: Mapping[Model, Cost]
    frozen: Frozen | None
    training_front: Sequence[Model]
    latency_front: Sequence[Model]
    small: Sequence[Small]  # networks that were exported in 8 bits

    def extremes(self, of: Callable[[Cost], Interval]) -> tuple[Model, Model, str]:
        """Return the cheapest and the dearest model, and how their prices compare, as words."""
        ranked = sorted(self.costs, key=lambda model: of(self.costs[model]).value)
        cheap, dear = ranked[0], ranked[-1]
        pairs = max(1, comb(len(ranked), 2))
        return cheap, dear, _apart(of(self.costs[dear]), of(self.costs[cheap]), pairs)


def _apart(dear: Interval, cheap: Interval, pairs: int) -> str:
    """Say how many times as long, where the spread allows it, or why nobody can tell."""
    ratio = ratio_of(dear, cheap, pairs)
    if ratio is not None:
        return f", {times(ratio)} as long"
    told = {"same": ", about the same", "open": "; whether these differ the runs cannot tell"}
    return told.get(relation(dear, cheap, pairs), f", {once(dear, cheap)}")


def facts(study: Study) -> Facts | None:
    """Return what the models cost; None where no run recorded it."""
    costs = {model: model.cost for model in study.models if model.cost}
    if not costs:
        return None
    return Facts(
        models=len(study.models),
        costs=costs,
        frozen=_frozen_backbone(study),
        training_front=_on_front(study, lambda cost: cost.train_seconds.value),
        latency_front=_on_front(study, lambda cost: cost.latency_seconds.value),
        small=[one for model in study.models if (one := _small(study, model))],
    )


def _small(study: Study, model: Model) -> Small | None:
    """Return what is known of a model in 8 bits; None where it was not exported so, or of other images."""
    table, test = model.chosen.int8, model.chosen_test
    if table is None or not np.array_equal(table["index"], test.index):
        return None
    right = (table["prediction"] == table["target"]).to_numpy()
    found = compare({"int8": right[None], "fp32": test.correct[None]}, study.margin)[0]
    about = table.attrs
    return Small(
        model,
        found,
        float(right.mean()),
        int(about["bytes"]),
        float(about["latency_seconds"]),
        float(about["fp32_seconds"]),
    )


def _on_front(study: Study, price: Callable[[Cost], float]) -> list[Model]:
    return [model for model, _, on in study.pareto(price) if on]


def _frozen_backbone(study: Study) -> Frozen | None:
    for network, ways in study.three_ways.items():
        probe, tuned = (ways[mode].cost if mode in ways else None for mode in ("linear_probe", "fine_tune"))
        if not (probe and tuned):
            continue
        ratio = ratio_of(tuned.train_seconds, probe.train_seconds)
        if ratio and ratio > 1:
            mixed = mixed_in(ways["linear_probe"], ways["fine_tune"])
            return Frozen(network, mixed, probe.train_seconds, tuned.train_seconds, ratio)
    return None


def words(study: Study) -> Words:
    """Say what the models cost."""
    return Words(study, [*frozen_words(study), *price_words(study)])


def frozen_words(study: Study) -> Words:
    """Say what a frozen backbone saves."""
    found = facts(study)
    return Words(study, [_frozen(found)] if found else [], TOLD)


def price_words(study: Study) -> Words:
    """Say what training, answering, memory and energy cost, and which models are no bargain."""
    found = facts(study)
    say = (_training, _inference, _size, _front, _energy)
    return Words(study, [*(one(found) for one in say), *map(_in_8_bits, found.small)] if found else [], TOLD)


def _in_8_bits(small: Small) -> Sentence:
    test = small.test
    size = f"{signed(test.difference)} points; 95 % interval {points_range(test.low, test.high)}"
    kept = {
        "first": f"more than in 32 bits, beyond noise ({size})",
        "second": f"less than in 32 bits, beyond noise ({size})",
        "equivalent": f"as many as in 32 bits, within the difference that matters ({size})",
        "undecided": f"not to be told from 32 bits ({size})",
    }[test.verdict]
    text = (
        f"Exported in 8 bits, {small.model.spoken} takes {data_size(small.bytes)} and "
        f"{latency(small.latency_seconds)} for one image, against {latency(small.fp32_seconds)} measured "
        f"beside it, and gets {percent(small.accuracy)} of the test images right: {kept}."
    )
    return Sentence(text, f"cost.int8.{test.verdict}", small, ("tbl-cost",))


def _training(found: Facts) -> Sentence:
    fast, slow, apart = found.extremes(lambda cost: cost.train_seconds)
    seconds = {model: cost.train_seconds.value for model, cost in found.costs.items()}
    least, most = duration(seconds[fast]), duration(seconds[slow])
    if fast is slow:
        text = f"Training {fast.spoken} took {least}."
    else:
        text = f"Training took from {least} ({fast.spoken}) to {most} ({slow.spoken}){apart}."
    return Sentence(text, "cost.training", seconds, ("tbl-cost",))


def _inference(found: Facts) -> Sentence:
    fast, slow, apart = found.extremes(lambda cost: cost.latency_seconds)
    seconds = {model: cost.latency_seconds.value for model, cost in found.costs.items()}
    least, most = latency(seconds[fast]), latency(seconds[slow])
    if fast is slow:
        text = f"It answers for one image in {least}."
    else:
        text = f"For one image at a time {fast.spoken} needed {least} and {slow.spoken} {most}{apart}."
    return Sentence(text, "cost.inference", seconds, ("tbl-cost", "fig-pareto"))


def _size(found: Facts) -> Sentence:
    sized = sorted(found.costs.items(), key=lambda item: item[1].total_parameters)
    (small, least), (large, most) = sized[0], sized[-1]
    weight = f"{quantity(least.total_parameters)} parameters, {data_size(least.parameter_bytes)} in 32-bit"
    text = (
        f"Sizes go from {weight} ({small.spoken}) to {quantity(most.total_parameters)}, "
        f"{data_size(most.parameter_bytes)} ({large.spoken})."
    )
    if least.total_parameters == most.total_parameters:
        text = f"{'Its size is' if small is large else 'All are of one size,'} {weight}."
    evidence = {model: cost.total_parameters for model, cost in sized}
    return Sentence(text, "cost.size", evidence, ("tbl-cost",))


def _frozen(found: Facts) -> Sentence | None:
    frozen = found.frozen
    if frozen is None:
        return None
    seconds = f"{duration(frozen.probe.value)} against {duration(frozen.tuned.value)}"
    mixed = f"; they differ in {join(frozen.mixed_in)} as well" if frozen.mixed_in else ""
    text = (
        f"With its backbone frozen, {written(frozen.network)} trained {times(frozen.ratio)} faster than "
        f"fine-tuned ({seconds}){mixed}."
    )
    return Sentence(text, "cost.frozen", {"ratio": frozen.ratio}, ("tbl-cost",))


def _front(found: Facts) -> Sentence | None:
    """Name the models on both Pareto fronts, and those on neither."""
    if found.models < 2:
        return None
    training, latency_ = found.training_front, found.latency_front
    never = [model for model in found.costs if model not in training and model not in latency_]
    both = [model for model in found.costs if model in training and model in latency_]
    evidence = {
        "training": sorted(model.key for model in training),
        "latency": sorted(model.key for model in latency_),
    }
    return Sentence(_on_fronts(found, never, both), "cost.front", evidence, ("fig-pareto",))


def _on_fronts(found: Facts, never: Sequence[Model], both: Sequence[Model]) -> str:
    if never:
        are = "is" if len(never) == 1 else "are"
        return (
            f"{opened(spoken_list(never))} {are} on neither front as measured: for training time and for "
            "latency alike, some other model took no more of it and scored at least as well."
        )
    if len(both) == found.models:
        return "No model is dominated: each scores higher, as measured, than all that train or answer faster."
    if not both:
        return "No model is on both fronts, that of accuracy against training time and that against latency."
    return (
        f"{opened(spoken_list(both))} {'is' if len(both) == 1 else 'are'} on both fronts, that of accuracy "
        "against training time and that against latency; every other model is on one of them."
    )


def _energy(found: Facts) -> Sentence | None:
    used = {model: cost.energy_joules.value for model, cost in found.costs.items() if cost.energy_joules}
    if not used:
        return None
    told = join([f"{energy(joules)} for {model.spoken}" for model, joules in used.items()])
    if len(used) > MOST_NAMED:
        ranked = sorted(used, key=used.__getitem__)
        ends = [f"{energy(used[model])} ({model.spoken})" for model in (ranked[0], ranked[-1])]
        told = f"from {ends[0]} to {ends[1]}"
    note = found.costs[next(iter(used))].energy_note
    text = f"In energy, training took {told}{f', {note}' if note else ''}."
    return Sentence(text, "cost.energy", {**used, "note": note}, ("tbl-cost",))


def _title(study: Study) -> str:
    """Say which models no other beats in accuracy and in both times."""
    found, marks = facts(study), letters(study)
    assert found is not None
    if len(found.costs) == 1:
        [(model, cost)] = found.costs.items()
        seconds = duration(cost.train_seconds.value), latency(cost.latency_seconds.value)
        return f"{marks[model.key]} trains in {seconds[0]} and answers in {seconds[1]}"
    both = [marks[m.key] for m in found.costs if m in found.training_front and m in found.latency_front]
    never = [
        marks[m.key] for m in found.costs if m not in found.training_front and m not in found.latency_front
    ]
    if never:
        are = "is" if len(never) == 1 else "are"
        return f"{join(never)} {are} never the best buy, as measured: others score as high for less time"
    return f"{join(both)}: no model scores as high for less time" if both else "Each has its price"


@floats.figure(
    "fig-pareto",
    "Test accuracy against two costs, on logarithmic axes. Bars both ways: 95 % interval, and range "
    "measured over "
    "seeds (latency: to the 90th percentile).",
    _title,
    when=lambda study: any(model.cost for model in study.models),
    alternative="Scatter charts of test accuracy against time for one image and against training time.",
    data=lambda study: costs(study),
)
def figure(study: Study) -> list[Figure]:
    """Draw accuracy against the time of one answer and of training, with the spread of both."""
    return [_draw_price(study, words, price) for words, price in PRICES.items()]


def _draw_price(study: Study, words: str, price: Callable[[Cost], Interval]) -> Figure:
    drawing = theme.figure(2.7, theme.PANEL)
    drawing.set_label(words)
    axes = drawing.subplots()
    styles, marks = theme.model_styles(study), letters(study)
    places = {}
    for model in study.models:
        if not model.cost:
            continue
        style, score, cost = styles[model.key], model.accuracy, price(model.cost)
        axes.plot([cost.value] * 2, [score.low, score.high], color=style.color, lw=1.6)
        axes.plot([cost.low, cost.high], [score.value] * 2, color=style.color, lw=1.6)
        axes.plot(cost.value, score.value, style.marker, color=style.color, ms=7, mec=theme.PAPER.light)
        places[marks[model.key]] = (cost.value, score.value)
    axes.set_xscale("log")
    axes.margins(x=0.15, y=0.12)
    axes.grid(axis="y")
    axes.xaxis.set_major_locator(_locator(axes))
    axes.xaxis.set_major_formatter(lambda value, _: theme.amount(value))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set(xlabel=words, ylabel="test accuracy")
    theme.percent(axes.yaxis)
    _write_letters(axes, places)
    return drawing


def _locator(axes: Axes) -> Locator:
    """Return what puts a few round numbers on the axis, however few decades it spans."""
    low, high = axes.get_xlim()
    if high / low < 6:
        return MaxNLocator(nbins=3, steps=[1, 2, 5, 10])
    return LogLocator(subs=(1, 2, 5) if high / low < 100 else (1,))


def _write_letters(axes: Axes, points: dict[str, tuple[float, float]]) -> None:
    """Write each letter beside its point, on the side where it is farthest from the other points."""
    pixels = axes.transData.transform(list(points.values()))
    for place, (letter, point) in enumerate(points.items()):
        others = np.delete(pixels, place, axis=0)
        offset = max(SIDES, key=lambda side: _room(pixels[place] + side, others))
        axes.annotate(letter, point, offset, textcoords="offset points", ha="center", va="center", size=9)


def _room(place: np.ndarray, others: np.ndarray) -> float:
    """Return the distance to the nearest other point, as far as it matters."""
    return min(20.0, float(np.hypot(*(others - place).T).min())) if len(others) else 20.0


@floats.table(
    "tbl-cost",
    "Means over seeds, in brackets the range measured. One image: median time of an "
    "answer, up "
    "to its 90th percentile.",
    floats.named("What each model takes"),
    when=lambda study: any(model.cost for model in study.models),
)
def costs(study: Study) -> Table:
    """List what each model takes to keep, to train and to ask, the most accurate first."""
    ranked = sorted((m for m in study.models if m.cost), key=lambda model: -model.test_accuracy)
    rows = [[letters(study)[m.key], *_row(m, m.cost)] for m in ranked if m.cost]
    found = facts(study)
    rows += [["", *_small_row(small)] for small in found.small] if found else []
    header = ["", "Model", "Training", "One image", "Images/s", "Weights", "MACs", "Memory", "Energy"]
    if all(row[-1] == NONE for row in rows):
        header, rows = header[:-1], [row[:-1] for row in rows]
    return table(header, rows, "ll" + "r" * (len(header) - 2))


def _ranged(found: Interval, show: Callable[[float], str]) -> str:
    """Return a value, and in brackets between which it was measured where that differs: 12 s (10–14 s)."""
    low, high = show(found.low), show(found.high)
    if low == high:
        return show(found.value)
    unit = low.partition(NBSP)[2]
    start = low.partition(NBSP)[0] if unit == high.partition(NBSP)[2] and " " not in low else low
    return f"{show(found.value)} ({start}–{high})"


def _spread(seconds: Interval) -> str:
    """2.9 ms (2.7 to 3.4): the median, and from the 10th to the 90th percentile where these were kept."""
    low, high = (latency(end).removesuffix(f"{NBSP}ms") for end in (seconds.low, seconds.high))
    return latency(seconds.value) + (f" ({low} to {high})" if seconds.low < seconds.high else "")


def _small_row(small: Small) -> list[str]:
    """List a network in 8 bits; what was not measured of it stays empty."""
    label = f"{name(small.model.label)}, in 8 bits: {percent(small.accuracy)} right"
    return [label, NONE, latency(small.latency_seconds), NONE, data_size(small.bytes), NONE, NONE, NONE]


def _row(model: Model, found: Cost) -> list[str]:
    return [
        name(model.label),
        _ranged(found.train_seconds, duration),
        _ranged(found.latency_seconds, latency),
        f"{found.throughput.value:,.0f}",
        data_size(found.parameter_bytes),
        quantity(found.macs),
        data_size(found.peak_memory_bytes.value),
        energy(found.energy_joules.value) if found.energy_joules else NONE,
    ]
