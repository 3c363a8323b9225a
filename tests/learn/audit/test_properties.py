"""What is measured of each image has known values on made ones."""

from pathlib import Path

import numpy as np
import pytest
import torch

from pipeline.learn.audit import properties
from pipeline.record import IMAGE_COLUMNS
from tests.learn import tiny


def test_light_and_colour_of_plain_images_are_known() -> None:
    pixels = torch.zeros(2, 8, 8, 3, dtype=torch.uint8)
    pixels[1] = torch.tensor([255, 0, 51], dtype=torch.uint8)

    found = properties._of_pixels(pixels)

    assert found["brightness"].tolist() == pytest.approx([0, 0.299 + 0.114 / 5], abs=1e-5)
    assert found["red_cast"].tolist() == pytest.approx([0, 1])
    assert found["blue_cast"].tolist() == pytest.approx([0, 0.2])
    assert found["pixels"].nunique() == 2


def test_blur_lowers_sharpness() -> None:
    sharp = torch.from_numpy(np.random.default_rng(0).integers(0, 255, (1, 32, 32, 3)).astype(np.uint8))
    flat = torch.nn.functional.avg_pool2d(sharp.permute(0, 3, 1, 2).float(), 5, 1, 2).byte()

    found = properties._of_pixels(torch.cat([sharp, flat.permute(0, 2, 3, 1)]))["sharpness"]

    assert found[1] < 0.5 * found[0]


def test_every_image_of_a_run_has_a_row_and_older_measurements_are_read(workplace: Path) -> None:
    images = tiny.images(tiny.settings())

    first, again = properties.table(images), properties.table(images)

    assert tuple(first.columns) == IMAGE_COLUMNS
    assert first["split"].value_counts().to_dict() == images.info.split_sizes
    assert first.equals(again)


def test_the_last_number_of_a_name_counts() -> None:
    assert properties._number("IMG_2024_0173b") == 173
    assert np.isnan(properties._number("cat"))
