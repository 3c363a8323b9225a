"""A planted shortcut is found by its name; images without one are seldom accused."""

import numpy as np
import pandas as pd
import pytest

from pipeline.report.evidence.shortcuts import LIGHT, Shortcut, shortcuts

CLASSES = ["bird", "cat", "dog", "frog", "ship"]


def made(seed: int, images: int = 500, classes: int = 5, group: int = 1) -> pd.DataFrame:
    """Images whose properties have nothing to do with their classes, ``group`` of them alike."""
    random = np.random.default_rng(seed)
    light = np.repeat(random.normal(0.5, 0.12, images // group), group)
    columns = {name: light + 0.1 * k + random.normal(0, 0.02, images) for k, name in enumerate(LIGHT)}
    return pd.DataFrame(
        {
            "target": np.repeat(random.permutation(np.arange(images // group) % classes), group),
            "group": np.repeat([f"g{i}" for i in range(images // group)], group),
            "width": random.integers(100, 200, images),
            "height": random.integers(100, 200, images),
            "file_type": random.choice(["jpg", "png"], images),
            "file_number": random.permutation(images).astype(float),
            "red_cast": random.normal(size=images),
            "blue_cast": random.normal(size=images),
            "sharpness": random.normal(size=images),
            **columns,
        }
    )


def accused(found: list[Shortcut]) -> set[str]:
    return {one.property for one in found if one.found}


def test_a_class_a_little_brighter_is_found_and_nothing_else() -> None:
    images = made(1)
    cats = images["target"] == 1
    images.loc[cats, list(LIGHT)] += 0.2

    (one,) = (s for s in shortcuts(images, CLASSES) if s.found)
    assert (one.property, one.told) == ("brightness", "cat")
    assert one.accuracy > one.chance == pytest.approx(0.2)
    assert one.p < 0.01


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("size", lambda images, cats: images.assign(width=images["width"] + 120 * cats)),
        ("file_type", lambda images, cats: images.assign(file_type=np.where(cats, "png", "jpg"))),
        ("file_number", lambda images, _: images.assign(file_number=images["target"] * 10.0 + 1)),
        ("blur", lambda images, cats: images.assign(sharpness=images["sharpness"] - 2.5 * cats)),
    ],
)  # fmt: skip
def test_each_property_is_found_by_its_name(name: str, change: object) -> None:
    images = made(2)
    images = change(images, images["target"].to_numpy() == 1)  # type: ignore[operator]

    assert name in accused(shortcuts(images, CLASSES))


@pytest.mark.parametrize("group", [1, 10])
def test_images_without_a_shortcut_are_seldom_accused(group: int) -> None:
    runs = 40 // (1 + (group > 1))
    p = [
        min(one.p for one in shortcuts(made(seed, 300, 3, group), CLASSES, grouped=group > 1))
        for seed in range(runs)
    ]
    false = sum(bool(accused(shortcuts(made(seed, 300, 3, group), CLASSES, group > 1))) for seed in range(3))

    assert np.mean(np.array(p) < 0.05) <= 0.15  # 5 % and the luck of so few
    assert false == 0


def test_files_numbered_anew_in_each_class_are_no_shortcut_though_classes_differ_in_size() -> None:
    images = made(4, 600, 3)
    images = images[(images["target"] != 2) | (images["file_number"] < 200)].reset_index(drop=True)
    images["file_number"] = images.groupby("target").cumcount() + 1.0

    assert "file_number" not in accused(shortcuts(images, CLASSES))


def test_what_does_not_vary_or_is_not_known_is_not_asked() -> None:
    images = made(3).assign(width=32, height=32, file_type="png", file_number=np.nan)

    assert {one.property for one in shortcuts(images, CLASSES)} == {"brightness", "colour_cast", "blur"}


def test_of_images_of_a_few_pixels_blur_is_not_asked() -> None:
    """A “1” of 8 × 8 pixels has sharper edges than other digits: that is what it looks like."""
    asked = {side: {one.property for one in shortcuts(made(3), CLASSES, side=side)} for side in (8.0, 32.0)}

    assert asked[32.0] - asked[8.0] == {"blur"}
