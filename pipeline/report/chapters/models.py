"""The models: which networks ran, in which ways, and what is in them."""

from typing import Any

from IPython.display import Markdown

from pipeline.report.look import floats
from pipeline.report.look.paragraph import NOTHING
from pipeline.report.look.table import NONE, name, table
from pipeline.report.look.theme import letters
from pipeline.report.model import Model
from pipeline.report.study import Study
from pipeline.report.words.english import escape_markdown, join, number_word
from pipeline.report.words.numbers import quantity

WAYS = {
    "scratch": "from scratch, that is without pretrained weights",
    "linear_probe": "as a linear probe, where a pretrained network stays as it is below a new last layer",
    "fine_tune": "fine-tuned, where a pretrained network gets a new last layer and the rest may learn on too",
}
MOST_LAYERS = 30


def introduction(study: Study) -> Markdown:
    """Say which networks ran, in which of the three ways."""
    models = study.models
    if not models:
        return Markdown("No network finished its training.")
    names = list(dict.fromkeys("the custom CNN" if model.is_custom else model.name for model in models))
    networks = f"{number_word(len(names))} networks" if len(names) > 1 else "one network"
    ways = [words for mode, words in WAYS.items() if any(model.mode == mode for model in models)]
    how = f"trained {ways[0]}"
    if len(ways) > 1:
        how = f"in {number_word(len(ways))} ways: {'; '.join(ways[:-1])}; and {ways[-1]}"
    text = f"This report is about {networks}, {join(names)}, {how}.{_left_out(study)}"
    return Markdown(escape_markdown(text))


def _left_out(study: Study) -> str:
    """Name the models that figures and tables with few places leave out."""
    shown, marks = floats.shown_models(study), letters(study)
    missing = [marks[model.key] for model in study.models if model not in shown]
    if not missing:
        return ""
    return (
        f" What shows models side by side has room for {len(shown)} of these {len(study.models)}: the two "
        f"that the report compares and the best on val. It leaves out {join(missing)}."
    )


def descriptions(study: Study) -> Markdown:
    """Say what each network is, as far as its runs tell."""
    marks = letters(study)
    known = [(marks[m.key], m.network.description) for m in study.models if m.network]
    items = [f"- {mark}\\: {escape_markdown(words)}" for mark, words in known if words]
    return Markdown("\n\n" + "\n".join(items) + "\n\n" if items else NOTHING)


@floats.table("tbl-models")
def listed(study: Study) -> Markdown:
    """List the networks: what they start from, how large they are, how they were trained."""
    header = ["Key", "Model", "Starts from", "Input", "Parameters", "Trained", "MACs", "Recipe"]
    marks = letters(study)
    return table(header, [[marks[model.key], *_model(model)] for model in study.models], "lllrrrrl")


def _model(model: Model) -> list[str]:
    info, settings = model.network, model.settings
    unnamed = "pretrained weights" if model.pretrained else "no pretrained weights"
    start = (info and info.weights_name) or getattr(info, "initialisation", None) or unnamed
    recipe = f"{settings.optimizer} {settings.learning_rate:g}, batch {settings.batch_size}"
    return [
        name(model.label),
        name(start, 30),
        f"{info.input_size} px" if info else NONE,
        quantity(info.total_parameters) if info else NONE,
        quantity(info.trainable_parameters) if info else NONE,
        quantity(info.macs) if info else NONE,
        escape_markdown(recipe),
    ]


def _opened(study: Study) -> list[dict[str, Any]]:
    """Return the recorded stages of the custom CNN, or of the best model."""
    model = study.custom or study.best
    return model.network.layers if model and model.network else []


def _no_layers(study: Study) -> str:
    return "" if _opened(study) else "The runs did not record the stages of the network."


@floats.table("tbl-layers", why=_no_layers)
def layers(study: Study) -> Markdown:
    """List the stages of the custom CNN, or of the best model, from input to output."""
    found = _opened(study)
    rows = [_layer(layer) for layer in found[:MOST_LAYERS]]
    if len(found) > MOST_LAYERS:
        rows.append([f"{len(found) - MOST_LAYERS} more", "", "", ""])
    return table(["Stage", "Kind", "Output", "Parameters"], rows, "lllr")


def _layer(layer: dict[str, Any]) -> list[str]:
    output = layer.get("output", NONE)
    shape = output if isinstance(output, str) else " × ".join(map(str, output))
    count = layer.get("parameters")
    words = [name(str(layer.get(key, NONE)), 40) for key in ("name", "kind")]
    return [*words, escape_markdown(shape), NONE if count is None else f"{count:,}"]
