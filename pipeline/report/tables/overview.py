"""Tables of what ran: the headline, the models, their runs."""

from typing import Any

from IPython.display import Markdown

from pipeline.record import RunRecord
from pipeline.report.look.theme import letters
from pipeline.report.model import Model
from pipeline.report.study import Study
from pipeline.report.tables.markdown import NONE, bold, name, needs_models, nothing, table
from pipeline.report.words.english import duration, escape_markdown, latency, percent, quantity

MOST_LAYERS = 30


def headline(study: Study) -> Markdown:
    """List every model that was asked for: scores on test, size and times; failed ones in their place."""
    header = ["Key", "Model", "Accuracy", "95 % interval", "Precision", "Recall", "F1"]
    header += ["Parameters", "Training", "One image"]
    groups = {group.label: group for group in study.models}
    asked = dict.fromkeys(study.names.values())
    rows = [_scores(study, groups[label]) if label in groups else _missing(study, label) for label in asked]
    return table(header, rows, "llrrrrrrrr")


def _scores(study: Study, group: Model) -> list[str]:
    estimate, cost = group.accuracy, group.cost
    interval = f"{100 * estimate.low:.1f}–{100 * estimate.high:.1f}"
    return [
        letters(study)[group.key],
        name(group.label) + _seeds_lost(study, group),
        bold(percent(estimate.value), group is study.best),
        interval,
        *(percent(group.mean(score)) for score in ("precision_macro", "recall_macro", "f1_macro")),
        quantity(cost.total_parameters) if cost else NONE,
        duration(cost.train_seconds.value) if cost else NONE,
        latency(cost.latency_seconds.value) if cost else NONE,
    ]


def _seeds_lost(study: Study, group: Model) -> str:
    lost = sum(study.names[record.run_id] == group.label for record in study.failures)
    return f" ({lost} of {lost + len(group.records)} runs failed)" if lost else ""


def _missing(study: Study, label: str) -> list[str]:
    failed = any(study.names[record.run_id] == label for record in study.failures)
    return ["", name(label), "failed" if failed else "set apart", *[NONE] * 7]


@needs_models
def models(study: Study) -> Markdown:
    """List the networks: what they start from, how large they are, how they were trained."""
    header = ["Key", "Model", "Starts from", "Input", "Parameters", "Trained", "MACs", "Recipe"]
    marks = letters(study)
    return table(header, [[marks[group.key], *_model(group)] for group in study.models], "lllrrrrl")


def _model(group: Model) -> list[str]:
    info, settings = group.network, group.settings
    start = (info and info.weights_name) or ("pretrained weights" if group.pretrained else "random weights")
    recipe = f"{settings.optimizer} {settings.learning_rate:g}, batch {settings.batch_size}"
    return [
        name(group.label),
        name(start, 30),
        f"{info.input_size} px" if info else NONE,
        quantity(info.total_parameters) if info else NONE,
        quantity(info.trainable_parameters) if info else NONE,
        quantity(info.macs) if info else NONE,
        escape_markdown(recipe),
    ]


@needs_models
def layers(study: Study) -> Markdown:
    """List the stages of the custom CNN, or of the best model, from input to output."""
    group = study.custom or study.best
    info = group.network if group else None
    if info is None or not info.layers:
        return nothing("The runs did not record the stages of the network.")
    rows = [_layer(layer) for layer in info.layers[:MOST_LAYERS]]
    if len(info.layers) > MOST_LAYERS:
        rows.append([f"{len(info.layers) - MOST_LAYERS} more", "", "", ""])
    return table(["Stage", "Kind", "Output", "Parameters"], rows, "lllr")


def _layer(layer: dict[str, Any]) -> list[str]:
    output = layer.get("output", NONE)
    shape = output if isinstance(output, str) else " × ".join(map(str, output))
    count = layer.get("parameters")
    words = [name(str(layer.get(key, NONE)), 40) for key in ("name", "kind")]
    return [*words, escape_markdown(shape), NONE if count is None else f"{count:,}"]


def runs(study: Study) -> Markdown:
    """List every run: whole, failed or set apart, with what one needs to find it again."""
    every = [*study.records, *study.failures, *study.apart]
    order = list(study.names)
    rows = [_run(study, record) for record in sorted(every, key=lambda record: order.index(record.run_id))]
    return table(["Run", "Seed", "Outcome", "Test accuracy", "Time"], rows, "lrlrr")


def _run(study: Study, record: RunRecord) -> list[str]:
    timings = record.details.timings
    took = timings.papermill_seconds or timings.train_seconds if timings else None
    right = percent(float(record.split("test").correct.mean())) if record.complete else NONE
    return [
        f"`{record.run_id}`",
        str(record.settings.seed),
        _outcome(study, record),
        right,
        duration(took) if took else NONE,
    ]


def _outcome(study: Study, record: RunRecord) -> str:
    failure = record.details.failure
    if failure:
        return escape_markdown(
            f"failed in cell {failure.cell}: {failure.message}" if failure.cell else failure.message
        )
    if record in study.apart:
        return "set apart: other test images or classes"
    epochs = len(record.history)
    return f"{epochs} epochs, kept {record.details.best_epoch}" if epochs else "whole"
