"""The answer in three sentences: which is more accurate, what it costs, what pretraining itself gave."""

from pipeline.report.evidence.significance import PairTest
from pipeline.report.model import Model, best
from pipeline.report.rules.half_answer import nothing_finished, one_side
from pipeline.report.rules.price import bill, bill_evidence, deciding_bill
from pipeline.report.study import Study
from pipeline.report.words.english import NBSP, number_word, percent, points
from pipeline.report.words.phrases import (
    at_size,
    averaged,
    evidence_of,
    named_test_words,
    sizes_differ,
    test_images,
    test_words,
    tie_words,
)
from pipeline.report.words.sentence import Sentence

NO_SAME_NETWORK = "no network ran both with and without its pretrained weights"


def answer(study: Study) -> list[Sentence]:
    """Return three sentences that answer the report's question, or say why these runs cannot."""
    own, transfer = study.best_scratch, study.best_transfer
    if own and not transfer:
        return one_side(study, own)
    if transfer and not own:
        return one_side(study, transfer)
    if own is None or transfer is None:
        return nothing_finished(study)
    return [_accuracy(study, own, transfer), _cost(study, own, transfer), _pretraining(study, own, transfer)]


def _accuracy(study: Study, own: Model, transfer: Model) -> Sentence:
    test = study.test(transfer, own)
    evidence, references = evidence_of(test), ["tbl-headline", "fig-accuracy", "tbl-tests"]
    if not test.distinguishable:
        return Sentence(_tie(study, own, transfer, test), "answer.accuracy.tie", evidence, references)
    support, gain = named_test_words(test, len(study.tests)), points(test.difference.value)
    images, seeds = test_images(study), averaged(own, transfer)
    if test.difference.value > 0:
        text = (
            f"Start from a pretrained network: {transfer.spoken} gets {percent(transfer.accuracy.value)} of "
            f"the {images} right{seeds}, {gain} more than {own.spoken}{_best_of(study.scratch)} at "
            f"{percent(own.accuracy.value)} ({support})."
        )
        return Sentence(text, "answer.accuracy.transfer", evidence, references)
    text = (
        f"Train your own: {own.spoken} gets {percent(own.accuracy.value)} of the {images} right{seeds}, "
        f"{gain} more than {transfer.spoken}{_best_of(study.transfer)} at "
        f"{percent(transfer.accuracy.value)} ({support})."
    )
    return Sentence(text, "answer.accuracy.scratch", evidence, references)


def _tie(study: Study, own: Model, transfer: Model, test: PairTest) -> str:
    a, b = percent(transfer.accuracy.value), percent(own.accuracy.value)
    images, seeds = test_images(study), averaged(own, transfer)
    if a == b:
        return (
            f"Accuracy does not decide it: {transfer.spoken} and {own.spoken} both get {a} of the {images} "
            f"right{seeds} (difference: {test_words(test)})."
        )
    return (
        f"Accuracy does not decide it: of the {images}, {transfer.spoken} gets {a} right and "
        f"{own.spoken} {b}{seeds}, {tie_words(test)}."
    )


def _best_of(groups: list[Model]) -> str:
    """Say what the model that was just named is the best of; nothing when it is the only one."""
    if len(groups) == 1:
        return ""
    kind = "pretrained networks" if groups[0].pretrained else "trained from scratch"
    return f", the best on val of the {number_word(len(groups))} {kind},"


def _cost(study: Study, own: Model, transfer: Model) -> Sentence:
    test = study.test(transfer, own)
    evidence, references = bill_evidence(transfer, own), ["tbl-cost", "fig-pareto"]
    if not test.distinguishable:
        return Sentence(deciding_bill(transfer, own), "answer.cost.tie", evidence, references)
    winner, loser = (transfer, own) if test.difference.value > 0 else (own, transfer)
    return Sentence(bill(winner, loser), "answer.cost.winner", evidence, references)


def _pretraining(study: Study, own: Model, transfer: Model) -> Sentence:
    """Say what the pretrained weights gave where one network ran with and without them."""
    pair = same_network(study)
    if pair is None:
        question = (
            "How much of this is owed to pretraining and how much to architecture"
            if study.test(transfer, own).distinguishable
            else "Whether pretraining itself helped"
        )
        text = f"{question} these runs cannot say: {NO_SAME_NETWORK}."
        modes = {group.key: group.mode for group in study.models}
        return Sentence(text, "answer.pretraining.unknown", {"modes": modes})
    if pair == (transfer, own):
        mixed = "of architecture mixed in"
        if sizes_differ(transfer, own):
            mixed = f"but that of image size mixed in ({_size(transfer)} against {_size(own)}{NBSP}pixels)"
        text = (
            "Both are the same network with and without its pretrained weights, so this is what "
            f"pretraining itself does here, with no difference {mixed}."
        )
        evidence = evidence_of(study.test(transfer, own))
        return Sentence(text, "answer.pretraining.same-network", evidence, ["fig-three-ways"])
    return same_network_gain(study, *pair)


def _size(group: Model) -> int:
    return group.network.input_size if group.network else 0


def same_network_gain(study: Study, warm: Model, cold: Model) -> Sentence:
    """Say what pretraining gave one network, from its pretrained and its from-scratch model."""
    test = study.test(warm, cold)
    evidence, references = evidence_of(test), ["fig-three-ways", "tbl-tests"]
    figures = (
        f"{percent(warm.accuracy.value)}{at_size(warm, cold)} against {percent(cold.accuracy.value)} from "
        f"scratch{at_size(cold, warm)}"
    )
    what = (
        "Pretraining and a change of image size together"
        if sizes_differ(warm, cold)
        else "Pretraining itself"
    )
    if not test.distinguishable:
        text = (
            f"{what} made no difference that these runs can see: on one and the same network, "
            f"{warm.spoken} gets {figures}, {tie_words(test)}."
        )
        return Sentence(text, "answer.pretraining.tie", evidence, references)
    verb, kind = ("gave", "gain") if test.difference.value > 0 else ("cost", "loss")
    text = (
        f"{what} {verb} {points(test.difference.value)}: on one and the same network, {warm.spoken} gets "
        f"{figures} ({test_words(test)})."
    )
    return Sentence(text, f"answer.pretraining.{kind}", evidence, references)


def same_network(study: Study) -> tuple[Model, Model] | None:
    """Return (pretrained, from scratch) of one network: the best on val that ran both ways."""
    ways = [found for found in study.three_ways.values() if "scratch" in found]
    warm = best([group for found in ways for mode, group in found.items() if mode != "scratch"])
    return (warm, study.three_ways[warm.name]["scratch"]) if warm else None
