"""What pretraining gave and what fine-tuning added, on one and the same network."""

from pipeline.report.evidence.significance import PairTest
from pipeline.report.model import Model
from pipeline.report.study import Study
from pipeline.report.words.english import opened, percent, points
from pipeline.report.words.phrases import at_size, evidence_of, test_words, tie_words
from pipeline.report.words.sentence import Sentence

REFERENCES = ["fig-three-ways", "tbl-tests"]


def pretraining(study: Study) -> list[Sentence]:
    """Compare the modes of each network that ran in more than one."""
    if not study.models:
        return []
    found = [s for name, ways in study.three_ways.items() for s in _network(study, name, ways)]
    return found or [_no_network(study)]


def _network(study: Study, name: str, ways: dict[str, Model]) -> list[Sentence]:
    scratch, probe, tuned = (ways.get(mode) for mode in ("scratch", "linear_probe", "fine_tune"))
    it, sentences = name, []
    if scratch and tuned:
        way = f"Fine-tuned from its pretrained weights, {it} reaches"
        sentences.append(_against_scratch(study, tuned, scratch, way))
        it = "it"
    if scratch and probe:
        way = f"With these weights frozen below a new last layer, {it} reaches"
        if not sentences:
            way = f"With its pretrained weights frozen below a new last layer, {it} reaches"
        sentences.append(_against_scratch(study, probe, scratch, way))
        it = "it"
    if probe and tuned:
        sentences.append(_tuning(study, it, tuned, probe))
    return sentences


def _against_scratch(study: Study, warm: Model, cold: Model, way: str) -> Sentence:
    test = study.test(warm, cold)
    a = f"{percent(warm.accuracy.value)}{at_size(warm, cold)}"
    b = f"{percent(cold.accuracy.value)}{at_size(cold, warm)}"
    if not test.distinguishable:
        text = f"{way} {a}, and trained from scratch {b}: {tie_words(test)}."
    else:
        more = "more" if test.difference.value > 0 else "less"
        text = (
            f"{way} {a}, {points(test.difference.value)} {more} than the {b} that it reaches from scratch "
            f"({test_words(test)})."
        )
    return Sentence(text, f"pretraining.{warm.mode}.{_outcome(test)}", evidence_of(test), REFERENCES)


def _tuning(study: Study, it: str, tuned: Model, probe: Model) -> Sentence:
    test = study.test(tuned, probe)
    a = f"{percent(tuned.accuracy.value)}{at_size(tuned, probe)}"
    b = f"{percent(probe.accuracy.value)}{at_size(probe, tuned)}"
    size = points(test.difference.value)
    if not test.distinguishable:
        text = (
            f"Whether fine-tuning {it} adds to its frozen features these runs cannot tell: {a} against {b}, "
            f"{tie_words(test)}."
        )
    elif test.difference.value > 0:
        text = (
            f"Fine-tuning {it} adds {size} to what its frozen features reach ({a} against {b}; "
            f"{test_words(test)})."
        )
    else:
        text = (
            f"Fine-tuning {it} loses {size} against leaving its features frozen ({a} against {b}; "
            f"{test_words(test)}): it unlearned more than it learned."
        )
    return Sentence(text, f"pretraining.tuning.{_outcome(test)}", evidence_of(test), REFERENCES)


def _outcome(test: PairTest) -> str:
    if not test.distinguishable:
        return "tie"
    return "gain" if test.difference.value > 0 else "loss"


def _no_network(study: Study) -> Sentence:
    if not study.transfer:
        text = "No run starts from pretrained weights, so there is nothing to say of what they give."
    elif not study.scratch:
        text = (
            "No run starts from scratch, so what the pretrained weights give cannot be told from what the "
            "architecture gives."
        )
    else:
        name = study.transfer[0].name
        text = (
            "The pretrained models and those from scratch are different networks, so architecture and "
            f"pretraining are mixed in every comparison here; {name} with mode scratch would separate them."
        )
    return Sentence(opened(text), "pretraining.unknown", {"networks": [g.key for g in study.models]})
