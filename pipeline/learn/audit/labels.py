"""Which labels are doubtful: confident learning on out-of-fold answers of a linear probe.

Features are those of EfficientNet-Lite0, frozen, whose weights a package ships. A probe never answers
for an image that it has learned from, so labels in train can be doubted like those in test.
"""

# No result depends on this module: it is no part of a run's identity.

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from cleanlab.filter import find_label_issues
from scipy.optimize import minimize
from scipy.special import expit, log_softmax
from scipy.stats import poisson
from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold
from torch import Tensor
from torch.nn import functional

from pipeline.experiment import RunSettings
from pipeline.files import cache_folder, digest
from pipeline.learn import features, models
from pipeline.learn.device import Hardware
from pipeline.learn.features import Features
from pipeline.learn.models.weights import Preprocessing

NETWORK = "efficientnet_lite0"
SIDE = (96, 128)  # pixels: features of smaller inputs say little, of larger ones they take long
FOLDS = 5
BATCH = 128
PENALTY = 0.3  # of the squared weights of the probe, on standardised features
STEPS = 25
REAL = 0.5  # share of the doubted that the probe cannot explain
MOST_WRONG = 0.2  # share of labels that may be wrong at random
CHANCE = 0.01  # that so many are seen by chance
HIGHEST = 0.2  # probability of a label that is doubted


@dataclass(frozen=True)
class Doubt:
    """One image whose label is doubted: what the probe says instead, and both probabilities."""

    row: int
    suggested: int
    label_probability: float
    suggested_probability: float


def doubts(
    pixels: list[Tensor], targets: np.ndarray, groups: np.ndarray | None, hardware: Hardware, key: str
) -> list[Doubt]:
    """Return the images whose labels are doubted, most doubtful first.

    ``pixels`` uint8 [n, S, S, 3] in parts, ``targets`` int64 [n] over all of them; images of one of
    ``groups`` are in one fold. ``key`` names the images, for features that are kept.
    """
    found = frozen_features(pixels, hardware, key)
    return from_probabilities(targets, out_of_fold(found, targets, groups))


def frozen_features(
    pixels: list[Tensor], hardware: Hardware, key: str, tell: Callable[[str], None] = print
) -> Tensor:
    """Return features float [n, F] of a frozen pretrained network, from disk if they were computed before."""
    side = int(np.clip(pixels[0].shape[1], *SIDE))
    path = cache_folder("features") / f"audit-{digest([key, side, hardware.precision])[:24]}.safetensors"
    kept = features.read(path)
    if kept is None:
        path.parent.mkdir(parents=True, exist_ok=True)
        kept = Features(_compute(pixels, side, hardware, tell), 0.0)
        features.write(path, kept)
    return kept.values


@torch.no_grad()
def _compute(pixels: list[Tensor], side: int, hardware: Hardware, tell: Callable[[str], None]) -> Tensor:
    asked: dict[str, Any] = {"model": NETWORK, "mode": "linear_probe", "image_size": side}
    settings = RunSettings(**asked)
    prepared = models.preprocessing(settings)
    network: Any = hardware.place(models.build(settings, ["a", "b"], prepared)).eval()
    found, count = [], sum(map(len, pixels))
    for part in pixels:
        for block in part.split(BATCH):
            with hardware.autocast():
                found.append(network.features(_prepared(block, side, prepared, hardware)).float().cpu())
            if len(found) % 50 == 0:
                tell(f"Looked at {len(found) * BATCH:,} of {count:,} images.")
    return torch.cat(found)


def _prepared(pixels: Tensor, side: int, prepared: Preprocessing, hardware: Hardware) -> Tensor:
    images = pixels.permute(0, 3, 1, 2).float() / 255
    if images.shape[-1] != side:
        images = functional.interpolate(images, size=(side, side), mode="bicubic", antialias=True)
    mean, std = torch.tensor(prepared.mean)[:, None, None], torch.tensor(prepared.std)[:, None, None]
    return hardware.place_images((images - mean) / std)


def out_of_fold(values: Tensor, targets: np.ndarray, groups: np.ndarray | None = None) -> np.ndarray:
    """Return probabilities [n, classes] for images that each probe has not learned from."""
    classes = int(targets.max()) + 1
    answers = np.zeros((len(targets), classes), np.float32)
    standard = (values - values.mean(0)) / (values.std(0) + 1e-6)
    for learned, asked in _folds(targets, groups):
        weight, bias = _probe(standard[learned], torch.from_numpy(targets[learned]), classes)
        answers[asked] = (standard[asked] @ weight + bias).softmax(1).numpy()
    return answers


