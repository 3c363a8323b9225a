"""Splits of a data set as a network sees them: batches, in memory or streamed, augmented or not."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional
from torch.utils.data import DataLoader, Dataset

from pipeline.experiment import RunSettings
from pipeline.learn.data.augment import Draw, augment, generator
from pipeline.learn.device import Hardware
from pipeline.learn.preprocessing import Preprocessing
from pipeline.record import DatasetInfo

SplitName = Literal["train", "val", "test"]


@dataclass(frozen=True)
class Split:
    """Images of one split, as they are stored.

    ``pixels`` uint8 [n, H, H, 3]; ``targets`` int64 [n]; ``index`` int64 [n] counts within the split,
    unreadable images included, so it names the same image for every model; ``files`` are relative to
    the data folder, or empty; ``stored`` is where the images lie on disk, as path and first row.
    """

    pixels: Tensor
    targets: Tensor
    index: np.ndarray
    files: Sequence[str] = field(default=(), repr=False)
    stored: tuple[str, int] = ("", 0)

    def __len__(self) -> int:
        return len(self.index)


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
    streamed: bool = False  # from disk, because memory has no room for it,
    num_workers: int = 0  # by so many processes

    def __len__(self) -> int:
        return len(self.train)

    @property
    def held_bytes(self) -> int:
        """What the images take in memory: nothing when they are streamed."""
        splits = (self.train, self.val, self.test)
        return 0 if self.streamed else sum(split.pixels.nbytes for split in splits)

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
        for step, (pixels, positions) in enumerate(self._fetch(self.train, batches)):
            draw = Draw(generator(seed, epoch, step), positions, seed, epoch, self.fill, settings.crop_share)
            yield self.prepare(augment(pixels, settings.augmentation, draw)), self.train.targets[positions]

    def batches(self, split_name: SplitName, batch_size: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield a split in order, not augmented: x float [B, 3, S, S], y int64 [B]."""
        chosen: Split = getattr(self, split_name)
        order = torch.arange(len(chosen))
        for pixels, positions in self._fetch(chosen, order.split(batch_size)):
            yield self.prepare(pixels), chosen.targets[positions]

    def prepare(self, pixels: Tensor) -> Tensor:
        """Turn uint8 [B, H, H, 3] into what the network sees: float [B, 3, S, S], normalised."""
        size, images = self.preprocessing.image_size, pixels.permute(0, 3, 1, 2)
        if size is not None and images.shape[-1] != size:
            images = _resize(images, size, self.preprocessing.interpolation)
        scale, shift = self._normalisation
        x = images.float().mul_(scale).sub_(shift)
        return x if self.hardware.channels_last else x.contiguous()

    @cached_property
    def _normalisation(self) -> tuple[Tensor, Tensor]:
        """What to multiply with and then to subtract: float [3, 1, 1] each, put on the device once."""
        mean, std = torch.tensor(self.preprocessing.mean), torch.tensor(self.preprocessing.std)
        device = self.hardware.device
        return (1 / (255 * std))[:, None, None].to(device), (mean / std)[:, None, None].to(device)

    @property
    def fill(self) -> tuple[float, ...]:
        """The mean colour of what the network was made for, 0..255."""
        return tuple(255 * value for value in self.preprocessing.mean or ())

    def _fetch(self, chosen: Split, batches: Sequence[Tensor]) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield pixels uint8 [B, H, H, 3] and positions int64 [B] of each batch, on the device."""
        device = self.hardware.device
        if self.streamed:
            stored, pinned = _StoredImages(chosen, batches), device.type == "cuda"
            for pixels, positions in DataLoader(
                stored, None, num_workers=self.num_workers, pin_memory=pinned
            ):
                yield pixels.to(device, non_blocking=True), positions.to(device, non_blocking=True)
            return
        rows = chosen.pixels.flatten(1)
        for order in batches:
            positions = order.to(device, non_blocking=True)
            yield rows.index_select(0, positions).view(-1, *chosen.pixels.shape[1:]), positions


class _StoredImages(Dataset[tuple[Tensor, Tensor]]):
    """The batches of a split that stays on disk; each worker process maps the file itself."""

    def __init__(self, split: Split, batches: Sequence[Tensor]) -> None:
        self.file, self.batches = split.stored, batches

    def __len__(self) -> int:
        return len(self.batches)

    def __getitem__(self, step: int) -> tuple[Tensor, Tensor]:
        return torch.from_numpy(self._pixels[self.batches[step].numpy()]), self.batches[step]

    @cached_property
    def _pixels(self) -> np.ndarray:
        path, first = self.file
        return np.lib.format.open_memmap(path, mode="r")[first:]


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
