"""Random changes to whole batches of training images, on the device that trains.

A batch is uint8 [B, S, S, 3]. Every random number comes from a generator on the CPU, so that each
device sees the same images.
"""

import hashlib
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

JITTER = 0.4
ERASED_SHARE = 0.25
ERASED_AREA = (0.02, 1 / 3)
ERASED_RATIO = (0.3, 1 / 0.3)
RAND_AUGMENT_GROUP = 8
BETA = {"mixup": 0.2, "cutmix": 1.0}  # how evenly two images share one, as in torchvision's references


@dataclass(frozen=True)
class Draw:
    """What one batch is augmented with: its generator, and which images it holds in which epoch.

    ``positions`` int64 [B] are positions in the training split; ``fill`` is a mean colour, 0..255; a crop
    moves an image by up to ``crop_share`` of its side.
    """

    random: torch.Generator
    positions: Tensor
    seed: int
    epoch: int
    fill: Sequence[float]
    crop_share: float = 0.125
    rotation_degrees: float = 15.0

    def uniform(self, *shape: int, low: float = 0.0, high: float = 1.0) -> Tensor:
        """Return numbers from [low, high), on the device of the batch."""
        numbers = torch.rand(*shape, generator=self.random) * (high - low) + low
        return numbers.to(self.positions.device, non_blocking=True)


def generator(*key: int | str) -> torch.Generator:
    """Return a random generator on the CPU that depends on ``key`` alone."""
    digest = hashlib.sha256(" ".join(map(str, key)).encode()).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest[:8], "little") >> 1)


def augment(pixels: Tensor, names: Sequence[str], draw: Draw) -> Tensor:
    """Return the batch, changed by each named augmentation, in the order of ``AUGMENTATIONS``."""
    moved = {"crop", "flip", "alternating_flip", "vertical_flip"} & set(names)
    if moved:
        pixels = _crop_and_flip(pixels, moved, draw)
    for name, change in AUGMENTATIONS.items():
        if name in names:
            pixels = change(pixels, draw)
    return pixels


def _crop_and_flip(pixels: Tensor, names: set[str], draw: Draw) -> Tensor:
    """Translate with reflected borders and mirror, in one gather of whole pixels."""
    batch, side = pixels.shape[:2]
    rows = columns = torch.arange(side, device=pixels.device).expand(batch, side)
    flipped = torch.zeros(batch, dtype=torch.bool, device=pixels.device)
    if "flip" in names:
        flipped = flipped ^ (draw.uniform(batch) < 0.5)
    if "alternating_flip" in names:
        flipped = flipped ^ alternating_flips(draw)
    if "crop" in names:
        reach = max(1, int(side * draw.crop_share))
        shift = draw.uniform(2, batch, 1, low=-reach, high=reach + 1).floor().long()
        rows, columns = _reflect(rows + shift[0], side), _reflect(columns + shift[1], side)
    if "vertical_flip" in names:
        upside_down = draw.uniform(batch) < 0.5
        rows = torch.where(upside_down[:, None], rows.flip(1), rows)
    columns = torch.where(flipped[:, None], columns.flip(1), columns)
    images = torch.arange(batch, device=pixels.device)[:, None, None]
    flat = (images * side + rows[:, :, None]) * side + columns[:, None, :]
    return pixels.reshape(-1, 3).index_select(0, flat.flatten()).view(pixels.shape)


def _reflect(positions: Tensor, side: int) -> Tensor:
    """Fold positions outside 0 ... side - 1 back in, without repeating the border."""
    last = side - 1
    return last - (last - positions.abs()).abs()


def alternating_flips(draw: Draw) -> Tensor:
    """Whether each image is mirrored in this epoch: at random in the first, then in turn.

    From airbench (Jordan 2024, arXiv 2404.00498): two epochs together show both views of an image.
    """
    mixed = draw.positions * 0x2545F491 + draw.seed % 0xFFFF_FFFF
    for _ in range(2):
        mixed = ((mixed ^ (mixed >> 16)) * 0x45D9F3B) & 0xFFFF_FFFF
    return ((mixed >> 16) + draw.epoch) % 2 == 1


def rotation(pixels: Tensor, draw: Draw) -> Tensor:
    """Turn each image about its middle by an angle of its own, with reflected borders, bilinear."""
    batch, side = pixels.shape[:2]
    reach = math.radians(draw.rotation_degrees)
    angle = draw.uniform(batch, low=-reach, high=reach)
    nothing = torch.zeros_like(angle)
    turn = torch.stack([angle.cos(), -angle.sin(), nothing, angle.sin(), angle.cos(), nothing], dim=1)
    grid = functional.affine_grid(turn.view(-1, 2, 3), [batch, 3, side, side], align_corners=False)
    images = pixels.permute(0, 3, 1, 2).float()
    turned = functional.grid_sample(images, grid, padding_mode="reflection", align_corners=False)
    return turned.round_().clamp_(0, 255).to(torch.uint8).permute(0, 2, 3, 1).contiguous()


