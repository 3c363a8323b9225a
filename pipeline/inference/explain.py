"""Explanation maps: where in a test image something speaks for a network's answer (Grad-CAM).

Grad-CAM after Selvaraju et al. 2017 (arXiv 1610.02391), by the package grad-cam. Whether a map depends on
what was learned at all is checked as Adebayo et al. 2018 (arXiv 1810.03292) do: the weights are shuffled,
and the map of the same answer is made again. Asked of whole runs, by ``explain: true``.
"""

import io
from copy import deepcopy
from importlib.util import find_spec

import numpy as np
import pandas as pd
import torch
from PIL import Image
from scipy.stats import rankdata
from torch import Tensor, nn
from torch.nn import functional as F

from pipeline.errors import DataError, SettingsError
from pipeline.inference.predictor import Predictor
from pipeline.record import EXPLANATIONS_VERSION, MAP_SIDE, RunRecord

MOST_IMAGES = 200  # of the test images, evenly spread: the same for every network of a study
PICTURE_SIDE = 64  # pixels, at most
LEAST_SIDE = 4  # of a layer's answer: a map of fewer fields says hardly where
BATCH = 32
PACKAGE = "pytorch_grad_cam"


def check() -> None:
    """Raise SettingsError where the package is missing: before any work."""
    if find_spec(PACKAGE) is None:
        raise SettingsError(
            "explain is true, but the package grad-cam is not installed. "
            "Install it with pip install 'headstart[explain]', or drop explain."
        )


def write(record: RunRecord, predictor: Predictor) -> None:
    """Make a network's maps for its answers to some test images, and write them beside its predictions.

    Raises DataError when the run's images are not at hand, or the network has no map of this kind.
    """
    test, answers = predictor.data.test, record.split("test")
    chosen = np.unique(np.linspace(0, len(test) - 1, min(len(test), MOST_IMAGES)).round().astype(int))
    subset = test.subset(chosen)
    said = answers.predicted[np.searchsorted(answers.index, subset.index)]
    network = deepcopy(predictor.network).requires_grad_(True).eval()  # a frozen one has no gradients
    x = predictor.data.prepare(subset.pixels.to(predictor.hardware.device)).float()
    layer, side = last_layer(network, x[:1])
    maps = grad_cam(network, layer, x, said)
    shuffle(network, record.settings.seed)
    resemblance = rank_correlation(maps, grad_cam(network, layer, x, said))
    table = pd.DataFrame(
        {
            "index": subset.index,
            "answer": said,
            "map": [one.tobytes() for one in (255 * maps).round().astype(np.uint8)],
            "picture": [_png(one) for one in subset.pixels.cpu().numpy()],
            "shuffled": resemblance,
        }
    )
    record.write_beside("explanations.parquet", table, version=EXPLANATIONS_VERSION, layer=layer, side=side)


def last_layer(network: nn.Module, x: Tensor) -> tuple[str, int]:
    """Return the name of the last layer whose answer is still an image of at least 4 × 4, and its side.

    Raises DataError for networks of attention, whose layers do not keep to places, and where there is none.
    """
    if any("attention" in type(module).__name__.lower() for module in network.modules()):
        raise DataError("Grad-CAM is for convolutional networks, and this one has layers of attention.")
    seen: list[tuple[str, int]] = []

    def note(name: str, answer: object) -> None:
        if isinstance(answer, Tensor) and answer.ndim == 4 and min(answer.shape[2:]) >= LEAST_SIDE:
            seen.append((name, min(answer.shape[2:])))

    hooks = [
        module.register_forward_hook(lambda _, __, answer, name=name: note(name, answer))
        for name, module in network.named_modules()
        if name
    ]
    try:
        with torch.no_grad():
            network(x)
    finally:
        for hook in hooks:
            hook.remove()
    if not seen:
        raise DataError(f"no layer of this network answers with an image of {LEAST_SIDE} × {LEAST_SIDE}.")
    return seen[-1]


def grad_cam(network: nn.Module, layer: str, x: Tensor, classes: np.ndarray) -> np.ndarray:
    """Return a map for a class of each prepared image [n, 3, S, S]: float32 [n, MAP_SIDE, MAP_SIDE], 0 to 1.

    All zero where nothing in that layer speaks for the class.
    """
    from pytorch_grad_cam import GradCAM
    from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget

    parts = []
    with GradCAM(network, [network.get_submodule(layer)]) as made:
        for start in range(0, len(x), BATCH):
            targets = [ClassifierOutputTarget(int(k)) for k in classes[start : start + BATCH]]
            found = torch.from_numpy(np.nan_to_num(made(x[start : start + BATCH], targets)))
            parts.append(F.interpolate(found[:, None].float(), (MAP_SIDE, MAP_SIDE), mode="area")[:, 0])
    return torch.cat(parts).clamp(0, 1).numpy()


@torch.no_grad()
def shuffle(network: nn.Module, seed: int) -> None:
    """Shuffle the values of every weight with more than one axis, in place; scales and biases stay."""
    random = torch.Generator().manual_seed(seed)
    for weight in network.parameters():
        if weight.ndim > 1:
            order = torch.randperm(weight.numel(), generator=random).to(weight.device)
            weight.copy_(weight.reshape(-1)[order].reshape(weight.shape))


def rank_correlation(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Return Spearman's correlation of two maps of each image, float64 [n]; 0 where one is flat."""
    a, b = (rankdata(maps.reshape(len(maps), -1), axis=1) for maps in (first, second))
    a, b = a - a.mean(axis=1, keepdims=True), b - b.mean(axis=1, keepdims=True)
    scale = np.sqrt((a**2).sum(axis=1) * (b**2).sum(axis=1))
    return np.divide((a * b).sum(axis=1), scale, out=np.zeros(len(a)), where=scale > 0)


def _png(pixels: np.ndarray) -> bytes:
    image = Image.fromarray(pixels)
    if image.width > PICTURE_SIDE:
        image = image.resize((PICTURE_SIDE, PICTURE_SIDE), Image.Resampling.BILINEAR)
    file = io.BytesIO()
    image.save(file, format="PNG")
    return file.getvalue()
