"""The same network three ways: what pretraining gave it and what fine-tuning added."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pipeline.report.look.paragraph import Words
from pipeline.report.model import Model
from pipeline.report.names import network as network_name
from pipeline.report.study import Study
from pipeline.report.words.claims import Claim, claim, same_network
from pipeline.report.words.phrases import at_size
from pipeline.report.words.sentence import Sentence

REFERENCES = ("fig-accuracy", "tbl-tests")


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
    ran_both_ways: bool
    told: Claim | None  # whose figures stand in the answer


def facts(study: Study) -> Facts:
    """Return what is known of each network in its modes."""
    ways = study.three_ways.items() if study.learned else ()  # who all name one class say nothing of weights
    networks = [_network(study, name, modes) for name, modes in ways]
    return Facts(networks, study.models, study.ran_both_ways, same_network(study))


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
    sentences = [sentence for network in found.networks for sentence in _modes(network, found.told)]
    return Words(study, sentences or [_no_network(found)], told=REFERENCES)


def _modes(network: Network, told: Claim | None) -> list[Sentence]:
    it, sentences = network_name(network.name), []
    if network.tuned:
        way = f"Fine-tuned from its pretrained weights, {it} reaches"
        sentences.append(_against_scratch(network.tuned, way, told))
        it = "it"
    if network.probed:
        these = "these weights" if sentences else "its pretrained weights"
        way = f"With {these} frozen below a new last layer, {it} reaches"
        sentences.append(_against_scratch(network.probed, way, told))
        it = "it"
    if network.tuning:
        sentences.append(_tuning(network.tuning, it))
    return sentences


def _figures(said: Claim) -> tuple[str, str]:
    """Return both accuracies, with the image sizes where these differ."""
    a, b = said.scores
    return f"{a}{at_size(said.first, said.second)}", f"{b}{at_size(said.second, said.first)}"


def _against_scratch(said: Claim, way: str, told: Claim | None) -> Sentence:
    a, b = _figures(said)
    text = f"{way} {a}, and trained from scratch {b}: {said.why_level}."
    if said.settled:
        text = f"{way} {a}, {said.size} {said.more} than the {b} from scratch ({said.support})."
        if said == told:
            text = f"{way} {said.size} {said.more} than from scratch."
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
    elif found.ran_both_ways:
        text = (
            "No network is shown to have learned anything both with and without its pretrained weights, so "
            "what they give cannot be told."
        )
    else:
        text = (
            "The pretrained models and those from scratch are different networks, so architecture and "
            f"pretraining are mixed in every comparison here; {pretrained[0].network_name} with mode scratch "
            "would separate them."
        )
    return Sentence(text, "pretraining.unknown", {"networks": found.models})