def color_jitter(pixels: Tensor, draw: Draw) -> Tensor:
    """Scale brightness, then contrast, then saturation by factors from 0.6 to 1.4, for each image."""
    brightness, contrast, saturation = draw.uniform(3, len(pixels), 1, 1, 1, low=1 - JITTER, high=1 + JITTER)
    images = (pixels.float() * brightness).clamp_(0, 255)
    images = _blend(images, _grey(images).mean(dim=(1, 2), keepdim=True), contrast)
    images = _blend(images, _grey(images), saturation)
    return images.round_().to(torch.uint8)


def _blend(images: Tensor, other: Tensor, factor: Tensor) -> Tensor:
    return (other + (images - other) * factor).clamp_(0, 255)


def _grey(images: Tensor) -> Tensor:
    red, green, blue = images.split(1, dim=-1)
    return 0.2989 * red + 0.587 * green + 0.114 * blue  # ITU-R 601, as torchvision


def random_erasing(pixels: Tensor, draw: Draw) -> Tensor:
    """Fill one box in a quarter of the images with the mean colour (Zhong et al. 2017, 1708.04896)."""
    batch, side = pixels.shape[:2]
    height, width = _boxes(batch, side, draw)
    top = (draw.uniform(batch) * (side - height + 1)).floor()
    left = (draw.uniform(batch) * (side - width + 1)).floor()
    place = torch.arange(side, device=pixels.device)
    rows = (place >= top[:, None]) & (place < (top + height)[:, None])
    columns = (place >= left[:, None]) & (place < (left + width)[:, None])
    erased = rows[:, :, None] & columns[:, None, :] & (draw.uniform(batch, 1, 1) < ERASED_SHARE)
    fill = torch.tensor(draw.fill).round().to(torch.uint8).to(pixels.device, non_blocking=True)
    return torch.where(erased[..., None], fill, pixels)


def _boxes(batch: int, side: int, draw: Draw) -> tuple[Tensor, Tensor]:
    """Return height and width [B] of a box for each image: of ten tries, the first that fits."""
    area = draw.uniform(10, batch, low=ERASED_AREA[0], high=ERASED_AREA[1]) * side**2
    log_ratio = draw.uniform(10, batch, low=math.log(ERASED_RATIO[0]), high=math.log(ERASED_RATIO[1]))
    height, width = (area * log_ratio.exp()).sqrt().round(), (area / log_ratio.exp()).sqrt().round()
    fits = (height < side) & (width < side)
    first = fits.int().argmax(dim=0, keepdim=True)
    nothing = torch.where(fits.any(dim=0), 1.0, 0.0)
    return height.gather(0, first)[0] * nothing, width.gather(0, first)[0] * nothing


def rand_augment(pixels: Tensor, draw: Draw) -> Tensor:
    """Apply RandAugment (Cubuk et al. 2019, 1909.13719): two operations of magnitude 9 of 31.

    torchvision applies the same operations to all it is given, so the batch goes in groups of 8.
    """
    from torchvision.transforms.v2 import RandAugment

    transform = RandAugment(fill=list(draw.fill))
    groups = pixels.permute(0, 3, 1, 2).split(RAND_AUGMENT_GROUP)
    with torch.random.fork_rng(devices=[]):  # torchvision draws from the global generator
        torch.manual_seed(int(torch.randint(2**62, (), generator=draw.random)))
        changed = [transform(group) for group in groups]
    return torch.cat(changed).permute(0, 2, 3, 1).contiguous()


def mix(x: Tensor, targets: Tensor, classes: int, names: Sequence[str], draw: Draw) -> tuple[Tensor, Tensor]:
    """Blend each image [B, 3, S, S] with another of its batch, and their labels [B] to shares [B, classes].

    mixup (Zhang et al. 2018, arXiv 1710.09412) adds them up, cutmix (Yun et al. 2019, 1905.04899) puts a box
    of one into the other; of both, chance chooses one for each batch. Without either nothing changes.
    """
    kinds = [name for name in BETA if name in names]
    if not kinds:
        return x, targets
    kind = kinds[int(torch.randint(len(kinds), (), generator=draw.random))]
    numbers = np.random.default_rng(int(torch.randint(2**62, (), generator=draw.random)))
    share = float(numbers.beta(BETA[kind], BETA[kind]))
    order = torch.randperm(len(x), generator=draw.random).to(x.device)
    if kind == "mixup":
        x = share * x + (1 - share) * x[order]
    else:
        box = _box(x.shape[-1], share, numbers)
        x = x.clone()
        x[:, :, box[0], box[1]] = x[order][:, :, box[0], box[1]]
        share = 1 - (box[0].stop - box[0].start) * (box[1].stop - box[1].start) / x.shape[-1] ** 2
    shares = functional.one_hot(targets, classes).float()
    return x, share * shares + (1 - share) * shares[order]


def _box(side: int, share: float, numbers: np.random.Generator) -> tuple[slice, slice]:
    """Return rows and columns of a box of 1 - ``share`` of the image, cut off where it leaves it."""
    half = side * math.sqrt(1 - share) / 2
    middle = numbers.uniform(0, side, 2)
    ends = [(max(0, round(at - half)), min(side, round(at + half))) for at in middle]
    return slice(*ends[0]), slice(*ends[1])


AUGMENTATIONS: dict[str, Callable[[Tensor, Draw], Tensor]] = {
    "rotation": rotation,
    "rand_augment": rand_augment,
    "color_jitter": color_jitter,
    "random_erasing": random_erasing,
}
