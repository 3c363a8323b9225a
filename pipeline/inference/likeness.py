"""Whether an image is like those that the network learned from.

The distance of an image is that of its features, of length 1, to those of its fifth nearest training image
(deep nearest neighbours, Sun et al. 2022, arXiv 2204.06507). Val images were not learned from either: what
is further away than 99 % of them is unlike the training images.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

if TYPE_CHECKING:
    from pipeline.inference.predictor import Predictor
    from pipeline.learn.data.images import ImageData, SplitName

NEIGHBOUR = 5
ORDINARY = 0.99  # share of val images that are not flagged
MOST_TRAIN, MOST_VAL = 5000, 2000  # images looked at, spread evenly


@dataclass(frozen=True)
class Likeness:
    """Training images by their features float [m, F] of length 1; ``rows`` int64 [m] says which they are."""

    features: Tensor
    rows: Tensor
    limit: float  # the distance that 99 % of val images do not exceed

    @classmethod
    def of(cls, predictor: "Predictor", images: "ImageData") -> "Likeness":
        """Return what a network makes of the training images, and how far from them val images are."""
        rows = _spread(len(images.train), MOST_TRAIN)
        train = cls(_features(predictor, images, "train", rows), rows, float("inf"))
        val = _features(predictor, images, "val", _spread(len(images.val), MOST_VAL))
        return cls(train.features, rows, float(np.quantile(train.distance(val), ORDINARY)))

    def distance(self, features: Tensor) -> np.ndarray:
        """Return the distance float32 [n] of features [n, F] from the fifth nearest training image."""
        nearest = min(NEIGHBOUR, len(self.features))
        return self._nearest(features, nearest)[0][:, -1].cpu().numpy()

    def unlike(self, features: Tensor) -> np.ndarray:
        """Return whether images are further from the training images than 99 % of val, bool [n]."""
        return self.distance(features) > self.limit

    def nearest(self, features: Tensor, count: int = 5) -> np.ndarray:
        """Return which training images are nearest, int64 [n, count], nearest first."""
        found = self._nearest(features, min(count, len(self.features)))[1]
        return self.rows.to(found.device)[found].cpu().numpy()

    def _nearest(self, features: Tensor, count: int) -> tuple[Tensor, Tensor]:
        # Not by matrix products: rounding there would give equal images a distance.
        found = torch.cdist(
            _unit(features), self.features, compute_mode="donot_use_mm_for_euclid_dist"
        ).topk(count, dim=1, largest=False)
        return found.values, found.indices


def _features(predictor: "Predictor", images: "ImageData", name: "SplitName", rows: Tensor) -> Tensor:
    pixels = getattr(images, name).pixels
    looks = (predictor.look(pixels[part]) for part in rows.split(predictor.batch_size))
    return _unit(torch.cat([look.features for look in looks]))


def _unit(features: Tensor) -> Tensor:
    return F.normalize(features.float().flatten(1), dim=1)


def _spread(count: int, most: int) -> Tensor:
    """Return at most so many of ``count`` positions, evenly spread."""
    return torch.linspace(0, count - 1, min(count, most)).round().long().unique()
