"""Numbers of more than 8 bits become grey levels by one scale, which no single pixel decides."""

import numpy as np
import pytest

from pipeline.learn.data.decode import NO_DATA, Scale

RANDOM = np.random.RandomState(0)
FRACTIONS = RANDOM.uniform(0.1, 0.9, (32, 32)).astype("f4")
COUNTS = RANDOM.randint(0, 250, (32, 32)).astype("i4")


def ends(*images: np.ndarray) -> tuple[float, float]:
    scale = Scale.of(images)
    return scale.low, scale.high


def with_pixel(values: np.ndarray, pixel: float) -> np.ndarray:
    changed = values.copy()
    changed[3, 5] = pixel
    return changed


@pytest.mark.parametrize("pixel", [1.02, -0.01, *NO_DATA, np.inf, -np.inf, np.nan, 1e30, 255])
def test_one_pixel_does_not_change_the_scale_of_fractions(pixel: float) -> None:
    changed = with_pixel(FRACTIONS, pixel)
    assert ends(changed) == ends(FRACTIONS) == (0, 1)
    grey, other = (Scale.of([values]).apply(values) for values in (FRACTIONS, changed))
    assert np.sum(grey != other) == 1


@pytest.mark.parametrize("pixel", [260, 65535, -9999, -(2**31)])
def test_one_pixel_does_not_change_the_scale_of_counts(pixel: int) -> None:
    assert ends(with_pixel(COUNTS, pixel)) == ends(COUNTS) == (0, 255)


def test_a_hot_pixel_in_every_image_does_not_change_the_scale() -> None:
    assert ends(*[with_pixel(FRACTIONS, 60 + i) for i in range(40)]) == (0, 1)


def test_an_area_without_data_does_not_change_the_scale() -> None:
    relief = RANDOM.uniform(100, 900, (32, 32)).astype("f4")
    sea = relief.copy()
    sea[:16] = -9999
    assert ends(relief, sea) == (0, 1023)
    assert Scale.of([sea]).apply(sea)[:16].max() == 0


def test_one_dark_frame_among_bright_ones_stays_dark() -> None:
    bright, dark = 255 * FRACTIONS, FRACTIONS
    scale = Scale.of([bright] * 5 + [dark])
    assert (scale.low, scale.high) == (0, 255)
    assert scale.apply(dark).max() == 1


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (np.array([[0, 65535]] * 2, "u2"), (0, 65535)),
        (np.array([[0, 4000]] * 2, "u2"), (0, 4095)),
        (np.array([[100, 900]] * 2, "u2"), (0, 1023)),
        (np.array([[-0.9, 0.8]] * 2, "f4"), (-1, 1)),
        (np.array([[-1000, 3000]] * 2, "i4"), (-1000, 3000)),
        (np.array([[20.0, 220.0]] * 2, "f4"), (0, 255)),
        (np.array([[1000, 1100]] * 2, "u2"), (1000, 1100)),
        (np.array([[7, 7]] * 2, "u2"), (0, 255)),
        (np.array([[np.nan, np.nan]], "f4"), (0, 1)),
    ],
)
def test_the_range_is_the_usual_one_or_the_values_own(
    values: np.ndarray, expected: tuple[float, float]
) -> None:
    assert ends(values) == expected


def test_sixteen_bits_that_are_used_keep_their_brightness() -> None:
    values = np.array([[0, 257 * 90, 30_000, 65535]] * 2, "u2")
    assert Scale.of([values]).apply(values)[0].tolist() == [0, 90, 117, 255]


def test_twelve_bits_in_sixteen_keep_their_contrast_and_are_told() -> None:
    y = np.arange(32)[:, None]
    stripes = (1028 + 80 * np.sin(y) + RANDOM.normal(0, 10, (32, 32))).astype("u2")
    scale = Scale.of([stripes])
    assert len(np.unique(scale.apply(stripes))) > 100
    assert "is far below 65,535, for which 16 bits have room" in scale.note


def test_the_note_says_what_is_black_and_what_white() -> None:
    note = Scale.of([np.array([[0, 60_000]] * 2, "u2")]).note
    assert note == (
        "Pixels of 16 bits were made grey levels by one scale for all images, found in those for training: "
        "0 is black, 65535 white."
    )
