"""A data set as a network sees it: splits, batches, and how each image was prepared."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional
from torch.utils.data import DataLoader, Dataset

from pipeline.errors import DataError
from pipeline.learn import sources
from pipeline.learn.augmentation import Draw, augment, generator
from pipeline.learn.contents import Contents
from pipeline.learn.decoded import Decoded, Decoder
from pipeline.learn.gallery import gallery, show_augmented, show_samples
from pipeline.learn.preprocessing import Preprocessing
from pipeline.learn.splitting import Splits, split
from pipeline.records import DatasetInfo, digest
from pipeline.settings import RunSettings

if TYPE_CHECKING:
    from pipeline.learn.hardware import Hardware

__all__ = ["ImageData", "Split", "gallery", "load", "show_augmented", "show_samples"]
SplitName = Literal["train", "val", "test"]
SMALLEST_SIDE = 8


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
    hardware: "Hardware"
    seconds: float = 0.0
    num_workers: int | None = None  # None: in memory, else streamed by so many processes

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
        for step, (pixels, positions) in enumerate(self._fetch(self.train, batches)):
            draw = Draw(generator(seed, epoch, step), positions, seed, epoch, self._fill)
            yield self.prepare(augment(pixels, settings.augmentation, draw)), self.train.targets[positions]

    def augmented_pixels(self, seed: int, epoch: int, settings: RunSettings) -> Tensor:
        """Return all training images in order as one epoch augments them: uint8 [n, H, H, 3]."""
        draw = Draw(generator(seed, epoch, 0), torch.arange(len(self.train)), seed, epoch, self._fill)
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
    def _fill(self) -> Tensor:
        return 255 * torch.tensor(self.preprocessing.mean, device=self.hardware.device)

    def _fetch(self, chosen: Split, batches: Sequence[Tensor]) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield pixels uint8 [B, H, H, 3] and positions int64 [B] of each batch, on the device."""
        device = self.hardware.device
        if self.num_workers is None:
            rows = chosen.pixels.flatten(1)
            for positions in batches:
                positions = positions.to(device, non_blocking=True)
                yield rows.index_select(0, positions).view(-1, *chosen.pixels.shape[1:]), positions
            return
        loader = DataLoader(
            _Rows(chosen.pixels, batches),
            batch_size=None,
            num_workers=self.num_workers,
            pin_memory=device.type == "cuda",
        )
        for pixels, positions in loader:
            yield pixels.to(device, non_blocking=True), positions.to(device, non_blocking=True)


class _Rows(Dataset[tuple[Tensor, Tensor]]):
    """Batches of images that lie on disk; each worker process reads whole batches."""

    def __init__(self, pixels: Tensor, batches: Sequence[Tensor]) -> None:
        self.pixels, self.batches = pixels, batches

    def __len__(self) -> int:
        return len(self.batches)

    def __getitem__(self, step: int) -> tuple[Tensor, Tensor]:
        return self.pixels[self.batches[step]], self.batches[step]


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


def load(settings: RunSettings, preprocessing: Preprocessing, hardware: "Hardware") -> ImageData:
    """Find, split and decode a data set.

    Raises DataError when it cannot be had, is too small, or holds too many unreadable images.
    """
    start = time.perf_counter()
    contents = sources.find(settings)
    splits = split(contents, settings)
    decoded = _decode(settings, preprocessing, hardware, contents, splits)
    unreadable = _refuse_unreadable(settings, contents, splits, decoded)
    parts = _splits(contents, splits, decoded, hardware)
    resolved = _resolve(settings, preprocessing, parts["train"], decoded)
    info = _info(settings, contents, splits, parts, decoded, unreadable)
    return ImageData(
        contents.classes,
        parts["train"],
        parts["val"],
        parts["test"],
        resolved,
        info,
        hardware,
        seconds=time.perf_counter() - start,
    )


def _decode(
    settings: RunSettings,
    preprocessing: Preprocessing,
    hardware: "Hardware",
    contents: Contents,
    splits: Splits,
) -> Decoded:
    chosen = [(contents.parts[s.part], int(i)) for _, s in splits.items() for i in s.positions]
    selected = {name: [s.part, s.positions.tolist()] for name, s in splits.items()}
    key = digest([sources.fingerprint(settings), selected])[:24]
    return Decoder(
        lambda i: chosen[i][0].read(chosen[i][1]),
        len(chosen),
        f"{contents.name}-{key}",
        settings.image_size or preprocessing.image_size,
        preprocessing.interpolation,
        hardware.threads,
    ).load()


