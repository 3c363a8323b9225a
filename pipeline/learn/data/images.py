"""Splits of a data set as a network sees them: batches, in memory or streamed, augmented or not."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cache, cached_property
from itertools import islice
from typing import Literal

import numpy as np
import pandas as pd
import torch
from torch import Tensor
from torch.nn import functional
from torch.utils.data import DataLoader, Dataset

from pipeline.experiment import MOST_PASSES, RunSettings
from pipeline.learn.data import balance
from pipeline.learn.data.augment import Draw, augment, generator, mix
from pipeline.learn.device import Hardware
from pipeline.learn.models.weights import Preprocessing
from pipeline.record import DatasetInfo

SplitName = Literal["train", "val", "test"]


@dataclass(frozen=True)
class Split:
    """Images of one split, as they are stored.

    ``pixels`` uint8 [n, H, H, 3]; ``targets`` int64 [n]; ``index`` int64 [n] counts within the split,
    unreadable images included, so it names the same image for every model; ``files`` are relative to
    the data folder, ``paths`` where they lie, ``groups`` what belongs together, all or empty; ``metadata``
    is what a table says of them; ``stored`` is where the images lie on disk, as path and first row, and
    ``rows`` int64 [n] which of the rows from there on, None for all in order.
    """

    pixels: Tensor
    targets: Tensor
    index: np.ndarray
    files: Sequence[str] = field(default=(), repr=False)
    stored: tuple[str, int] = ("", 0)
    rows: np.ndarray | None = None
    paths: Sequence[str] = field(default=(), repr=False)
    groups: Sequence[str] = field(default=(), repr=False)
    metadata: pd.DataFrame | None = field(default=None, repr=False)

    def __len__(self) -> int:
        return len(self.index)

    def subset(self, positions: np.ndarray) -> "Split":
        """Return the images at some positions int64 [m], in their order."""
        chosen = torch.from_numpy(positions).to(self.targets.device)
        return replace(
            self,
            pixels=self.pixels[chosen.to(self.pixels.device)],
            targets=self.targets[chosen],
            index=self.index[positions],
            files=_at(self.files, positions),
            paths=_at(self.paths, positions),
            groups=_at(self.groups, positions),
            metadata=None if self.metadata is None else self.metadata.iloc[positions],
            rows=positions,
        )


def _at(values: Sequence[str], positions: np.ndarray) -> Sequence[str]:
    return [values[i] for i in positions] if values else ()


@dataclass(frozen=True)
class Subset:
    """What ``train`` was drawn from: all training images, and which of them int64 [n], ascending."""

    whole: Split
    positions: np.ndarray
    paced: bool  # whether an epoch takes as many steps as one over all images would


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
    subset: Subset | None = None  # where not all training images are learned from

    def __len__(self) -> int:
        return len(self.train)

    @property
    def held_bytes(self) -> int:
        """What the images take in memory: nothing when they are streamed."""
        splits = (self.whole.train, self.val, self.test)
        return 0 if self.streamed else sum(split.pixels.nbytes for split in splits)

    @property
    def whole(self) -> "ImageData":
        """The same data set with all its training images."""
        return replace(self, train=self.subset.whole, subset=None) if self.subset else self

    def steps_per_epoch(self, batch_size: int) -> int:
        """Return how many batches ``train_batches`` yields."""
        return self.pace(lambda count: len(_slices(count, batch_size, keep_single=False)))

    def pace(self, steps: Callable[[int], int]) -> int:
        """Return the steps of an epoch, where one pass over n images takes ``steps(n)``."""
        own = steps(len(self.train))
        if self.subset is None or not self.subset.paced:
            return own
        return min(steps(len(self.subset.whole)), MOST_PASSES * own)

    def train_batches(
        self, seed: int, epoch: int, settings: RunSettings, shuffle: bool = True
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield each training image once, augmented: x float [B, 3, S, S], y int64 [B].

        With ``sampler: balanced`` each class comes equally often instead; images that are mixed have shares
        of the classes for y, float [B, classes].

        A subset that is paced comes again and again, until there were as many batches as of all images.
        All depends on ``seed`` and ``epoch`` alone, whatever was drawn before. A last batch of a
        single image is left out, because BatchNorm cannot learn from it; without ``shuffle``,
        images come once and in order, and none is left out.
        """
        steps = self.steps_per_epoch(settings.batch_size) if shuffle else None
        passes = (self._pass(seed, number, settings, shuffle) for number in self.passes(epoch, settings))
        return islice((batch for batches in passes for batch in batches), steps)

    def passes(self, epoch: int, settings: RunSettings) -> range:
        """Return the numbers, over the whole run, of the passes over train that an epoch begins."""
        own = len(_slices(len(self.train), settings.batch_size, keep_single=False))
        each = -(-self.steps_per_epoch(settings.batch_size) // max(1, own))
        return range(epoch * each, (epoch + 1) * each)

    def _pass(
        self, seed: int, epoch: int, settings: RunSettings, shuffle: bool
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield each training image once; ``epoch`` counts passes."""
        count = len(self.train)
        order = torch.arange(count)
        if shuffle:
            random = generator(seed, epoch, "order")
            order = balance.order(self.train.targets, random, settings.sampler == "balanced")
        batches = [order[part] for part in _slices(count, settings.batch_size, keep_single=not shuffle)]
        for step, (pixels, positions) in enumerate(self._fetch(self.train, batches)):
            draw = self.draw(settings, generator(seed, epoch, step), positions, seed, epoch)
            x = self.prepare(augment(pixels, settings.augmentation, draw))
            mixed = settings.augmentation if shuffle else ()  # what is cached has one label an image
            yield mix(x, self.train.targets[positions], len(self.classes), mixed, draw)

    def draw(
        self, settings: RunSettings, random: torch.Generator, positions: Tensor, seed: int, epoch: int
    ) -> Draw:
        """Return what a batch of training images is augmented with."""
        reach = {"crop_share": settings.crop_share, "rotation_degrees": settings.rotation_degrees}
        return Draw(random, positions, seed, epoch, self.fill, **reach)

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
        self.file, self.rows, self.batches = split.stored, split.rows, batches

    def __len__(self) -> int:
        return len(self.batches)

    def __getitem__(self, step: int) -> tuple[Tensor, Tensor]:
        batch = self.batches[step].numpy()
        rows = batch if self.rows is None else self.rows[batch]
        return torch.from_numpy(self._pixels[rows]), self.batches[step]

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
    if images.device.type == "cpu":
        return functional.interpolate(images, size=(size, size), mode=interpolation, antialias=True)
    if images.device.type == "cuda":
        resized = functional.interpolate(
            images.float(), size=(size, size), mode=interpolation, antialias=True
        )
    else:
        resized = resized_by_matrices(images, size, interpolation)
    return resized.round_().clamp_(0, 255)


def resized_by_matrices(images: Tensor, size: int, interpolation: str) -> Tensor:
    """Return images [B, C, H, W] as float [B, C, size, size], on devices without a kernel for it (MPS).

    Resizing is linear along each side, so it is a product with one matrix on the left and one on the right.
    """
    left, right = (
        _weights(side, size, interpolation).to(images.device) for side in (images.shape[2], images.shape[3])
    )
    return left @ images.float() @ right.T


@cache
def _weights(side: int, size: int, interpolation: str) -> Tensor:
    """Return how much each pixel of a side counts for each of the resized one, float [size, side]."""
    each = torch.eye(side)[None, None]
    return functional.interpolate(each, size=(size, side), mode=interpolation, antialias=True)[0, 0]
