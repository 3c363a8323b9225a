"""A run's network on its test images under worse conditions, after Hendrycks & Dietterich 2019 (1903.12261).

Nothing here is used to train or to choose: it is asked for by a params file's ``robustness`` once a run is
whole, and its answers are written beside the run's predictions.
"""

import io
from collections.abc import Callable

import numpy as np
import pandas as pd
import torch
from PIL import Image
from torch import Tensor
from torchvision.transforms.v2 import functional as vision

from pipeline.inference.predictor import Predictor
from pipeline.record import CONDITIONS, CONDITIONS_VERSION, RunRecord

MOST_IMAGES = (
    2000  # of the test images, evenly spread: eighteen passes over all would take longer than training
)
CHUNK = 256  # images whose noise is drawn at once: the same for every network


def write(record: RunRecord, predictor: Predictor) -> None:
    """Ask a network under each condition and strength, and write its answers beside its predictions.

    Raises DataError when the run's images are not at hand.
    """
    test = predictor.data.test
    chosen = np.linspace(0, len(test) - 1, min(len(test), MOST_IMAGES)).round().astype(int)
    subset = test.subset(np.unique(chosen))
    parts = [
        _asked(predictor, subset.pixels, condition, strength).assign(
            condition=condition, strength=strength, index=subset.index, target=subset.targets.cpu().numpy()
        )
        for condition, strengths in CONDITIONS.items()
        for strength in range(1, len(strengths) + 1)
    ]
    table = pd.concat(parts, ignore_index=True)
    record.write_beside(
        "conditions.parquet", table, version=CONDITIONS_VERSION, side=int(subset.pixels.shape[1])
    )


def _asked(predictor: Predictor, pixels: Tensor, condition: str, strength: int) -> pd.DataFrame:
    changed = changed_images(pixels.cpu(), condition, strength)
    answers = torch.cat(
        [predictor.look(part).log_probabilities for part in changed.split(predictor.batch_size)]
    )
    probability, prediction = answers.exp().max(dim=1)
    return pd.DataFrame(
        {"prediction": prediction.cpu().numpy(), "probability": probability.cpu().numpy().astype(np.float32)}
    )


def changed_images(pixels: Tensor, condition: str, strength: int) -> Tensor:
    """Return uint8 images [n, S, S, 3] under a condition, at strength 1, 2 or 3; noise is always the same."""
    value, change = CONDITIONS[condition][strength - 1], CHANGES[condition]
    parts = []
    for number, part in enumerate(pixels.split(CHUNK)):
        seed = torch.Generator().manual_seed(1000 * strength + number)
        changed = change(part.permute(0, 3, 1, 2).float(), value, seed)
        parts.append(changed.round().clamp(0, 255).to(torch.uint8).permute(0, 2, 3, 1))
    return torch.cat(parts).contiguous()


def _blur(x: Tensor, share: float, _: torch.Generator) -> Tensor:
    """Blur by a Gaussian whose deviation is a share of the side."""
    sigma = share * x.shape[-1]
    reach = min(max(1, int(np.ceil(3 * sigma))), x.shape[-1] - 1)
    return vision.gaussian_blur(x, [2 * reach + 1] * 2, [sigma] * 2)


def _noise(x: Tensor, deviation: float, random: torch.Generator) -> Tensor:
    return x + 255 * deviation * torch.randn(x.shape, generator=random)


def _jpeg(x: Tensor, quality: float, _: torch.Generator) -> Tensor:
    return torch.stack([_compressed(image, int(quality)) for image in x.round().to(torch.uint8)])


def _compressed(image: Tensor, quality: int) -> Tensor:
    file = io.BytesIO()
    Image.fromarray(image.permute(1, 2, 0).numpy()).save(file, "JPEG", quality=quality)
    return torch.from_numpy(np.array(Image.open(file))).permute(2, 0, 1).float()


def _brightness(x: Tensor, factor: float, _: torch.Generator) -> Tensor:
    return x * factor


def _contrast(x: Tensor, factor: float, _: torch.Generator) -> Tensor:
    mean = x.mean(dim=(1, 2, 3), keepdim=True)
    return mean + (x - mean) * factor


def _resolution(x: Tensor, share: float, _: torch.Generator) -> Tensor:
    side = x.shape[-1]
    small = vision.resize(x, [max(2, round(share * side))] * 2, antialias=True)
    return vision.resize(small, [side, side], antialias=True)


CHANGES: dict[str, Callable[[Tensor, float, torch.Generator], Tensor]] = {
    "blur": _blur,
    "noise": _noise,
    "jpeg": _jpeg,
    "brightness": _brightness,
    "contrast": _contrast,
    "resolution": _resolution,
}
