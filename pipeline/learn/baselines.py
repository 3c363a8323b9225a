"""Baselines for pennies: what no network has to be trained for, on arrays that are there already.

None of them is a contestant. A model that does not beat them has not earned its training. Answers are kept
in ``cache/baselines``, so that the seeds and modes of a study share them.
"""

import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import torch
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from threadpoolctl import threadpool_limits
from torch import Tensor
from torch.nn import functional

from pipeline.experiment import RunSettings
from pipeline.files import cache_folder, digest, kept, lock
from pipeline.learn import models
from pipeline.learn.data.split import nested_order
from pipeline.learn.device import Hardware
from pipeline.learn.features import DATA_SETTINGS, FeatureData
from pipeline.record import BaselineAnswers, RunFolder, SplitPredictions

if TYPE_CHECKING:
    from pipeline.learn.data.images import ImageData

THUMBNAIL = 8  # pixels a side
PENALTIES = (0.001, 0.1)  # C of the logistic regression: little and more freedom
ITERATIONS = 100
NEIGHBOURS = (1, 5, 20, 50)
SHARPNESS = 1 / 0.07  # of votes by cosine similarity, as in Wu et al. 2018 (arXiv 1805.01978)
BLOCK = 512  # images compared or shrunk at once
VERSION = 1  # raise when answers are found in another way, so that older ones are not used
MOST_IMAGES = 20_000  # that the logistic regression learns from: more take minutes and add little


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


def keep(
    run: RunFolder, network: Any, images: "ImageData", settings: RunSettings, hardware: Hardware
) -> pd.DataFrame:
    """Write what the baselines answer into a run's folder; return the accuracy of each on val and test."""
    found = answers(network, images, settings, hardware)
    run.write_baselines(found)
    targets = {name: getattr(images, name).targets.cpu().numpy() for name in ("val", "test")}
    return pd.DataFrame(
        {one.name: {name: np.mean(one.predicted[name] == t) for name, t in targets.items()} for one in found}
    ).T


def answers(
    network: Any, images: "ImageData", settings: RunSettings, hardware: Hardware
) -> list[BaselineAnswers]:
    """Return what each baseline says of val and test, learning from the same images as the run.

    Neighbours are found by the features of the pretrained network, where the run starts from one.
    """
    classes, weights = len(images.classes), models.weights_hash(settings)
    makers: dict[str, Callable[[], Baseline]] = {
        "commonest": lambda: commonest_class(_labels(images), classes),
        "thumbnails": lambda: thumbnails(_thumbnails(images), classes),
    }
    if settings.pretrained:
        where = f"{settings.model} {weights} {hardware.device.type} {hardware.precision}"
        makers[f"neighbours {where}"] = lambda: nearest_neighbours(
            _features(network, images, settings, hardware), classes
        )
    return [_kept(what, images, settings, make) for what, make in makers.items()]


def _kept(
    what: str, images: "ImageData", settings: RunSettings, make: Callable[[], Baseline]
) -> BaselineAnswers:
    """Return a baseline's answers, from the cache where another run has found them."""
    counts = {name: getattr(settings, name) for name in DATA_SETTINGS}
    subset = [settings.train_size, settings.seed] if settings.train_size else None
    prepared = [asdict(images.preprocessing), list(images.train.pixels.shape)]
    key = digest([VERSION, what, counts, images.info.fingerprint, prepared, subset])[:24]
    path = cache_folder("baselines") / f"{key}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    with lock(f"{path}.lock"):
        return BaselineAnswers(**kept(path, lambda: _plain(make())))


def _plain(made: Baseline) -> dict[str, Any]:
    predicted = {name: split.predicted.tolist() for name, split in made.predictions.items()}
    return {"name": made.name, "predicted": predicted, "seconds": made.seconds, "settings": made.settings}


def _labels(images: "ImageData") -> dict[str, Labelled]:
    return _labelled(images, lambda name, rows: np.empty(len(rows)))


def _thumbnails(images: "ImageData") -> dict[str, Labelled]:
    """Return the images, shrunk; of train at most ``MOST_IMAGES``, stratified."""
    chosen = np.sort(nested_order(images.train.targets.cpu().numpy(), 0)[:MOST_IMAGES])
    return _labelled(images, lambda name, rows: _shrunk(getattr(images, name).pixels, rows), chosen)


def _shrunk(pixels: Tensor, rows: np.ndarray) -> np.ndarray:
    """Shrink some images, which may lie on a GPU or on disk, a block at a time."""
    blocks = torch.from_numpy(rows).to(pixels.device).split(BLOCK)
    return np.concatenate([shrunk(pixels[block].cpu().numpy()) for block in blocks])


def _features(
    network: Any, images: "ImageData", settings: RunSettings, hardware: Hardware
) -> dict[str, Labelled]:
    """Return the features of the images as they are, by the network before it was trained."""
    probe = settings.model_copy(update={"mode": "linear_probe", "feature_views": 1, "flip_at_test": False})
    if settings.mode != "linear_probe":
        network = hardware.place(models.build(probe, images.classes, images.preprocessing))
    data = FeatureData(network, images, probe, hardware)
    return _labelled(images, lambda name, rows: data.features(name).float().cpu().numpy())


def _labelled(
    images: "ImageData", values: Callable[[Any, np.ndarray], np.ndarray], train: np.ndarray | None = None
) -> dict[str, Labelled]:
    """Return what ``values`` finds of some rows of each split, with their targets: of train those given."""
    found = {}
    for name in ("train", "val", "test"):
        split = getattr(images, name)
        rows = train if name == "train" and train is not None else np.arange(len(split))
        targets, index = split.targets.cpu().numpy(), np.asarray(split.index, np.int64)
        found[name] = Labelled(values(name, rows), targets[rows], index[rows])
    return found


def commonest_class(splits: Mapping[str, Labelled], classes: int) -> Baseline:
    """Answer the class shares of train whatever the image; the commonest class is the prediction."""
    start = time.perf_counter()
    counts = np.bincount(splits["train"].targets, minlength=classes)
    shares = (counts + 1) / (counts.sum() + classes)  # none is impossible, or log loss is infinite
    return _baseline("commonest class", splits, lambda x: np.tile(shares, (len(x), 1)), start, {})


def thumbnails(splits: Mapping[str, Labelled], classes: int) -> Baseline:
    """Logistic regression on 8 × 8 pixels, of images uint8 [n, H, W, 3]; its penalty is chosen on val.

    Images may be ``shrunk`` already: float [n, 192].
    """
    start = time.perf_counter()
    small = {name: s.values if s.values.ndim == 2 else shrunk(s.values) for name, s in splits.items()}
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
    with warnings.catch_warnings(), threadpool_limits(1):  # on a busy machine, threads wait for each other
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
