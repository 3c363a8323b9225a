"""Pixels of more than 8 bits become grey levels by one scale for the whole data set.

A scale of each image's own would turn an image black for one bright pixel, and would tell apart classes
that differ in nothing but such a pixel. So the range is found once, over many images, without the
most extreme pixels of each, values that stand for "no data", and numbers that are not finite.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

# What files say where they have nothing to say; GDAL writes these.
NO_DATA = (
    -9999.0,
    -99999.0,
    -32768.0,
    -2147483648.0,
    float(np.finfo("f4").min),
    float(np.finfo("f4").max),
    1e20,
)
# Ranges that numbers in images usually come from, narrowest first: fractions, signed ones, and 8 to 16 bits.
RANGES = ((0, 1), (-1, 1), (0, 255), (0, 1023), (0, 4095), (0, 16383), (0, 65535))
TRIMMED = 1 / 1000  # of an image's pixels at each end, one at least
TRIMMED_IMAGES = 1 / 100  # of the images at each end
FILLED = 1 / 4  # of a usual range: less is stretched, because hardly any of the 256 levels would be left


@dataclass(frozen=True)
class Scale:
    """``low`` becomes black and ``high`` white, in every image; ``bits`` is what the files have room for."""

    low: float
    high: float
    largest: float
    bits: int

    @classmethod
    def of(cls, images: Iterable[np.ndarray]) -> "Scale":
        """Return the scale that suits images of numbers [H, W]."""
        ranges, bits = [], 8
        for values in images:
            bits = max(bits, 8 * values.dtype.itemsize)
            found = _trimmed(values)
            if found is not None:
                ranges.append(found)
        if not ranges:
            return cls(0.0, 1.0, 0.0, bits)
        lows, highs = np.array(ranges).T
        low = float(np.quantile(lows, TRIMMED_IMAGES, method="inverted_cdf"))
        high = float(np.quantile(highs, 1 - TRIMMED_IMAGES, method="inverted_cdf"))
        return cls(*_range(low, high), high, bits)

    def apply(self, values: np.ndarray) -> np.ndarray:
        """Return grey levels uint8 [H, W]: beyond the range its nearest end, black where no number is."""
        wide = (values.astype(np.float64) - self.low) * (255 / (self.high - self.low))
        return np.rint(np.clip(np.nan_to_num(wide, nan=0.0), 0, 255)).astype(np.uint8)

    @property
    def note(self) -> str:
        """What a reader should know of it."""
        text = (
            f"Pixels of {self.bits} bits were made grey levels by one scale for all images, found in those "
            f"for training: {self.low:.6g} is black, {self.high:.6g} white."
        )
        if self.bits == 16 and self.largest < 65535 / 4:
            text += (
                f" The largest value, {self.largest:.6g}, is far below 65,535, for which 16 bits have room."
            )
        return text


def _trimmed(values: np.ndarray) -> tuple[float, float] | None:
    """Return the lowest and highest value without the most extreme pixels; None without any number."""
    flat = values.reshape(-1)
    if flat.dtype.kind == "f":
        flat = flat[np.isfinite(flat)]
    flat = flat[~np.isin(flat, np.array(NO_DATA, dtype=flat.dtype if flat.dtype.kind == "f" else np.float64))]
    if not len(flat):
        return None
    spared = min(max(1, round(TRIMMED * len(flat))), (len(flat) - 1) // 2)
    ordered = np.partition(flat, (spared, len(flat) - 1 - spared))
    return float(ordered[spared]), float(ordered[len(flat) - 1 - spared])


def _range(low: float, high: float) -> tuple[float, float]:
    """Return the usual range that holds the values; their own where they fill little of it, or none does."""
    usual = next(((a, b) for a, b in RANGES if a <= low and high <= b), None)
    if usual is None:
        return (low, high) if high > low else (low, low + 1)
    fills = (high - low) / (usual[1] - usual[0])
    return (low, high) if 0 < fills < FILLED else (float(usual[0]), float(usual[1]))