def _folds(targets: np.ndarray, groups: np.ndarray | None) -> list[tuple[np.ndarray, np.ndarray]]:
    fewest = int(np.bincount(targets)[np.unique(targets)].min())
    count = max(2, min(FOLDS, fewest))
    if groups is not None and len(np.unique(groups)) >= count:
        by_group = StratifiedGroupKFold(count, shuffle=True, random_state=0)
        return list(by_group.split(targets, targets, groups))
    if fewest < 2:  # a class of one image: it cannot be stratified
        order = np.random.default_rng(0).permutation(len(targets))
        return [(np.setdiff1d(order, part), part) for part in np.array_split(order, count)]
    return list(StratifiedKFold(count, shuffle=True, random_state=0).split(targets, targets))


def _probe(x: Tensor, y: Tensor, classes: int) -> tuple[Tensor, Tensor]:
    """Fit logistic regression with an L2 penalty; returns weights [F, classes] and biases."""
    weight = torch.zeros(x.shape[1], classes, requires_grad=True)
    bias = torch.zeros(classes, requires_grad=True)
    optimizer = torch.optim.LBFGS([weight, bias], max_iter=STEPS, history_size=10)

    def loss() -> Tensor:
        optimizer.zero_grad()
        value = functional.cross_entropy(x @ weight + bias, y) + PENALTY / 2 * weight.square().sum()
        value.backward()
        return value

    optimizer.step(loss)
    return weight.detach(), bias.detach()


def from_probabilities(targets: np.ndarray, probability: np.ndarray) -> list[Doubt]:
    """Return the images whose labels confident learning doubts and chance does not explain.

    Of those that cleanlab flags (Northcutt et al. 2021, arXiv 1911.00068), a weak probe makes up most. So
    only labels are doubted that are less probable than some level, the highest at which at least a share
    ``REAL`` of the images is more than the probe itself expects there: with right labels and calibrated
    answers, as many labels of a probability below t are seen as the sum of all probabilities below t.
    """
    common = np.bincount(targets, minlength=probability.shape[1]) > 1
    rows = np.flatnonzero(common[targets])
    if common.sum() < 2 or not len(rows):
        return []
    labels = (np.cumsum(common) - 1)[targets[rows]]
    narrow = calibrated(labels, np.maximum(probability[np.ix_(rows, common)], 1e-12))
    given = narrow[np.arange(len(rows)), labels]
    flagged = find_label_issues(labels, narrow, n_jobs=1)
    doubted = np.flatnonzero(flagged & (given < surprising(given, narrow)))
    names = np.flatnonzero(common)
    found = [
        Doubt(int(rows[i]), int(names[narrow[i].argmax()]), float(given[i]), float(narrow[i].max()))
        for i in doubted[np.argsort(given[doubted], kind="stable")]
    ]
    return [one for one in found if one.suggested != targets[one.row]]


def calibrated(labels: np.ndarray, probability: np.ndarray) -> np.ndarray:
    """Return probabilities at the temperature under which the labels are most probable (Guo et al. 2017).

    A share of labels that are wrong at random is fitted with it: else it would soften all answers.
    """
    logits, rows, classes = np.log(probability), np.arange(len(labels)), probability.shape[1]

    def loss(fitted: np.ndarray) -> float:
        right = log_softmax(np.exp(fitted[0]) * logits, axis=1)[rows, labels]
        wrong = MOST_WRONG * expit(fitted[1])
        return float(-np.log((1 - wrong) * np.exp(right) + wrong / classes).mean())

    start = [np.array([0.0, -6.0]), np.array([1.5, -3.0])]
    best = min((minimize(loss, one, method="Nelder-Mead") for one in start), key=lambda found: found.fun)
    return np.exp(log_softmax(np.exp(best.x[0]) * logits, axis=1))


def surprising(given: np.ndarray, probability: np.ndarray) -> float:
    """Return the level below which labels are too improbable, and seen too often, to be all right.

    ``given`` [n] are the probabilities of the labels, ``probability`` [n, classes] those of all classes.
    """
    levels, every = np.sort(given), np.sort(probability, axis=None)
    expected = np.concatenate([[0.0], np.cumsum(every)])[np.searchsorted(every, levels, side="right")]
    seen = np.arange(1, len(levels) + 1)
    real = (1 - expected / seen >= REAL) & (poisson.sf(seen - 1, expected) < CHANCE) & (levels < HIGHEST)
    return float(np.nextafter(levels[np.flatnonzero(real)[-1]], 1)) if real.any() else 0.0
