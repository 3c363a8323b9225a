"""What a run's record says of the images: how many there are, and what was done to them on the way."""

from typing import Literal

import torch

from pipeline.learn.data.contents import Contents
from pipeline.learn.data.decoded import Decoded
from pipeline.learn.data.duplicates import Images, cached, find
from pipeline.learn.data.images import Split
from pipeline.learn.data.split import Splits
from pipeline.record import DatasetInfo

MUCH_CUT = 0.8  # mean share of the area that is left: a picture of 5:4
MUCH_SMALLER = 4.0


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
        notes=[*contents.notes, *_losses(decoded, image_size)],
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


def _losses(decoded: Decoded, image_size: int) -> list[str]:
    """Return sentences on what images lose on their way to the network, where that is much."""
    notes = [decoded.scale.note] if decoded.scale else []
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