def _refuse_unreadable(
    settings: RunSettings, contents: Contents, splits: Splits, decoded: Decoded
) -> list[str]:
    """Return the names of unreadable images, unless they are too many."""
    names = [contents.parts[s.part].name(int(i)) for _, s in splits.items() for i in s.positions]
    unreadable = [names[i] for i in sorted(decoded.unreadable)]
    if len(unreadable) > settings.max_unreadable * len(names):
        first = min(decoded.unreadable)
        raise DataError(
            f"{contents.place}: {len(unreadable):,} of {len(names):,} images cannot be read "
            f"({len(unreadable) / len(names):.1%}), and max_unreadable allows {settings.max_unreadable:.1%}. "
            f"The first is {names[first]}: {decoded.unreadable[first]}. "
            "Repair or remove them, or raise max_unreadable."
        )
    return unreadable


def _splits(contents: Contents, splits: Splits, decoded: Decoded, hardware: "Hardware") -> dict[str, Split]:
    images = torch.from_numpy(decoded.pixels).permute(0, 3, 1, 2)
    parts, first_row, first_image = {}, 0, 0
    for name, selection in splits.items():
        part = contents.parts[selection.part]
        within = decoded.positions[first_row:] - first_image
        index = within[within < len(selection)]
        rows = slice(first_row, first_row + len(index))
        positions = selection.positions[index]
        targets = torch.from_numpy(part.targets[positions])
        files = [part.files[i] for i in positions] if part.files else []
        _refuse_emptied_classes(contents, name, targets)
        parts[name] = Split(images[rows].to(hardware.device), targets.to(hardware.device), index, files)
        first_row, first_image = rows.stop, first_image + len(selection)
    return parts


def _refuse_emptied_classes(contents: Contents, name: str, targets: Tensor) -> None:
    counts = torch.bincount(targets, minlength=len(contents.classes))
    if len(targets) == 0 or counts.min() == 0:
        label = contents.classes[int(counts.argmin())]
        raise DataError(
            f"{contents.place}: class {label!r} has no readable image in {name}; it needs at least one."
        )


def _resolve(
    settings: RunSettings, preprocessing: Preprocessing, train: Split, decoded: Decoded
) -> Preprocessing:
    """Fill in what preprocessing leaves to the data."""
    stored = max(SMALLEST_SIDE, decoded.pixels.shape[1])
    size = settings.image_size or preprocessing.image_size or stored
    mean, std = preprocessing.mean, preprocessing.std
    if mean is None or std is None:
        mean, std = _statistics(train)
    return replace(preprocessing, image_size=size, mean=mean, std=std)


def _statistics(train: Split) -> tuple[tuple[float, float, float], tuple[float, float, float]]:
    """Return mean and standard deviation of each channel of the training images, values in 0..1."""
    sums = torch.zeros(2, 3, dtype=torch.float64)
    for pixels in train.pixels.split(2048):
        values = pixels.reshape(-1, 3).float() / 255
        sums += torch.stack([values.sum(0), values.square().sum(0)]).double().cpu()
    mean, square = sums / (len(train) * train.images[0, 0].numel())
    std = (square - mean.square()).clamp(min=0).sqrt().clamp(min=1e-3)  # images may be all of one colour
    return tuple(mean.tolist()), tuple(std.tolist())


def _info(
    settings: RunSettings,
    contents: Contents,
    splits: Splits,
    parts: dict[str, Split],
    decoded: Decoded,
    unreadable: list[str],
) -> DatasetInfo:
    def counts(part: Split) -> list[int]:
        return torch.bincount(part.targets, minlength=len(contents.classes)).tolist()

    return DatasetInfo(
        name=contents.name,
        fingerprint=sources.fingerprint(settings),
        source=contents.source,
        split_sizes={name: len(part) for name, part in parts.items()},
        class_counts={name: counts(part) for name, part in parts.items()},
        native_size=list(decoded.native_size) if decoded.native_size else None,
        split_note=splits.note,
        unreadable=unreadable,
    )
