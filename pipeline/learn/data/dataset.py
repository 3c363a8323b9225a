"""Load a data set: find it, split it, decode it, describe it."""

import time
from dataclasses import replace
from typing import Any, Literal

import numpy as np
import psutil
import torch
from torch import Tensor

from pipeline.errors import DataError
from pipeline.experiment import RunSettings
from pipeline.learn.data import sources
from pipeline.learn.data.contents import Contents
from pipeline.learn.data.duplicates import Images, cached, find
from pipeline.learn.data.images import ImageData, Split, Subset
from pipeline.learn.data.split import Splits, split, subset
from pipeline.learn.data.store import Decoded, Store
from pipeline.learn.data.unreadable import refuse_too_many
from pipeline.learn.device import Hardware
from pipeline.learn.models.weights import Preprocessing
from pipeline.record import DatasetInfo

SMALLEST_SIDE = 8
MEMORY_SHARE = 0.5  # of what is free: larger sets are streamed from disk


def load(
    settings: RunSettings, preprocessing: Preprocessing, hardware: Hardware, memory: int | None = None
) -> ImageData:
    """Find, split and decode a data set.

    It is kept on the device when it fits ``memory`` bytes (None: half of what is free there), else
    streamed from disk. Raises DataError when it cannot be had, is too small, or holds too many
    unreadable images.
    """
    start = time.perf_counter()
    contents = sources.find(settings)
    splits = split(contents, settings)
    fingerprint = sources.fingerprint(settings)
    store = Store.of(
        contents,
        splits,
        fingerprint,
        image_size=settings.image_size or preprocessing.image_size,
        interpolation=preprocessing.interpolation,
        threads=hardware.threads,
        resize=settings.resize,
    )
    decoded = store.load()
    unreadable = _refuse_unreadable(settings, contents, splits, decoded)
    fits = decoded.pixels.nbytes <= (_free_memory(hardware) * MEMORY_SHARE if memory is None else memory)
    parts = _parts(contents, splits, decoded, hardware.device, fits)
    chosen = _chosen(settings, parts["train"])
    learned = {**parts, "train": parts["train"].subset(chosen.positions)} if chosen else parts
    resolved = _resolve(settings, preprocessing, learned["train"])
    key = f"{store.key} {decoded.pixels.shape}" + (f" {store.resize}" if store.resize != "crop" else "")
    info = describe(contents, splits, decoded, parts, key, resolved.image_size or 1)
    found = {"fingerprint": fingerprint, "unreadable": unreadable, **_counted(contents, learned)}
    return ImageData(
        classes=contents.classes,
        **learned,
        preprocessing=resolved,
        info=info.model_copy(update=found),
        hardware=hardware,
        seconds=time.perf_counter() - start,
        streamed=not fits,
        num_workers=settings.num_workers,
        subset=chosen,
    )


def _free_memory(hardware: Hardware) -> int:
    if hardware.device.type == "cuda":
        return int(torch.cuda.mem_get_info(hardware.device)[0])
    return int(psutil.virtual_memory().available)


def _refuse_unreadable(
    settings: RunSettings, contents: Contents, splits: Splits, decoded: Decoded
) -> list[str]:
    """Return the names of unreadable images, unless they are too many."""
    names = [contents.parts[s.part].name(int(i)) for _, s in splits.items() for i in s.positions]
    found = {names[i]: decoded.unreadable[i] for i in sorted(decoded.unreadable)}
    refuse_too_many(contents.place, found, len(names), settings.max_unreadable)
    return list(found)


def _parts(
    contents: Contents, splits: Splits, decoded: Decoded, device: torch.device, fits: bool
) -> dict[str, Split]:
    """Cut what was decoded, train first, then val, then test, into its splits."""
    pixels = torch.from_numpy(decoded.pixels)
    parts, first_row, first_image = {}, 0, 0
    for name, selection in splits.items():
        source = contents.parts[selection.part]
        end = int(np.searchsorted(decoded.positions, first_image + len(selection)))
        index = decoded.positions[first_row:end] - first_image
        positions = selection.positions[index]
        parts[name] = Split(
            pixels[first_row:end].to(device) if fits else pixels[first_row:end],
            torch.from_numpy(source.targets[positions]).to(device),
            index,
            [source.files[i] for i in positions] if source.files else [],
            (decoded.path, first_row),
            paths=[source.paths[i] for i in positions] if source.paths else [],
            groups=[source.groups[i] for i in positions] if len(source.groups) else [],
            metadata=None if source.metadata is None else source.metadata.iloc[positions],
        )
        _refuse_emptied_classes(contents, name, parts[name])
        first_row, first_image = end, first_image + len(selection)
    return parts


def _chosen(settings: RunSettings, train: Split) -> Subset | None:
    """Return which of the training images a run learns from; None for all."""
    if settings.train_size is None:
        return None
    positions = subset(train.targets.cpu().numpy(), settings.train_size, settings.seed)
    return Subset(train, positions, settings.budget == "steps")


def _counted(contents: Contents, parts: dict[str, Split]) -> dict[str, Any]:
    """Return the images of each split, and of each of its classes, that a run works with."""
    return {
        "split_sizes": {name: len(part) for name, part in parts.items()},
        "class_counts": {name: class_counts(contents, part) for name, part in parts.items()},
    }


