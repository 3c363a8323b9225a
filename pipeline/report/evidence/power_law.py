"""A power law with a floor, error(n) = floor + scale · n^-exponent, fitted to many curves at once.

Errors of networks fall so with the number of training images (Hestness et al. 2017, arXiv
1712.00409; Rosenfeld et al. 2020, arXiv 1909.12673). For a given exponent the rest is a weighted
least squares fit of two numbers, so only the exponent is searched (variable projection, Golub &
Pereyra 1973): no start values, no local optimum, and a thousand resampled curves cost as little as one.
"""

from dataclasses import dataclass

import numpy as np

EXPONENTS = np.geomspace(0.02, 3, 48)
NEAR = np.linspace(-1, 1, 7)
SMALLEST_FIT = 3  # sizes: as many as the law has parameters


@dataclass(frozen=True)
class PowerLaw:
    """Laws of one or many curves; ``floor`` and ``scale`` are at least 0, ``exponent`` above 0.

    All have the same shape; ``scale`` is the error above the floor at ``unit`` images.
    """

    floor: np.ndarray
    scale: np.ndarray
    exponent: np.ndarray
    unit: float

    def error(self, images: np.ndarray | float) -> np.ndarray:
        """Return the error after training on ``images`` [m], float [..., m]."""
        powers = (np.atleast_1d(images) / self.unit) ** -self.exponent[..., None]
        return self.floor[..., None] + self.scale[..., None] * powers

    def images(self, error: np.ndarray | float) -> np.ndarray:
        """Return how many images bring the error down to ``error``; infinite below the floor."""
        above = np.asarray(error) - self.floor
        with np.errstate(divide="ignore", over="ignore"):
            ratio = np.divide(self.scale, above, out=np.full(above.shape, np.inf), where=above > 0)
            return self.unit * ratio ** (1 / self.exponent)


def fit(sizes: np.ndarray, errors: np.ndarray, weights: np.ndarray, rounds: int = 3) -> PowerLaw:
    """Fit ``errors`` float [..., sizes] by least squares with ``weights`` [sizes].

    Each of ``rounds`` narrows the exponent by a factor of three. Raises ValueError for fewer than
    three sizes.
    """
    if len(sizes) < SMALLEST_FIT:
        raise ValueError(f"a power law with a floor needs {SMALLEST_FIT} sizes, not {len(sizes)}")
    curves = errors.reshape(-1, len(sizes))
    unit = float(np.exp(np.mean(np.log(sizes))))
    logs = np.log(np.asarray(sizes) / unit)
    exponent = np.broadcast_to(EXPONENTS, (len(curves), len(EXPONENTS)))
    step = float(np.log(EXPONENTS[1] / EXPONENTS[0]))
    for _ in range(rounds + 1):
        floor, scale, misfit = _given(exponent, logs, curves, weights)
        best = np.arange(len(curves)), misfit.argmin(axis=1)
        chosen = exponent[best]
        exponent = np.clip(chosen[:, None] * np.exp(step * NEAR), EXPONENTS[0], EXPONENTS[-1])
        step /= 3
    shape = errors.shape[:-1]
    return PowerLaw(floor[best].reshape(shape), scale[best].reshape(shape), chosen.reshape(shape), unit)


def _given(
    exponent: np.ndarray, logs: np.ndarray, curves: np.ndarray, weights: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return floor, scale and weighted squares left over for exponents [curves, tried]."""
    w = weights / weights.sum()
    if np.ptp(exponent, axis=0).max() == 0:  # the same exponents for all curves
        powers = np.exp(-exponent[0][:, None] * logs)
        sum_xy = (w * curves) @ powers.T
    else:
        powers = np.exp(-exponent[..., None] * logs)
        sum_xy = np.einsum("ck,ctk->ct", w * curves, powers)
    sum_x, sum_xx, sum_y = powers @ w, (powers**2) @ w, (curves @ w)[:, None]
    scale = (sum_xy - sum_x * sum_y) / np.maximum(sum_xx - sum_x**2, 1e-300)
    scale = np.maximum(scale, 0)  # an error that rises is level
    floor = sum_y - scale * sum_x
    scale = np.where(floor < 0, np.maximum(sum_xy, 0) / sum_xx, scale)
    floor = np.maximum(floor, 0)
    square = (curves**2 @ w)[:, None]
    left = (
        square + floor**2 + scale**2 * sum_xx + 2 * (floor * scale * sum_x - floor * sum_y - scale * sum_xy)
    )
    return floor, scale, left
