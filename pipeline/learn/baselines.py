"""Baselines for pennies: what no network has to be trained for, on arrays that are there already.

None of them is a contestant. A model that does not beat them has not earned its training.
"""

import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from torch import Tensor
from torch.nn import functional

from pipeline.record import SplitPredictions

THUMBNAIL = 8  # pixels a side
PENALTIES = (0.001, 0.1)  # C of the logistic regression: little and more freedom
ITERATIONS = 100
NEIGHBOURS = (1, 5, 20, 50)
SHARPNESS = 1 / 0.07  # of votes by cosine similarity, as in Wu et al. 2018 (arXiv 1805.01978)
BLOCK = 512  # images compared or shrunk at once


@dataclass(frozen=True)
class Labelled:
    """What a baseline sees of a split: ``values`` [n, ...], ``targets`` int64 [n], ``index`` int64 [n]."""

    values: np.ndarray
    targets: np.ndarray
    index: np.ndarray


@dataclass(frozen=True)
class Baseline:
    """The answers of one baseline on val and test, and how it came to them."""

    name: str
    predictions: dict[str, SplitPredictions]
    seconds: float
    settings: dict[str, Any]  # what was chosen on val


Answer = Callable[[np.ndarray], np.ndarray]  # values [n, ...] to probabilities [n, classes]


def commonest_class(splits: Mapping[str, Labelled], classes: int) -> Baseline:
    """Answer the class shares of train whatever the image; the commonest class is the prediction."""
    start = time.perf_counter()
    counts = np.bincount(splits["train"].targets, minlength=classes)
    shares = (counts + 1) / (counts.sum() + classes)  # none is impossible, or log loss is infinite
    return _baseline("commonest class", splits, lambda x: np.tile(shares, (len(x), 1)), start, {})


def thumbnails(splits: Mapping[str, Labelled], classes: int) -> Baseline:
    """Logistic regression on 8 × 8 pixels, of images uint8 [n, H, W, 3]; its penalty is chosen on val."""
    start = time.perf_counter()
    small = {name: shrunk(split.values) for name, split in splits.items()}
    mean, deviation = small["train"].mean(axis=0), np.maximum(small["train"].std(axis=0), 1e-3)
    small = {name: (x - mean) / deviation for name, x in small.items()}
    answers = {c: _regression(small["train"], splits["train"].targets, classes, c) for c in PENALTIES}
    chosen = _best({c: answer(small["val"]) for c, answer in answers.items()}, splits["val"].targets)
    seen = {name: Labelled(small[name], split.targets, split.index) for name, split in splits.items()}
    return _baseline("logistic regression on 8 × 8 pixels", seen, answers[chosen], start, {"C": chosen})


def shrunk(pixels: np.ndarray, side: int = THUMBNAIL) -> np.ndarray:
    """Average uint8 [n, H, W, 3] over ``side`` × ``side`` fields, float32 [n, side² · 3] in 0..1."""
    blocks = torch.from_numpy(pixels).split(BLOCK)
    small = [functional.adaptive_avg_pool2d(b.permute(0, 3, 1, 2).float(), side) for b in blocks]
    return (torch.cat(small).flatten(1) / 255).numpy()


def _regression(x: np.ndarray, targets: np.ndarray, classes: int, penalty: float) -> Answer:
    """Fit the regression; after ``ITERATIONS`` it is near enough for a baseline."""
    if len(np.unique(targets)) == 1:  # nothing to learn apart
        return lambda asked: np.eye(classes)[np.full(len(asked), targets[0])]
    model = LogisticRegression(C=penalty, max_iter=ITERATIONS)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(x, targets)

    def answer(asked: np.ndarray) -> np.ndarray:
        probability = np.zeros((len(asked), classes))
        probability[:, model.classes_] = model.predict_proba(asked)
        return probability

    return answer


def nearest_neighbours(
    splits: Mapping[str, Labelled], classes: int, counts: Sequence[int] = NEIGHBOURS
) -> Baseline:
    """Let the nearest training images vote, on frozen features float [n, F].

    Neighbours are the most alike by cosine, and vote by how alike they are; of ``counts``, how many
    vote is chosen on val. A count above the images of train means all of them.
    """
    start = time.perf_counter()
    train = splits["train"]
    most = min(max(counts), len(train.targets))
    bank = functional.normalize(torch.from_numpy(train.values).float(), dim=1)
    found = {name: _neighbours(bank, splits[name].values, most) for name in ("val", "test")}
    labels = torch.from_numpy(train.targets)
    voted = {k: _votes(*found["val"], labels, classes, k) for k in sorted({min(k, most) for k in counts})}
    chosen = _best(voted, splits["val"].targets)
    answers = {"val": voted[chosen], "test": _votes(*found["test"], labels, classes, chosen)}
    predictions = {name: _predictions(splits[name], answer) for name, answer in answers.items()}
    seconds = time.perf_counter() - start
    return Baseline("nearest neighbours of frozen features", predictions, seconds, {"neighbours": chosen})


def _neighbours(bank: Tensor, values: np.ndarray, count: int) -> tuple[Tensor, Tensor]:
    """Return cosine similarity and position in ``bank`` of the nearest, [n, count] each, nearest first."""
    asked = functional.normalize(torch.from_numpy(values).float(), dim=1).split(BLOCK)
    nearest = [(block @ bank.T).topk(count, dim=1) for block in asked]
    return torch.cat([n.values for n in nearest]), torch.cat([n.indices for n in nearest])


def _votes(alike: Tensor, positions: Tensor, labels: Tensor, classes: int, count: int) -> np.ndarray:
    """Return class probabilities [n, classes]; each class has a hundredth of a vote to begin with."""
    weights = torch.softmax(alike[:, :count] * SHARPNESS, dim=1) * count
    votes = torch.full((len(alike), classes), 0.01)
    votes.scatter_add_(1, labels[positions[:, :count]], weights)
    return (votes / votes.sum(dim=1, keepdim=True)).numpy()


def _best(answers: Mapping[Any, np.ndarray], targets: np.ndarray) -> Any:
    """Return the key whose answers [n, classes] are right most often; of equals the first."""
    return max(answers, key=lambda key: float(np.mean(answers[key].argmax(axis=1) == targets)))


def _baseline(
    name: str, splits: Mapping[str, Labelled], answer: Answer, start: float, settings: dict[str, Any]
) -> Baseline:
    predictions = {part: _predictions(splits[part], answer(splits[part].values)) for part in ("val", "test")}
    return Baseline(name, predictions, time.perf_counter() - start, settings)


def _predictions(split: Labelled, probability: np.ndarray) -> SplitPredictions:
    return SplitPredictions(split.index, split.targets, probability.astype(np.float32))
