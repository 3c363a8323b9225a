"""Test images that training has already seen, or nearly: they make a test too easy.

Barz & Denzler (2019, arXiv 1902.00423) found by eye that 3.3 % of CIFAR-10's test images have such
twins. Here they are found by a rule, in seconds.
"""

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from pipeline.files import cache_folder, digest, kept

THUMB_SIDE = 8
SMALLEST_SIDE = 16  # in smaller images, different things look alike: only equal ones count
SIMILARITY = 0.8
RIDGE = 3e-4  # of the largest variance, added to each, so that noise is not blown up
TOO_MANY = "Near-duplicates were not looked for: {:,} test images times {:,} training images are too many."
PLAIN = 0.5  # grey levels: with less contrast than that, there is nothing to compare
BLOCK_FLOATS = 1 << 24
MOST_PAIRS = 5_000_000_000  # half a minute on two cores

RULE = (
    f"A test image counts as a near-duplicate when its {THUMB_SIDE}x{THUMB_SIDE} colour thumbnail and that "
    "of some training image, brightness and contrast removed and decorrelated over all training images, "
    f"have a cosine similarity of at least {SIMILARITY}: the same picture with other cropping, scale or "
    "colours. Where all images look alike, as handwriting does, the rule also finds mere lookalikes."
)
EXACT_RULE = (
    f"Images smaller than {SMALLEST_SIDE} pixels count as duplicates only when all their pixels are equal."
)


def near_duplicates(test: Tensor, train: Tensor) -> tuple[np.ndarray, str]:
    """Return which test images have a twin in train, and the rule that says so.

    ``test`` and ``train`` are uint8 [n, S, S, 3]; the answer is bool [n].
    """
    if test.shape[1] < SMALLEST_SIDE:
        seen = {pixels.numpy().tobytes() for pixels in train.cpu()}
        return np.array([pixels.numpy().tobytes() in seen for pixels in test.cpu()]), EXACT_RULE
    if len(test) * len(train) > MOST_PAIRS:
        return np.zeros(len(test), dtype=bool), TOO_MANY.format(len(test), len(train))
    known, asked = _decorrelate(_thumbs(train), _thumbs(test))
    rows = max(1, BLOCK_FLOATS // len(known))
    highest = torch.cat([(block @ known.T).amax(1) for block in asked.split(rows)])
    return (highest >= SIMILARITY).cpu().numpy(), RULE


def _thumbs(pixels: Tensor) -> Tensor:
    """Return 8x8 colour thumbnails, each of mean 0 and variance 1, plain ones all 0: float [n, 192]."""
    thumbs = [
        functional.interpolate(block.permute(0, 3, 1, 2).float(), size=(THUMB_SIDE, THUMB_SIDE), mode="area")
        for block in pixels.split(1024)
    ]
    colours = torch.cat(thumbs).flatten(2)
    plain = colours.std(2).amax(1, keepdim=True) < PLAIN
    flat = colours.flatten(1)
    flat -= flat.mean(1, keepdim=True)
    return torch.where(plain, 0, flat / flat.std(1, keepdim=True))


def _decorrelate(train: Tensor, test: Tensor) -> tuple[Tensor, Tensor]:
    """Rotate and scale both so that train has no correlations left; all rows then have length 1.

    Neighbouring pixels are alike in all photographs; without that, a clear sky is no resemblance.
    """
    mean = train.mean(0)
    variance, axes = torch.linalg.eigh((train - mean).T @ (train - mean) / len(train))
    scaled = axes / (variance.clamp_min(0) + RIDGE * variance.max().clamp_min(1e-12)).sqrt()
    known, asked = (functional.normalize((thumbs - mean) @ scaled) for thumbs in (train, test))
    return known * train.any(1, keepdim=True), asked * test.any(1, keepdim=True)


def cached_near_duplicates(key: str, test: Tensor, train: Tensor) -> tuple[np.ndarray, str]:
    """As ``near_duplicates``, computed once for each ``key``, which stands for the images of both."""
    path = cache_folder("duplicates") / f"{digest([key, RULE, EXACT_RULE])[:24]}.json"

    def look() -> dict[str, object]:
        found, rule = near_duplicates(test, train)
        return {"rule": rule, "rows": np.flatnonzero(found).tolist()}

    known = kept(path, look)
    found = np.zeros(len(test), dtype=bool)
    found[known["rows"]] = True
    return found, str(known["rule"])
