"""Phrases about models that several chapters share."""

from collections.abc import Callable, Sequence

import numpy as np

from pipeline.report.model import Model
from pipeline.report.study import Study
from pipeline.report.words.english import join, number_word, plural
from pipeline.report.words.numbers import NBSP, percent, percent_range

MOST_NAMED = 4  # models that a sentence calls by their names


def accuracy_words(model: Model) -> str:
    """90.0 %, with the interval: 90.0 % (95 % interval 88.6 to 91.2 %)."""
    found = model.accuracy
    return f"{percent(found.value)} (95 % interval {percent_range(found.low, found.high)})"


def averaged(*models: Model) -> str:
    """Say what the headline figures are means of: " (mean of three seeds)"; nothing of single runs."""
    counts = {len(model.records) for model in models}
    if counts == {1}:
        return ""
    if len(counts) == 1:
        return f" (mean of {number_word(counts.pop())} seeds)"
    return " (mean over seeds)"


def of_one_seed(model: Model) -> str:
    """Say that one run speaks for a model of several: " (its chosen seed)"."""
    return " (its chosen seed)" if len(model.records) > 1 else ""


def best_on_val(study: Study, model: Model) -> str:
    """Say what a model is on val: "the best on val", or "one of two equally good on val"."""
    equal = sum(other.val_accuracy == model.val_accuracy for other in study.models) - 1
    return f"one of {number_word(equal + 1)} equally good on val" if equal else "the best on val"


def sizes_differ(first: Model, second: Model) -> bool:
    """Whether two models saw the images at different sizes."""
    sizes = {model.network.input_size for model in (first, second) if model.network}
    return len(sizes) > 1


def at_size(model: Model, other: Model) -> str:
    """Return " at 128 pixels" where the two models saw the images at different sizes."""
    if model.network is None or not sizes_differ(model, other):
        return ""
    return f" at {model.network.input_size}{NBSP}pixels"


def commonest(study: Study) -> float:
    """Return what always naming the commonest class would score on test, a fraction."""
    return float(np.bincount(study.targets).max() / len(study.targets))


def test_images(study: Study) -> str:
    """2,000 test images."""
    return plural(len(study.targets), "test image")


def all_of(models: Sequence[Model]) -> str:
    """Both models; all five models."""
    return "both models" if len(models) == 2 else f"all {number_word(len(models))} models"


def spoken_list(models: Sequence[Model], word: str = "and", of: Sequence[Model] = ()) -> str:
    """Name a few models and count many: a list of ten names tells nobody anything.

    ``of`` are those that they were chosen from, where a reader should know whether these are all.
    """
    if len(models) > MOST_NAMED:
        count = number_word(len(models))
        if of:
            count = f"all {count}" if len(models) == len(of) else f"{count} of the {number_word(len(of))}"
        return f"{count} {'others' if word == 'or' else 'models'}"
    return join([model.spoken for model in models], word)


def each_or_span(values: Sequence[float], show: Callable[[float], str]) -> str:
    """Say one value once, a few in the order of their models, and of many the lowest and the highest."""
    said = [show(value) for value in values]
    if len(set(said)) == 1:
        return said[0]
    if len(values) <= MOST_NAMED:
        return join(said)
    return f"{show(min(values))} to {show(max(values))}"
