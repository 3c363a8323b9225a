"""Power laws with a floor: the best fit, as SciPy finds it, for one curve or a thousand."""

import numpy as np
import pytest
from scipy.optimize import least_squares

from pipeline.report.evidence.power_law import fit

SIZES = np.array([100.0, 300, 1000, 3000, 10_000])


@pytest.mark.parametrize(
    ("floor", "scale", "exponent"), [(0.05, 2.0, 0.4), (0.0, 3.0, 0.5), (0.1, 0.4, 0.2), (0.02, 50.0, 1.2)]
)
@pytest.mark.parametrize("sizes", [SIZES, SIZES[:3]])
def test_law_without_noise_is_found(floor: float, scale: float, exponent: float, sizes: np.ndarray) -> None:
    found = fit(sizes, floor + scale * sizes**-exponent, np.ones(len(sizes)), rounds=12)
    assert float(found.floor) == pytest.approx(floor, abs=2e-4)
    assert float(found.exponent) == pytest.approx(exponent, rel=2e-3)
    assert found.error(30_000.0)[0] == pytest.approx(floor + scale * 30_000**-exponent, abs=2e-4)


def test_fit_is_the_weighted_least_squares_of_scipy() -> None:
    random = np.random.default_rng(1)
    for _ in range(20):
        errors = 0.06 + 2.5 * SIZES**-0.4 + random.normal(0, 0.01, 5)
        weights = random.uniform(0.5, 2, 5)

        def left(p: np.ndarray, errors: np.ndarray = errors, weights: np.ndarray = weights) -> np.ndarray:
            return np.sqrt(weights) * (p[0] + p[1] * (SIZES / 1000) ** -p[2] - errors)

        peer = least_squares(
            left, [0.05, 0.1, 0.4], bounds=([0, 0, 0.02], [1, 10, 3]), xtol=1e-14, ftol=1e-14
        )
        found = fit(SIZES, errors, weights, rounds=8)
        ours = ((found.error(SIZES) - errors) ** 2 * weights).sum()
        assert ours <= 2 * peer.cost * (1 + 1e-5) + 1e-12


def test_many_curves_are_fitted_as_each_alone() -> None:
    errors = 0.05 + 2 * SIZES**-0.4 + np.random.default_rng(2).normal(0, 0.01, (30, 5))
    weights = np.arange(1.0, 6)
    together = fit(SIZES, errors, weights, rounds=4)
    alone = [fit(SIZES, row, weights, rounds=4) for row in errors]
    assert np.allclose(together.exponent, [float(law.exponent) for law in alone])
    assert np.allclose(together.floor, [float(law.floor) for law in alone])


def test_floor_and_scale_are_never_negative_and_a_rising_error_is_level() -> None:
    below = fit(SIZES, np.array([0.5, 0.3, 0.15, 0.05, 0.0]), np.ones(5))
    rising = fit(SIZES, np.array([0.1, 0.1, 0.11, 0.12, 0.15]), np.ones(5))
    assert float(below.floor) == 0.0
    assert float(rising.scale) == 0.0
    assert rising.error(SIZES) == pytest.approx(np.full(5, 0.116))


def test_error_of_nothing_stays_nothing() -> None:
    perfect = fit(SIZES, np.zeros(5), np.ones(5))
    assert np.all(perfect.error(SIZES) == 0)


def test_images_undo_error_and_are_infinite_below_the_floor() -> None:
    law = fit(SIZES, 0.05 + 2 * SIZES**-0.4, np.ones(5), rounds=12)
    assert float(law.images(law.error(2500.0)[0])) == pytest.approx(2500, rel=1e-6)
    assert np.isinf(law.images(0.04))


def test_two_sizes_are_too_few() -> None:
    with pytest.raises(ValueError, match="needs 3 sizes, not 2"):
        fit(SIZES[:2], np.array([0.2, 0.1]), np.ones(2))
