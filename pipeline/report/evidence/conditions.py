"""What models keep of their accuracy under worse conditions: blur, noise, JPEG, ... at three strengths."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from pipeline.record import CONDITIONS
from pipeline.report.evidence.interval import Score, accuracy
from pipeline.report.evidence.tests import Comparison, compare_scores
from pipeline.report.model import Model


@dataclass(frozen=True)
class Answers:
    """Which images each seed got right: bool [seeds, images] clean, [conditions, 3, seeds, images] worse."""

    clean: np.ndarray
    worse: np.ndarray
    side: int  # pixels of the images that were changed

    @property
    def mean(self) -> np.ndarray:
        """The share of all conditions and strengths that were right, float [seeds, images]."""
        return self.worse.mean(axis=(0, 1))

    @property
    def kept(self) -> np.ndarray:
        """The same minus what is right clean: what an image lost, negative, float [seeds, images]."""
        return self.mean - self.clean


@dataclass(frozen=True)
class Endurance:
    """One model's accuracies; those of each condition by name, weakest first; fractions."""

    clean: Score
    worse: Score  # mean over all conditions and strengths
    by_condition: Mapping[str, tuple[Score, ...]]
    side: int

    @property
    def lost(self) -> float:
        """How much accuracy the model loses on average."""
        return self.clean.value - self.worse.value

    def mean_of(self, condition: str) -> float:
        return float(np.mean([score.value for score in self.by_condition[condition]]))


def answers(model: Model) -> Answers | None:
    """Return a model's answers to the same images clean and worse; None unless all its runs were asked."""
    runs = []
    for record, split in zip(model.records, model.test, strict=True):
        if record.conditions is None:
            return None
        runs.append(_of_run(record.conditions, split.index, split.correct))
    whole = [one for one in runs if one is not None]
    if len(whole) < len(runs):
        return None
    about = model.records[0].conditions
    side = 0 if about is None else int(about.attrs.get("side", 0))
    return Answers(np.stack([one[0] for one in whole]), np.stack([one[1] for one in whole], axis=2), side)


def _of_run(
    table: pd.DataFrame, index: np.ndarray, correct: np.ndarray
) -> tuple[np.ndarray, np.ndarray] | None:
    """Return what one run got right clean [images] and worse [conditions, 3, images]; None if not whole."""
    names, strengths = list(CONDITIONS), len(next(iter(CONDITIONS.values())))
    images = np.unique(table["index"].to_numpy())
    if len(table) != len(names) * strengths * len(images) or not np.isin(images, index).all():
        return None
    ordered = table.assign(place=table["condition"].map({name: k for k, name in enumerate(names)}))
    ordered = ordered.sort_values(["place", "strength", "index"])
    right = (ordered["prediction"] == ordered["target"]).to_numpy()
    return correct[np.searchsorted(index, images)], right.reshape(len(names), strengths, len(images))


def endurance(found: Answers) -> Endurance:
    """Return a model's accuracies with their intervals."""
    return Endurance(
        clean=accuracy(found.clean),
        worse=accuracy(found.mean),
        by_condition={
            name: tuple(accuracy(found.worse[k, s]) for s in range(found.worse.shape[1]))
            for k, name in enumerate(CONDITIONS)
        },
        side=found.side,
    )


@dataclass(frozen=True)
class Asked:
    """The models that were asked, by key, and each two of them compared: ``worse`` and ``kept`` accuracy."""

    found: Mapping[str, Endurance]
    worse: Sequence[Comparison]
    kept: Sequence[Comparison]
    images: int


def asked(models: Sequence[Model], margin: float) -> Asked | None:
    """Return what models keep under worse conditions; None where none, or of different images, was asked."""
    found = {model.key: one for model in models if (one := answers(model)) is not None}
    if len({one.clean.shape[1] for one in found.values()}) != 1:
        return None
    return Asked(
        {key: endurance(one) for key, one in found.items()},
        compare_scores({key: one.mean for key, one in found.items()}, margin, span=1.0),
        compare_scores({key: one.kept for key, one in found.items()}, margin, span=1.0),
        next(iter(found.values())).clean.shape[1],
    )


def of_pair(comparisons: Sequence[Comparison], first: str, second: str) -> Comparison:
    """Return the comparison of two models, seen from the first. Raises KeyError where there is none."""
    for one in comparisons:
        if (one.first, one.second) == (first, second):
            return one
        if (one.second, one.first) == (first, second):
            return one.reversed
    raise KeyError(f"{first} and {second} were not compared")
