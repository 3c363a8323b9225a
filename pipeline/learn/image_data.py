"""Splits of a data set as a network sees them: batches, in memory or streamed, augmented or not."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional
from torch.utils.data import DataLoader, Dataset

from pipeline.learn.augmentation import Draw, augment, generator
from pipeline.learn.hardware import Hardware
from pipeline.learn.preprocessing import Preprocessing
from pipeline.records import DatasetInfo
from pipeline.settings import RunSettings

SplitName = Literal["train", "val", "test"]


@dataclass(frozen=True)
class Split:
    """Images of one split, as they are stored.

    ``images`` uint8 [n, 3, H, H], channels last in memory; ``targets`` int64 [n]; ``index`` int64 [n]
    counts within the split, unreadable images included, so it names the same image for every model;
    ``files`` are relative to the data folder, or empty.
    """

    images: Tensor
    targets: Tensor
    index: np.ndarray
    files: Sequence[str] = field(default=(), repr=False)

    def __len__(self) -> int:
        return len(self.index)

    @property
    def pixels(self) -> Tensor:
        """The images as they lie in memory: uint8 [n, H, H, 3]."""
        return self.images.permute(0, 2, 3, 1)


@dataclass(frozen=True)
class ImageData:
    """A data set, ready to train on. ``preprocessing`` has no None left in it but its weights' name."""

    classes: list[str]
    train: Split
    val: Split
    test: Split
    preprocessing: Preprocessing
    info: DatasetInfo
    hardware: Hardware
    seconds: float = 0.0
    streamed: bool = False  # from disk, because memory has no room for it

    def __len__(self) -> int:
        return len(self.train)

    def steps_per_epoch(self, batch_size: int) -> int:
        """Return how many batches ``train_batches`` yields."""
        return len(_slices(len(self.train), batch_size, keep_single=False))

    def train_batches(
        self, seed: int, epoch: int, settings: RunSettings, shuffle: bool = True
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield each training image once, augmented: x float [B, 3, S, S], y int64 [B].

        All depends on ``seed`` and ``epoch`` alone, whatever was drawn before. A last batch of a
        single image is left out, because BatchNorm cannot learn from it; without ``shuffle``,
        images come in order and none is left out.
        """
        count = len(self.train)
        order = torch.arange(count)
        if shuffle:
            order = torch.randperm(count, generator=generator(seed, epoch, "order"))
        batches = [order[part] for part in _slices(count, settings.batch_size, keep_single=not shuffle)]
        for step, (pixels, positions) in enumerate(self._fetch(self.train, batches, settings.num_workers)):
            draw = Draw(generator(seed, epoch, step), positions, seed, epoch, self.fill)
            yield self.prepare(augment(pixels, settings.augmentation, draw)), self.train.targets[positions]

    def augmented_pixels(self, seed: int, epoch: int, settings: RunSettings) -> Tensor:
        """Return all training images in order as one epoch augments them: uint8 [n, H, H, 3]."""
        draw = Draw(generator(seed, epoch, 0), torch.arange(len(self.train)), seed, epoch, self.fill)
        return augment(self.train.pixels, settings.augmentation, draw)

    def batches(self, split_name: SplitName, batch_size: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield a split in order, not augmented: x float [B, 3, S, S], y int64 [B]."""
        chosen: Split = getattr(self, split_name)
        order = torch.arange(len(chosen))
        for pixels, positions in self._fetch(chosen, order.split(batch_size)):
            yield self.prepare(pixels), chosen.targets[positions]

    def prepare(self, pixels: Tensor) -> Tensor:
        """Turn uint8 [B, H, H, 3] into what the network sees: float [B, 3, S, S], normalised."""
        size, mean, std = self.preprocessing.image_size, self.preprocessing.mean, self.preprocessing.std
        images = pixels.permute(0, 3, 1, 2)
        if size is not None and images.shape[-1] != size:
            images = _resize(images, size, self.preprocessing.interpolation)
        scale = 1 / (255 * torch.tensor(std, device=images.device))
        shift = -torch.tensor(mean, device=images.device) / torch.tensor(std, device=images.device)
        x = images.float().mul_(scale[:, None, None]).add_(shift[:, None, None])
        return x if self.hardware.channels_last else x.contiguous()

    @property
    def fill(self) -> Tensor:
        """The mean colour of what the network was made for, 0..255: float [3]."""
        return 255 * torch.tensor(self.preprocessing.mean, device=self.hardware.device)

    def _fetch(
        self, chosen: Split, batches: Sequence[Tensor], num_workers: int = 0
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield pixels uint8 [B, H, H, 3] and positions int64 [B] of each batch, on the device."""
        device = self.hardware.device
        rows = chosen.pixels.flatten(1)
        if self.streamed:
            pinned = device.type == "cuda"
            reader: Iterable[tuple[Tensor, Tensor]] = DataLoader(
                _Rows(rows, batches), None, num_workers=num_workers, pin_memory=pinned
            )
        else:
            on_device = (positions.to(device, non_blocking=True) for positions in batches)
            reader = ((rows.index_select(0, positions), positions) for positions in on_device)
        for pixels, positions in reader:
            images = pixels.to(device, non_blocking=True).view(-1, *chosen.pixels.shape[1:])
            yield images, positions.to(device, non_blocking=True)


class _Rows(Dataset[tuple[Tensor, Tensor]]):
    """Batches of images that lie on disk; each worker process reads whole batches."""

    def __init__(self, rows: Tensor, batches: Sequence[Tensor]) -> None:
        self.rows, self.batches = rows, batches

    def __len__(self) -> int:
        return len(self.batches)

    def __getitem__(self, step: int) -> tuple[Tensor, Tensor]:
        return self.rows.index_select(0, self.batches[step]), self.batches[step]


def _slices(count: int, batch_size: int, keep_single: bool) -> list[slice]:
    slices = [slice(start, start + batch_size) for start in range(0, count, batch_size)]
    single = count % batch_size == 1 and batch_size > 1 and count > 1
    return slices[:-1] if single and not keep_single else slices


def _resize(images: Tensor, size: int, interpolation: str) -> Tensor:
    """Resize uint8 images. PyTorch's uint8 kernels are 30 times faster than its float ones, on CPUs only."""
    if images.device.type == "cuda":
        resized = functional.interpolate(
            images.float(), size=(size, size), mode=interpolation, antialias=True
        )
        return resized.round_().clamp_(0, 255)
    resized = functional.interpolate(images.cpu(), size=(size, size), mode=interpolation, antialias=True)
    return resized.to(images.device)
