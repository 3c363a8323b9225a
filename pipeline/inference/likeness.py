"""Whether an image is like those that the network learned from.

An image is compared with training images twice: by the network's features, of length 1 (deep nearest
neighbours, Sun et al. 2022, arXiv 2204.06507), and by 8 × 8 pixels, as a small network's features may take
noise for something known. Each distance is that to the fifth nearest. Val images were not learned from
either: what is further away than 99.5 % of them in features or in pixels is unlike the training images, so
that about 1 % of ordinary images are flagged.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

if TYPE_CHECKING:
    from pipeline.learn.data.images import ImageData

Features = Callable[[Tensor], Tensor]
NEIGHBOUR = 5
ORDINARY = 0.995  # share of val images that are not flagged, of each comparison
THUMB = 8  # pixels
MOST_TRAIN, MOST_VAL = 5000, 2000  # images looked at, spread evenly


@dataclass(frozen=True)
class Space:
    """Training images as points float [m, D], and the distance that 99.5 % of val images do not exceed."""

    points: Tensor
    limit: float

    @classmethod
    def of(cls, train: Tensor, val: Tensor) -> "Space":
        """Return the space of training images in which val images are ordinary."""
        return cls(train, float(np.quantile(cls(train, 0.0).distance(val), ORDINARY)))

    def distance(self, points: Tensor) -> np.ndarray:
        """Return the distance float32 [n] of points [n, D] from their fifth nearest training image."""
        return self._nearest(points, NEIGHBOUR)[0][:, -1].cpu().numpy()

    def beyond(self, points: Tensor) -> np.ndarray:
        """Return whether points are further away than 99.5 % of val, bool [n]."""
        return self.distance(points) > self.limit

    def nearest(self, points: Tensor, count: int) -> Tensor:
        """Return which training images are nearest, int64 [n, count], nearest first."""
        return self._nearest(points, count)[1]

    def _nearest(self, points: Tensor, count: int) -> tuple[Tensor, Tensor]:
        # Not by matrix products: rounding there would give equal images a distance.
        distances = torch.cdist(points, self.points, compute_mode="donot_use_mm_for_euclid_dist")
        found = distances.topk(min(count, len(self.points)), dim=1, largest=False)
        return found.values, found.indices


@dataclass(frozen=True)
class Likeness:
    """Training images by features and by pixels; ``rows`` int64 [m] says which images they are."""

    features: Space
    pixels: Space
    rows: Tensor

    @classmethod
    def of(cls, features: Features, images: "ImageData", batch_size: int) -> "Likeness":
        """Return what a network makes of the training images, and how far from them val images are.

        ``features`` gives the features [n, ...] of images uint8 [n, S, S, 3], ``batch_size`` at a time.
        """
        rows, others = _spread(len(images.train), MOST_TRAIN), _spread(len(images.val), MOST_VAL)
        train = _points(features, images.train.pixels, rows.split(batch_size))
        val = _points(features, images.val.pixels, others.split(batch_size))
        return cls(Space.of(train[0], val[0]), Space.of(train[1], val[1]), rows)

    def unlike(self, features: Tensor, pixels: Tensor) -> np.ndarray:
        """Return whether images are unlike the training images, bool [n].

        ``features`` are float [n, F], ``pixels`` the same images uint8 [n, S, S, 3].
        """
        return self.features.beyond(_unit(features)) | self.pixels.beyond(_thumbs(pixels))

    def nearest(self, features: Tensor, count: int = 5) -> np.ndarray:
        """Return which training images have the nearest features, int64 [n, count], nearest first."""
        return self.rows[self.features.nearest(_unit(features), count).cpu()].numpy()


def _points(features: Features, pixels: Tensor, parts: Iterable[Tensor]) -> tuple[Tensor, Tensor]:
    """Return features [m, F] of length 1 and thumbs [m, 192] of some images of a split."""
    found = [(_unit(features(pixels[part])), _thumbs(pixels[part])) for part in parts]
    return torch.cat([one for one, _ in found]), torch.cat([thumb for _, thumb in found])


def _unit(features: Tensor) -> Tensor:
    return F.normalize(features.float().flatten(1), dim=1)


def _thumbs(pixels: Tensor) -> Tensor:
    """Return uint8 images [n, S, S, 3] as 8 × 8 pixels, float [n, 192] in 0..1."""
    return F.adaptive_avg_pool2d(pixels.permute(0, 3, 1, 2).float(), THUMB).flatten(1) / 255


def _spread(count: int, most: int) -> Tensor:
    """Return at most so many of ``count`` positions, evenly spread."""
    return torch.linspace(0, count - 1, min(count, most)).round().long().unique()
