"""A weak slice is found by name and value; equal slices are seldom called weak."""

import numpy as np
import pandas as pd

from pipeline.report.evidence.slices import slices

IMAGES = 600


def table(seed: int) -> pd.DataFrame:
    random = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            "width": 32,
            "height": 32,
            "file_type": "png",
            "brightness": random.random(IMAGES),
            "contrast": random.random(IMAGES),
            "sharpness": random.random(IMAGES),
            "about_camera": random.choice(["A", "B", "C"], IMAGES),
            "about_age": random.integers(20, 90, IMAGES).astype(str),
        }
    )


def test_the_weak_camera_is_named_with_its_numbers() -> None:
    images, random = table(0), np.random.default_rng(1)
    weak = (images["about_camera"] == "B").to_numpy()
    correct = (random.random(IMAGES) < np.where(weak, 0.6, 0.9))[None]

    found = slices(images, correct)

    first = found[0]
    assert (first.property, first.slice, first.weak) == ("camera", "B", True)
    assert first.images == weak.sum()
    assert first.accuracy == correct[0, weak].mean()
    assert first.low < first.accuracy < first.high
    assert [one.slice for one in found if one.weak] == ["B"]


def test_numbers_are_cut_in_quarters_and_what_does_not_vary_is_left_out() -> None:
    names = {one.property for one in slices(table(0), np.ones((1, IMAGES), bool))}

    assert names == {"brightness", "contrast", "sharpness", "camera", "age"}


def test_equal_slices_are_seldom_called_weak() -> None:
    claims = 0
    for seed in range(40):
        correct = np.random.default_rng(1000 + seed).random((1, IMAGES)) < 0.85
        claims += any(one.p_holm < 0.05 for one in slices(table(seed), correct))

    assert claims <= 5
