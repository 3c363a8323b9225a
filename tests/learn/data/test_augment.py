"""Whole-batch augmentation does to each image what plain code does to one."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torchvision.transforms import v2
from torchvision.transforms.v2 import functional

from pipeline.experiment import AUGMENTATIONS
from pipeline.learn.data.augment import (
    ERASED_SHARE,
    Draw,
    _reflect,
    alternating_flips,
    augment,
    color_jitter,
    generator,
    mix,
    random_erasing,
    rotation,
)

SIDE = 16


def batch(count, side=SIDE):
    return torch.randint(0, 256, (count, side, side, 3), dtype=torch.uint8, generator=generator("batch"))


def draw(count, seed=0, epoch=0, fill=(10.0, 20.0, 30.0)):
    return Draw(generator(seed, epoch, "test"), torch.arange(count), seed, epoch, fill)


class FixedDraw(Draw):
    """Draws that turn images by known angles."""

    def __init__(self, angles, **values):
        super().__init__(**values)
        object.__setattr__(self, "angles", angles)

    def uniform(self, *shape, low=0.0, high=1.0):
        return self.angles


MIXED = ("mixup", "cutmix")  # they change labels too
ALONE = [name for name in AUGMENTATIONS if name not in MIXED]


@pytest.mark.parametrize("names", [[name] for name in ALONE] + [list(AUGMENTATIONS)])
def test_each_augmentation_is_known_changes_images_and_repeats_itself(names):
    pixels = batch(20)
    first, again = (augment(pixels, names, draw(20)) for _ in range(2))
    other = augment(pixels, names, draw(20, seed=1))
    assert (first.shape, first.dtype) == (pixels.shape, torch.uint8)
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert not torch.equal(first, pixels)


def test_without_augmentation_nothing_changes():
    assert torch.equal(augment(batch(4), [], draw(4)), batch(4))


@pytest.mark.parametrize("names", [list(AUGMENTATIONS)])
def test_global_generators_are_left_alone(names):
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    augment(batch(9), names, draw(9))
    assert torch.equal(torch.rand(3), expected)


@pytest.mark.parametrize(
    ("side", "share", "reach"), [(8, 0.125, 1), (9, 0.125, 1), (32, 0.125, 4), (32, 0.0625, 2)]
)
def test_crops_are_all_shifts_of_the_mirrored_border_equally_often(side, share, reach):
    """Against plain code: pad with the reflection, cut at every offset, find which one it was."""
    image = batch(1, side)[0]
    padded = np.pad(image.numpy(), ((reach, reach), (reach, reach), (0, 0)), mode="reflect")
    places = range(2 * reach + 1)
    plain = {padded[y : y + side, x : x + side].tobytes(): (y, x) for y in places for x in places}
    count = 200 * len(plain)
    drawn = replace(draw(count), crop_share=share)
    cropped = augment(image.expand(count, -1, -1, -1), ["crop"], drawn)
    found = [plain[crop.numpy().tobytes()] for crop in cropped]
    times = np.array([found.count(place) for place in plain.values()])
    assert len(plain) == (2 * reach + 1) ** 2
    assert abs(times - 200).max() < 6 * 200**0.5


def test_positions_beyond_the_border_are_reflected():
    assert _reflect(torch.arange(-3, 8), 5).tolist() == [3, 2, 1, 0, 1, 2, 3, 4, 3, 2, 1]


def test_half_of_the_images_are_flipped():
    pixels = batch(4000, 8)
    flipped = augment(pixels, ["flip"], draw(4000))
    mirrored = (flipped == pixels.flip(2)).flatten(1).all(1)
    kept = (flipped == pixels).flatten(1).all(1)
    assert torch.all(mirrored ^ kept)
    assert abs(mirrored.float().mean() - 0.5) < 0.04


def test_alternating_flip_mirrors_each_image_every_other_epoch():
    epochs = [alternating_flips(draw(4000, seed=3, epoch=epoch)) for epoch in range(4)]
    assert abs(epochs[0].float().mean() - 0.5) < 0.04
    assert torch.equal(epochs[0], ~epochs[1])
    assert torch.equal(epochs[0], epochs[2])
    assert not torch.equal(epochs[0], alternating_flips(draw(4000, seed=4)))
    neighbours = (epochs[0][1:] == epochs[0][:-1]).float().mean()
    assert abs(neighbours - 0.5) < 0.04


def test_crop_and_flip_together_are_one_after_the_other():
    pixels = batch(1, 8)
    crops = {c.numpy().tobytes() for c in augment(pixels.expand(2000, -1, -1, -1), ["crop"], draw(2000))}
    crops |= {
        c.flip(1).numpy().tobytes() for c in augment(pixels.expand(2000, -1, -1, -1), ["crop"], draw(2000))
    }
    both = augment(pixels.expand(4000, -1, -1, -1), ["crop", "flip"], draw(4000))
    assert {c.numpy().tobytes() for c in both} == crops


def test_color_jitter_is_torchvisions_with_one_factor_for_each_image():
    pixels = batch(12)
    brightness, contrast, saturation = draw(12).uniform(3, 12, low=0.6, high=1.4)
    changed = color_jitter(pixels, draw(12))
    for number, image in enumerate(pixels.permute(0, 3, 1, 2)):
        plain = functional.adjust_brightness(image, float(brightness[number]))
        plain = functional.adjust_contrast(plain, float(contrast[number]))
        plain = functional.adjust_saturation(plain, float(saturation[number]))
        difference = changed[number].permute(2, 0, 1).int() - plain.int()
        assert difference.abs().max() <= 4  # torchvision cuts off fractions after each of its steps
        assert difference.float().mean().abs() < 2


def test_erased_areas_are_as_frequent_and_as_large_as_torchvisions():
    count, side = 3000, 32
    ours = random_erasing(torch.zeros(count, side, side, 3, dtype=torch.uint8), draw(count, fill=(9.0,) * 3))
    torch.manual_seed(0)
    plain = v2.RandomErasing(p=ERASED_SHARE, scale=(0.02, 1 / 3), ratio=(0.3, 1 / 0.3), value=9)
    theirs = torch.stack([plain(torch.zeros(3, side, side, dtype=torch.uint8)) for _ in range(count)])
    areas = [(ours[..., 0] == 9).float().mean((1, 2)), (theirs[:, 0] == 9).float().mean((1, 2))]
    assert set(ours.unique().tolist()) == {0, 9}
    shares = [(area > 0).float().mean() for area in areas]
    assert abs(shares[0] - shares[1]) < 0.04
    means = [area[area > 0].mean() for area in areas]
    assert abs(means[0] - means[1]) < 0.02


def test_erased_boxes_lie_everywhere_and_are_rectangles():
    erased = random_erasing(torch.zeros(4000, 16, 16, 3, dtype=torch.uint8), draw(4000, fill=(9.0,) * 3))
    boxes = (erased[..., 0] == 9).float()
    often = boxes.mean(0)
    assert (often > 0).all()
    assert torch.allclose(often, often.flip(0), atol=0.03)
    assert torch.allclose(often, often.T, atol=0.03)
    for box in boxes[:200]:
        assert torch.equal(box, torch.outer(box.amax(1), box.amax(0)))


def test_rand_augment_gives_groups_different_operations():
    pixels = batch(1).expand(64, -1, -1, -1)
    changed = augment(pixels, ["rand_augment"], draw(64))
    assert len({image.numpy().tobytes() for image in changed}) > 4


def test_generators_depend_on_every_part_of_their_key():
    keys = [(0, 1), (1, 0), (0, 1, "order"), (0, 11), (0, 1, 0)]
    numbers = {float(torch.rand((), generator=generator(*key))) for key in keys}
    assert len(numbers) == len(keys)
    assert torch.rand((), generator=generator(2**80)) < 1


def test_vertical_flip_turns_half_of_the_images_upside_down():
    pixels = batch(1).expand(4000, -1, -1, -1)
    flipped = augment(pixels, ["vertical_flip"], draw(4000))
    upside_down = (flipped == pixels.flip(1)).flatten(1).all(dim=1)
    assert ((flipped == pixels).flatten(1).all(dim=1) ^ upside_down).all()
    assert 0.46 < upside_down.float().mean() < 0.54


def test_rotation_by_a_quarter_is_a_transposed_image_and_small_angles_are_torchvisions():
    pixels = batch(3)
    angles = torch.linspace(-15, 15, 3)
    drawn = FixedDraw(**{**vars(draw(3)), "angles": torch.deg2rad(angles)})
    found = rotation(pixels, drawn)
    for image, turned, angle in zip(pixels, found, angles, strict=True):
        plain = functional.rotate(image.permute(2, 0, 1).float(), float(angle), v2.InterpolationMode.BILINEAR)
        inside = slice(4, 12)  # borders are reflected here and black there
        assert (turned.permute(2, 0, 1)[:, inside, inside] - plain[:, inside, inside]).abs().max() <= 2
    right = FixedDraw(**{**vars(draw(3)), "angles": torch.full((3,), torch.pi / 2)})
    assert torch.equal(rotation(pixels, right), torch.rot90(pixels, 1, (1, 2)))


@pytest.mark.parametrize("kind", MIXED)
def test_mixed_labels_are_the_shares_of_the_images_mixed(kind):
    targets = torch.arange(6) % 3
    x = torch.nn.functional.one_hot(targets, 3).float()[:, :, None, None].expand(-1, -1, 8, 8)
    seen = set()
    for seed in range(20):
        mixed, shares = mix(x, targets, 3, ["crop", kind], draw(6, seed=seed))
        assert torch.allclose(mixed.mean(dim=(2, 3)), shares, atol=1e-5)  # a channel a class
        assert torch.allclose(shares.sum(dim=1), torch.ones(6))
        seen.update(round(share, 3) for share in shares.flatten().tolist())
        if kind == "cutmix":
            assert set(mixed.unique().tolist()) <= {0.0, 1.0}
    assert len(seen) > 5


def test_without_mixup_and_cutmix_labels_stay_classes():
    x, targets = torch.zeros(4, 3, 8, 8), torch.arange(4)
    assert mix(x, targets, 4, ["crop", "flip"], draw(4)) == (x, targets)
