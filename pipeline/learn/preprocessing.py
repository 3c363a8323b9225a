"""Preprocessing: how an image becomes a network's input. It belongs to the weights."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Preprocessing:
    """Side in pixels, per-channel mean and standard deviation (of values in 0..1), interpolation.

    None means "from the data": the images' own size, the statistics of the training images.
    """

    image_size: int | None = None
    mean: tuple[float, float, float] | None = None
    std: tuple[float, float, float] | None = None
    interpolation: Literal["bilinear", "bicubic"] = "bilinear"
    weights_name: str | None = None
