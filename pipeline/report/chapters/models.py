"""The models: which networks ran, in which ways, and what is in them."""

import re
from typing import Any

from IPython.display import Markdown

from pipeline.report.look import floats
from pipeline.report.look.floats import NOTHING
from pipeline.report.look.markup import text, typst_string
from pipeline.report.look.table import NONE, Drawn, Table, name, table
from pipeline.report.look.theme import letters
from pipeline.report.model import Model
from pipeline.report.study import Study
from pipeline.report.words.english import escape_markdown, join, number_word, plural
from pipeline.report.words.numbers import percent, quantity

WAYS = {
    "scratch": "from scratch, without pretrained weights",
    "linear_probe": "as a linear probe, with only a new last layer learning",
    "fine_tune": "fine-tuned, with a new last layer and the rest learning on",
}
MOST_LAYERS = 30
JOINT = " to "  # between the first and the last of the stages in one row
NUMBERED = re.compile(r"(stage|block|layer)s((?:\.\d+)+)(?:\.|$)")  # as programs count, from zero


def introduction(study: Study) -> Markdown:
    """Say which networks ran, in which of the three ways."""
    models = study.models
    if not models:
        return Markdown("No network finished its training.")
    names = list(
        dict.fromkeys("the custom CNN" if model.is_custom else model.network_name for model in models)
    )
    networks = f"{number_word(len(names))} networks" if len(names) > 1 else "one network"
    ways = [words for mode, words in WAYS.items() if any(model.mode == mode for model in models)]
    how = f"trained {ways[0]}"
    if len(ways) > 1:
        how = f"in {number_word(len(ways))} ways: {'; '.join(ways[:-1])}; and {ways[-1]}"
    text = f"{networks[0].upper()}{networks[1:]}, {join(names)}, {how}.{_left_out(study)}"
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


@floats.table(
    "tbl-models",
    "Trained: how many parameters training may change. MACs: multiply-adds for one image.",
    floats.named("The networks and where they start"),
)
def listed(study: Study) -> Table:
    """List the networks: what they start from, how large they are."""
    header = ["", "Model", "Starts from", "Input", "Parameters", "Trained", "MACs"]
    marks = letters(study)
    return table(header, [[marks[model.key], *_model(model)] for model in study.models], "lllrrrr")


def _model(model: Model) -> list[str]:
    info = model.network
    unnamed = "pretrained weights" if model.pretrained else "no pretrained weights"
    start = (info and info.weights_name) or getattr(info, "initialisation", None) or unnamed
    return [
        name(model.label),
        name(start, 60),
        f"{info.input_size} px" if info else NONE,
        quantity(info.total_parameters) if info else NONE,
        quantity(info.trainable_parameters) if info else NONE,
        quantity(info.macs) if info else NONE,
    ]


def _stages(model: Model | None) -> list[dict[str, Any]]:
    return model.network.layers if model and model.network else []


def _drawn(study: Study) -> Model | None:
    """Return the network that is drawn: the custom CNN, or without one the best on val."""
    return study.custom or study.best


def _title(study: Study) -> str:
    model = _drawn(study)
    assert model is not None
    assert model.network is not None
    info = model.network
    share = percent(info.trainable_parameters / max(info.total_parameters, 1), 0)
    return (
        f"{letters(study)[model.key]}, {model.label}: {plural(len(info.layers), 'stage')}, "
        f"{quantity(info.total_parameters)} parameters, {share} of them trained"
    )


@floats.figure(
    "fig-network",
    "Each block: its layers, what it hands on (channels × height × width), its parameters.",
    _title,
    when=lambda study: _stages(_drawn(study)),
    data=lambda study: _stage_table(_drawn(study)),
    wide=True,
)
def network(study: Study) -> Drawn:
    """Draw a network as blocks, from input to output, as its run recorded them."""
    model = _drawn(study)
    size = model.network.input_size if model and model.network else ""
    first = (("image", "", f"3 × {size} × {size}", "", True),)
    blocks = [*first, *(_block(stage) for stage in _with_training(model)[:MOST_LAYERS])]
    page = "".join(
        f"<li{'' if trained else ' class=frozen'}><b>{text(title)}</b><span>{text(parts)}</span>"
        f"<span>{text(output)}</span><span>{text(count)}</span></li>"
        for title, parts, output, count, trained in blocks
    )
    paper = ", ".join(
        f"({', '.join(map(typst_string, words))}, {str(trained).lower()})" for *words, trained in blocks
    )
    return Drawn(f'<ol class="blocks">{page}</ol>', f"#blocks(({paper},))", "a network, block by block")


def _with_training(model: Model | None) -> list[dict[str, Any]]:
    """Return the stages, each with what the mode of its model trains of it."""
    stages = _stages(model)
    if model is None or model.mode == "scratch":
        return stages
    frozen = model.mode == "linear_probe"
    return [
        {**one, "trained": 0 if frozen and one is not stages[-1] else one["parameters"]} for one in stages
    ]


def stage_name(recorded: str) -> str:
    """Count numbered stages from one, in words: "stages.0 to stages.1.0" → "stage 1 to stage 2.1"."""

    def counted(found: re.Match[str]) -> str:
        numbers = ".".join(str(int(number) + 1) for number in found[2][1:].split("."))
        return f"{found[1]} {numbers} "

    names = recorded.split(JOINT)
    return JOINT.join(NUMBERED.sub(counted, one).rstrip() if NUMBERED.match(one) else one for one in names)


def _block(stage: dict[str, Any]) -> tuple[str, str, str, str, bool]:
    output, count, trained = stage.get("output", ""), stage.get("parameters"), stage.get("trained")
    shape = output if isinstance(output, str) else " × ".join(map(str, output))
    parts = " → ".join(stage.get("parts") or [str(stage.get("kind", ""))])
    words = "" if count is None else plural(count, "parameter")
    return (
        stage_name(str(stage.get("name", ""))),
        parts,
        shape,
        words + (", not trained" if trained == 0 else ""),
        trained != 0,
    )


def _stage_table(model: Model | None) -> Table:
    rows = [[escape_markdown(part) for part in _block(stage)[:4]] for stage in _with_training(model)]
    return table(["Stage", "Layers", "Output", "Parameters"], rows, "lllr")


def _best_is_another(study: Study) -> bool:
    """Whether the best network has stages to list and is not the one that is drawn."""
    return bool(_stages(study.best)) and study.best is not _drawn(study)


@floats.table(
    "tbl-layers",
    "What each stage hands on for one image, as channels × height × width, and its parameters.",
    lambda study: f"The stages of {study.best.label}" if study.best else "",
    when=_best_is_another,
)
def layers(study: Study) -> Table:
    """List the stages of the best model, where another one is drawn."""
    return _stage_table(study.best)
