"""Cost: time to train, time per image, size, energy, and which models are never the best buy."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from IPython.display import Markdown
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import Locator, LogLocator, MaxNLocator, NullLocator

from pipeline.report.evidence.costs import Cost, ratio_of, relation
from pipeline.report.evidence.interval import Interval
from pipeline.report.look import floats, theme
from pipeline.report.look.paragraph import Words
from pipeline.report.look.table import NONE, name, table
from pipeline.report.model import Model
from pipeline.report.study import Study
from pipeline.report.words.claims import mixed_in
from pipeline.report.words.english import join, opened
from pipeline.report.words.numbers import NBSP, data_size, duration, energy, latency, quantity, times
from pipeline.report.words.phrases import MOST_NAMED, spoken_list
from pipeline.report.words.prices import once
from pipeline.report.words.sentence import Sentence

SIDES = ((10, 6), (10, -6), (-10, 6), (-10, -6))  # points from a mark to its letter
PRICES: dict[str, Callable[[Cost], float]] = {
    "parameters": lambda cost: cost.total_parameters,
    "multiply-adds for one image": lambda cost: cost.macs,
    "seconds of training": lambda cost: cost.train_seconds.value,
    "milliseconds for one image": lambda cost: 1000 * cost.latency_seconds.value,
}


@dataclass(frozen=True)
class Frozen:
    """The first network that trained faster frozen than fine-tuned."""

    network: str
    mixed_in: Sequence[str]  # what else differs between the two
    probe: Interval  # seconds of training
    tuned: Interval
    ratio: float


@dataclass(frozen=True)
class Facts:
    """What the models cost, in params order, and which are on the fronts of accuracy against cost."""

    models: int  # those without recorded costs included
    costs: Mapping[Model, Cost]
    frozen: Frozen | None
    training_front: Sequence[Model]
    latency_front: Sequence[Model]

    def extremes(self, of: Callable[[Cost], Interval]) -> tuple[Model, Model, str]:
        """Return the cheapest and the dearest model, and how their prices compare, as words."""
        ranked = sorted(self.costs, key=lambda model: of(self.costs[model]).value)
        cheap, dear = ranked[0], ranked[-1]
        return cheap, dear, _apart(of(self.costs[dear]), of(self.costs[cheap]))


def _apart(dear: Interval, cheap: Interval) -> str:
    """Say how many times as long, where the spread allows it, or why nobody can tell."""
    ratio = ratio_of(dear, cheap)
    if ratio is not None:
        return f", {times(ratio)} as long"
    told = {"same": ", about the same", "open": "; whether these differ the runs cannot tell"}
    return told.get(relation(dear, cheap), f", {once(dear, cheap)}")


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
    found = facts(study)
    say = (_training, _inference, _size, _frozen, _front, _energy)
    return Words(study, [one(found) for one in say] if found else [], told=("fig-pareto", "tbl-cost"))


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
        f"With its backbone frozen, {frozen.network} trained {times(frozen.ratio)} faster than fine-tuned "
        f"({seconds}){mixed}."
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


def _no_costs(study: Study) -> str:
    return "" if any(model.cost for model in study.models) else "No run measured what it cost."


@floats.figure("fig-pareto", why=_no_costs)
def figure(study: Study) -> Figure:
    """Draw accuracy with its interval against four costs; a line joins the models on each front."""
    drawing = theme.figure(4.7 + 0.1 * len(study.models))
    parts = drawing.subfigures(2, 1, squeeze=False, height_ratios=(4.6, 0.1 + 0.1 * len(study.models)))
    grid, below = parts[:, 0]
    panels = grid.subplots(2, 2, sharey=True)
    for axes, (words, price) in zip(panels.flat, PRICES.items(), strict=True):
        _draw_price(axes, study, price)
        axes.set_xlabel(words)
    for axes in panels[:, 0]:
        axes.set_ylabel("test accuracy")
        theme.percent(axes.yaxis)
    theme.model_legend(below, study)
    return drawing


def _draw_price(axes: Axes, study: Study, price: Callable[[Cost], float]) -> None:
    styles, marks = theme.model_styles(study), theme.letters(study)
    priced = study.pareto(price)
    front = sorted((value, model.test_accuracy) for model, value, on in priced if on)
    axes.plot(*zip(*front, strict=True), color=theme.BAR.light, lw=1.4, drawstyle="steps-post", zorder=1)
    for model, value, _ in priced:
        style, score = styles[model.key], model.accuracy
        axes.plot([value, value], [score.low, score.high], color=style.color, lw=1.8)
        axes.plot(value, score.value, style.marker, color=style.color, ms=7, mec=theme.PAPER.light)
    axes.set_xscale("log")
    axes.margins(x=0.15, y=0.1)
    axes.grid(axis="y")
    axes.xaxis.set_major_locator(_locator(axes))
    axes.xaxis.set_major_formatter(lambda value, _: theme.amount(value))
    axes.xaxis.set_minor_locator(NullLocator())
    _write_letters(axes, {marks[model.key]: (value, model.test_accuracy) for model, value, _ in priced})


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


@floats.table("tbl-cost", why=_no_costs)
def costs(study: Study) -> Markdown:
    """List what each model takes to keep, to train and to ask."""
    rows = [_row(model, model.cost) for model in study.models if model.cost]
    header = ["Model", "Weights", "MACs", "Training", "One image", "Images/s", "Memory", "Energy"]
    if all(row[-1] == NONE for row in rows):
        header, rows = header[:-1], [row[:-1] for row in rows]
    return table(header, rows, "l" + "r" * (len(header) - 1))


def _spread(seconds: Interval) -> str:
    """2.9 ms (2.7 to 3.4): the median, and from the 10th to the 90th percentile where these were kept."""
    low, high = (latency(end).removesuffix(f"{NBSP}ms") for end in (seconds.low, seconds.high))
    return latency(seconds.value) + (f" ({low} to {high})" if seconds.low < seconds.high else "")


def _row(model: Model, found: Cost) -> list[str]:
    return [
        name(model.label),
        data_size(found.parameter_bytes),
        quantity(found.macs),
        duration(found.train_seconds.value),
        _spread(found.latency_seconds),
        f"{found.throughput.value:,.0f}",
        data_size(found.peak_memory_bytes.value),
        energy(found.energy_joules.value) if found.energy_joules else NONE,
    ]
