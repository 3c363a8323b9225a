"""What the models cost: time to train, time per image, size, and which of them are never the best buy."""

from collections.abc import Callable

from pipeline.report.evidence.costs import Cost, ratio_of
from pipeline.report.evidence.interval import Interval
from pipeline.report.model import Model
from pipeline.report.study import Study
from pipeline.report.words.english import (
    data_size,
    duration,
    energy,
    join,
    latency,
    opened,
    quantity,
    times,
)
from pipeline.report.words.phrases import MOST_NAMED, spoken_list
from pipeline.report.words.sentence import Sentence


def spending(study: Study) -> list[Sentence]:
    """Argue the cost section; empty when no run recorded its costs."""
    models = [group for group in study.models if group.cost]
    if not models:
        return []
    found = [
        _training(models),
        _inference(models),
        _size(models),
        _probe(study),
        _front(study),
        _energy(models),
    ]
    return [sentence for sentence in found if sentence]


def _extremes(
    models: list[Model], of: Callable[[Cost], Interval]
) -> tuple[tuple[Model, Interval], tuple[Model, Interval], float | None]:
    """Return the cheapest and the dearest model with their prices, and the ratio unless it is noise."""
    priced = sorted(
        ((group, of(group.cost)) for group in models if group.cost), key=lambda pair: pair[1].value
    )
    return priced[0], priced[-1], ratio_of(priced[-1][1], priced[0][1])


def _training(models: list[Model]) -> Sentence:
    (fast, least), (slow, most), ratio = _extremes(models, lambda cost: cost.train_seconds)
    evidence = {group.key: group.cost.train_seconds.value for group in models if group.cost}
    if fast is slow:
        text = f"Training {fast.spoken} took {duration(least.value)}."
    elif ratio is None:
        text = f"All took about the same time to train, {_span(duration(least.value), duration(most.value))}."
    else:
        text = (
            f"Training took from {duration(least.value)} ({fast.spoken}) to {duration(most.value)} "
            f"({slow.spoken}), {times(ratio)} as long."
        )
    return Sentence(text, "cost.training", evidence, ["tbl-cost"])


def _span(low: str, high: str) -> str:
    return low if low == high else f"{low} to {high}"


def _inference(models: list[Model]) -> Sentence:
    (fast, least), (slow, most), ratio = _extremes(models, lambda cost: cost.latency_seconds)
    evidence = {group.key: group.cost.latency_seconds.value for group in models if group.cost}
    if fast is slow:
        text = f"It answers for one image in {latency(least.value)}."
    elif ratio is None:
        span = _span(latency(least.value), latency(most.value))
        text = f"All answer for one image in about the same time, {span}."
    else:
        text = (
            f"For one image at a time {fast.spoken} needs {latency(least.value)} and {slow.spoken} "
            f"{latency(most.value)}, {times(ratio)} as long."
        )
    return Sentence(text, "cost.inference", evidence, ["tbl-cost", "fig-pareto"])


def _size(models: list[Model]) -> Sentence | None:
    sized = sorted(((g, g.cost) for g in models if g.cost), key=lambda pair: pair[1].total_parameters)
    (small, least), (large, most) = sized[0], sized[-1]
    evidence = {group.key: cost.total_parameters for group, cost in sized}
    weight = f"{quantity(least.total_parameters)} parameters, {data_size(least.parameter_bytes)} in 32-bit"
    if least.total_parameters == most.total_parameters:
        subject = "Its size is" if small is large else "All are of one size,"
        return Sentence(f"{subject} {weight}.", "cost.size", evidence, ["tbl-cost"])
    text = (
        f"The smallest is {small.spoken} ({weight}), the largest {large.spoken} "
        f"({quantity(most.total_parameters)}, {data_size(most.parameter_bytes)})."
    )
    return Sentence(text, "cost.size", evidence, ["tbl-cost"])


def _probe(study: Study) -> Sentence | None:
    """Say what freezing the backbone saves, on the first network that ran frozen and fine-tuned."""
    for ways in study.three_ways.values():
        probe, tuned = ways.get("linear_probe"), ways.get("fine_tune")
        if not (probe and tuned and probe.cost and tuned.cost):
            continue
        ratio = ratio_of(tuned.cost.train_seconds, probe.cost.train_seconds)
        if ratio and ratio > 1:
            text = (
                f"Freezing the backbone of {probe.name} makes training {times(ratio)} faster than tuning it "
                f"({duration(probe.cost.train_seconds.value)} against "
                f"{duration(tuned.cost.train_seconds.value)}), since it reads each image once; at inference "
                "the two are the same network."
            )
            return Sentence(text, "cost.frozen", {"ratio": ratio}, ["tbl-cost"])
    return None


def _front(study: Study) -> Sentence | None:
    """Name the models on both Pareto fronts, and those on neither."""
    if len(study.models) < 2:
        return None
    fronts = [
        study.pareto(lambda cost: cost.train_seconds.value),
        study.pareto(lambda cost: cost.latency_seconds.value),
    ]
    on = [{group.key for group, _, kept in front if kept} for front in fronts]
    never = [group for group in study.models if group.cost and group.key not in on[0] | on[1]]
    both = [group for group in study.models if group.key in on[0] & on[1]]
    evidence = {"training": sorted(on[0]), "latency": sorted(on[1])}
    text = _on_fronts(study, never, both)
    return Sentence(text, "cost.front", evidence, ["fig-pareto"])


def _on_fronts(study: Study, never: list[Model], both: list[Model]) -> str:
    if never:
        are = "is" if len(never) == 1 else "are"
        return (
            f"{opened(spoken_list(never))} {are} a poor buy here: whether training time or latency counts, "
            "some other model takes no more of it and scored at least as well."
        )
    if len(both) == len(study.models):
        return "No model is dominated: each scores higher, as measured, than all that train or answer faster."
    if not both:
        return "No model is on both fronts, that of accuracy against training time and that against latency."
    return (
        f"{opened(spoken_list(both))} {'is' if len(both) == 1 else 'are'} on both fronts, that of accuracy "
        "against training time and that against latency; every other model is on one of them."
    )


def _energy(models: list[Model]) -> Sentence | None:
    known = [(group, group.cost) for group in models if group.cost and group.cost.energy_joules]
    if not known:
        return None
    used = {group.key: cost.energy_joules.value for group, cost in known if cost.energy_joules}
    words = join([f"{energy(used[group.key])} for {group.spoken}" for group, _ in known])
    if len(known) > MOST_NAMED:
        ranked = sorted((group for group, _ in known), key=lambda group: used[group.key])
        ends = [f"{energy(used[group.key])} ({group.spoken})" for group in (ranked[0], ranked[-1])]
        words = f"from {ends[0]} to {ends[1]}"
    note = known[0][1].energy_note
    text = f"In energy, training took {words}{f', {note}' if note else ''}."
    evidence: dict[str, object] = {**used, "note": note}
    return Sentence(text, "cost.energy", evidence, ["tbl-cost"])
