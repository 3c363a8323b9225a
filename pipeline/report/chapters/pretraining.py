"""The same network three ways: what pretraining gave it and what fine-tuning added."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from pipeline.report.look import floats, theme
from pipeline.report.look.paragraph import Words
from pipeline.report.look.theme import short
from pipeline.report.model import Model
from pipeline.report.names import MODE_WORDS
from pipeline.report.study import Study
from pipeline.report.words.claims import Claim, claim
from pipeline.report.words.phrases import at_size
from pipeline.report.words.sentence import Sentence

REFERENCES = ("fig-three-ways", "tbl-tests")


@dataclass(frozen=True)
class Network:
    """One network, and what may be claimed of its modes against each other, where both ran."""

    name: str
    tuned: Claim | None  # fine-tuned against from scratch
    probed: Claim | None  # linear probe against from scratch
    tuning: Claim | None  # fine-tuned against linear probe


@dataclass(frozen=True)
class Facts:
    """Networks that ran in several modes; without any, the models that cannot be compared so."""

    networks: Sequence[Network]
    models: Sequence[Model]


def facts(study: Study) -> Facts:
    """Return what is known of each network in its modes."""
    ways = study.three_ways.items()
    return Facts([_network(study, name, modes) for name, modes in ways], study.models)


def _network(study: Study, name: str, ways: Mapping[str, Model]) -> Network:
    def between(first: str, second: str) -> Claim | None:
        return claim(study, ways[first], ways[second]) if {first, second} <= ways.keys() else None

    return Network(
        name,
        tuned=between("fine_tune", "scratch"),
        probed=between("linear_probe", "scratch"),
        tuning=between("fine_tune", "linear_probe"),
    )


def words(study: Study) -> Words:
    """Compare the modes of each network that ran in more than one."""
    found = facts(study)
    sentences = [sentence for network in found.networks for sentence in _modes(network)]
    return Words(study, sentences or [_no_network(found)], told=REFERENCES)


def _modes(network: Network) -> list[Sentence]:
    it, sentences = network.name, []
    if network.tuned:
        way = f"Fine-tuned from its pretrained weights, {it} reaches"
        sentences.append(_against_scratch(network.tuned, way))
        it = "it"
    if network.probed:
        these = "these weights" if sentences else "its pretrained weights"
        way = f"With {these} frozen below a new last layer, {it} reaches"
        sentences.append(_against_scratch(network.probed, way))
        it = "it"
    if network.tuning:
        sentences.append(_tuning(network.tuning, it))
    return sentences


def _figures(said: Claim) -> tuple[str, str]:
    """Return both accuracies, with the image sizes where these differ."""
    a, b = said.scores
    return f"{a}{at_size(said.first, said.second)}", f"{b}{at_size(said.second, said.first)}"


def _against_scratch(said: Claim, way: str) -> Sentence:
    a, b = _figures(said)
    text = (
        f"{way} {a}, {said.size} {said.more} than the {b} that it reaches from scratch ({said.support})."
        if said.settled
        else f"{way} {a}, and trained from scratch {b}: {said.why_level}."
    )
    return Sentence(text, f"pretraining.{said.first.mode}.{said.outcome}", said.evidence, REFERENCES)


def _tuning(said: Claim, it: str) -> Sentence:
    a, b = _figures(said)
    figures = f"{a} against {b}"
    text = {
        "equivalent": f"Fine-tuning {it} and leaving its features frozen come out level: {figures}, "
        f"{said.why_level}.",
        "undecided": f"Whether fine-tuning {it} adds to its frozen features these runs cannot tell: "
        f"{figures}, {said.why_level}.",
        "gain": f"Fine-tuning {it} adds {said.size} to what its frozen features reach ({figures}; "
        f"{said.support}).",
        "loss": f"Fine-tuning {it} loses {said.size} against leaving its features frozen ({figures}; "
        f"{said.support}).",
    }[said.outcome]
    return Sentence(text, f"pretraining.tuning.{said.outcome}", said.evidence, REFERENCES)


def _no_network(found: Facts) -> Sentence | None:
    pretrained = [model for model in found.models if model.pretrained]
    if not found.models:
        return None
    if not pretrained:
        text = "No run starts from pretrained weights, so there is nothing to say of what they give."
    elif len(pretrained) == len(found.models):
        text = (
            "No run starts from scratch, so what the pretrained weights give cannot be told from what the "
            "architecture gives."
        )
    else:
        text = (
            "The pretrained models and those from scratch are different networks, so architecture and "
            f"pretraining are mixed in every comparison here; {pretrained[0].name} with mode scratch would "
            "separate them."
        )
    return Sentence(text, "pretraining.unknown", {"networks": found.models})


def _no_ways(study: Study) -> str:
    return "" if study.three_ways else "No network ran in more than one mode here."


@floats.figure("fig-three-ways", why=_no_ways)
def figure(study: Study) -> Figure:
    """Draw the accuracy of networks that ran in several modes: from scratch, linear probe, fine-tuned."""
    drawing = theme.figure(3.2)
    axes = drawing.subplots()
    styles = theme.model_styles(study)
    for number, ways in enumerate(study.three_ways.values()):
        shift = 0.06 * (number - (len(study.three_ways) - 1) / 2)
        _draw_ways(axes, ways, shift, styles)
    ran = [mode for mode in MODE_WORDS if any(mode in ways for ways in study.three_ways.values())]
    places = [list(MODE_WORDS).index(mode) for mode in ran]  # no place for a way in which nothing ran
    axes.set_xticks(places, [MODE_WORDS[mode] for mode in ran])
    axes.set(xlim=(min(places) - 0.3, max(places) + 0.9), ylabel="test accuracy")
    axes.margins(y=0.12)
    theme.percent(axes.yaxis)
    axes.grid(axis="y")
    _name_networks(axes, study)
    return drawing


def _name_networks(axes: Axes, study: Study) -> None:
    """Name each line at its last dot, the names kept apart where lines end close together."""
    modes, (low, high) = list(MODE_WORDS), axes.get_ylim()
    last = {name: list(ways)[-1] for name, ways in study.three_ways.items()}
    for mode in modes:
        names = [name for name, end in last.items() if end == mode]
        heights = [study.three_ways[name][mode].accuracy.value for name in names]
        for name, height in zip(names, theme.spread(heights, (high - low) * 0.065), strict=True):
            axes.text(modes.index(mode) + 0.16, height, short(name, 22), va="center")


def _draw_ways(
    axes: Axes, ways: Mapping[str, Model], shift: float, styles: Mapping[str, theme.ModelStyle]
) -> None:
    places = {mode: place + shift for place, mode in enumerate(MODE_WORDS)}
    xs, ys = [places[mode] for mode in ways], [model.accuracy.value for model in ways.values()]
    axes.plot(xs, ys, color=theme.BAR.light, lw=1.2, zorder=1)
    for mode, model in ways.items():
        style, score = styles[model.key], model.accuracy
        axes.plot([places[mode]] * 2, [score.low, score.high], color=style.color, lw=2.6)
        axes.plot(places[mode], score.value, style.marker, color=style.color, ms=8, mec=theme.PAPER.light)