def _refuse_emptied_classes(contents: Contents, name: str, part: Split) -> None:
    for label, count in zip(contents.classes, class_counts(contents, part), strict=True):
        if count == 0:
            raise DataError(
                f"{contents.place}: class {label!r} has no readable image in {name}; it needs at least one. "
                "Add images or remove the class."
            )


def _resolve(settings: RunSettings, preprocessing: Preprocessing, train: Split) -> Preprocessing:
    """Fill in what preprocessing leaves to the data."""
    stored = max(SMALLEST_SIDE, train.pixels.shape[1])
    size = settings.image_size or preprocessing.image_size or stored
    mean, std = preprocessing.mean, preprocessing.std
    if mean is None or std is None:
        mean, std = _statistics(train.pixels)
    return replace(preprocessing, image_size=size, mean=mean, std=std)


Channels = tuple[float, float, float]


def _statistics(pixels: Tensor) -> tuple[Channels, Channels]:
    """Return mean and standard deviation of each channel of uint8 [n, S, S, 3], for values in 0..1."""
    counts = torch.zeros(3, 256, dtype=torch.float64)
    for block in pixels.split(1024):
        for channel in range(3):
            counts[channel] += torch.bincount(block[..., channel].flatten(), minlength=256).cpu()
    shares, values = counts / counts[0].sum(), torch.arange(256) / 255
    mean, square = (shares @ values.double()).tolist(), (shares @ values.double().square()).tolist()
    # Images may be all of one colour; half a grey level is no contrast to divide by.
    std = [max((s - m * m), 0.0) ** 0.5 or 0.002 for m, s in zip(mean, square, strict=True)]
    return (mean[0], mean[1], mean[2]), (std[0], std[1], std[2])


MUCH_CUT = 0.8  # mean share of the area that is left: a picture of 5:4
MUCH_SMALLER = 4.0
HARDLY_ANY = 64  # of 256 levels
LOOKED_AT = 1000  # images


def describe(
    contents: Contents, splits: Splits, decoded: Decoded, parts: dict[str, Split], key: str, image_size: int
) -> DatasetInfo:
    """Return all but the fingerprint and the unreadable files; ``key`` names what was decoded."""
    images = {name: Images(part.pixels, part.targets, part.index.tolist()) for name, part in parts.items()}
    copies = cached(key, lambda: find(**images))
    leaked = copies.test_in_train
    return DatasetInfo(
        name=contents.name,
        fingerprint="",
        source=contents.source,
        split_sizes={name: len(part) for name, part in parts.items()},
        class_counts={name: class_counts(contents, part) for name, part in parts.items()},
        native_size=list(decoded.native_size) if decoded.native_size else None,
        split_note=splits.note,
        duplicates=copies,
        near_duplicates=sorted([*leaked.exact, *leaked.near]),
        near_duplicates_note=copies.rule,
        notes=[*contents.notes, *_levels(parts["train"].pixels), *_losses(decoded, image_size)],
        pixel_scale=[decoded.scale.low, decoded.scale.high] if decoded.scale else None,
        seen_share=decoded.seen_share,
        reduction=decoded.typical_side / image_size,
        typical_side=decoded.typical_side,
        scaling=_scaling(decoded.typical_side, image_size),
        images_found=sum(len(part) for part in contents.parts.values()),
        files_found=sum(len(part.files) for part in contents.parts.values()) or None,
    )


def _scaling(side: float, image_size: int) -> Literal["up", "down", "none"]:
    if side == image_size:
        return "none"
    return "up" if side < image_size else "down"


def class_counts(contents: Contents, part: Split) -> list[int]:
    """Return how many images each class has in a split."""
    return torch.bincount(part.targets, minlength=len(contents.classes)).tolist()


def _levels(pixels: Tensor) -> list[str]:
    """Return a sentence where training images uint8 [n, S, S, 3] use few of the 256 levels there are."""
    looked_at = pixels[:: max(1, len(pixels) // LOOKED_AT)]
    largest = int(looked_at.max())
    if largest >= HARDLY_ANY:
        return []
    return [
        f"The largest value in {len(looked_at):,} training images is {largest}, of 255 that 8 bits have room "
        "for: to a pretrained network they are nearly black; were they saved on another scale, as 0 to 1?"
    ]


def _losses(decoded: Decoded, image_size: int) -> list[str]:
    """Return sentences on what images lose on their way to the network, where that is much."""
    notes = [decoded.scale.note] if decoded.scale else []
    if decoded.several:
        files = "1 file holds" if decoded.several == 1 else f"{decoded.several:,} files hold"
        notes.append(
            f"{files} several pictures, as an animation or the slices of a stack; the first of each is used."
        )
    if decoded.seen_share < MUCH_CUT:
        notes.append(
            f"Only the middle square of an image is used, {100 * decoded.seen_share:.0f} % of its area on "
            "average; resize: squish or resize: pad would use all of it."
        )
    times = decoded.typical_side / image_size
    if times > MUCH_SMALLER:
        notes.append(
            f"Images are made {times:.0f} times smaller: half of them have at least "
            f"{decoded.typical_side:,.0f} pixels on their shorter side, and the networks see {image_size}; "
            "a larger image_size keeps more detail."
        )
    return notes
