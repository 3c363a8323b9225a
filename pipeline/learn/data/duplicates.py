"""Images that are in two splits at once, or nearly: they make a test too easy.

Barz & Denzler (2019, arXiv 1902.00423) found by eye that 3.3 % of CIFAR-10's test images have near twins
in train. Here copies are found by rule, in seconds: for each image the most similar ones of the other
side are sought by small thumbnails, and those few are compared pixel by pixel.

Three kinds are told apart. *Exact* copies have equal pixels. *Near* copies are one picture twice, up to
brightness, contrast, compression and a shift of a pixel. *Look-alikes* resemble each other in their
thumbnails and are two pictures, as two shirts on a black ground are. Only the first two are duplicates.
"""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from pipeline.files import cache_folder, digest, kept
from pipeline.record import Copies, Duplicates

THUMB_SIDE = 8
SMALLEST_SIDE = 16  # in smaller images, different things look alike: only equal ones count
SIMILAR = 0.8  # cosine similarity of thumbnails: look-alikes at least
WORTH_COMPARING = 0.6  # cosine similarity of thumbnails, from which on pixels are compared
# Of the largest variance, added to each: the first sees details, the second large shapes alone.
RIDGES = (3e-4, 3e-2)
CANDIDATES = 4  # most similar images by each of them that are compared pixel by pixel
COMPARED_SIDE = 32  # pixels; larger images are made so small first
SHIFT = 1  # pixels of these
# A near copy differs at most half as much as the nearest pictures of two classes do, but for the nearest
# hundredth of these, which may be copies with wrong labels.
SHARE, QUANTILE, HIGHEST = 0.5, 0.01, 0.25
QUANTILE_AMONG = 0.05  # where copies with wrong labels are what is looked for, there may be more of them
SAMPLE = 3000  # training images that are asked how near other classes come
PLAIN = 0.5  # grey levels: with less contrast than that, there is nothing to compare
BLOCK_FLOATS = 1 << 24
MOST_PAIRS = 5_000_000_000  # half a minute on two cores
NEVER = 2.0  # no similarity: thumbnails without colour tell two shirts of one cut from no copy
VERSION = 3  # raise when other copies are found, so that older answers are not used

TOO_MANY = "Near copies were not looked for: {:,} images times {:,} are too many. Exact copies were."
EXACT_RULE = (
    f"Images smaller than {SMALLEST_SIDE} pixels count as duplicates only when all their pixels are equal."
)
RULE = (
    "Two images count as duplicates when their pixels are equal, or when they are one picture up to "
    "brightness, contrast, compression and a shift of one pixel: what is left of one after the other is "
    "fitted to it is at most {:.1%} of its contrast{}. In 99 of 100 cases images of different classes come "
    "no nearer than that."
)
THUMBNAILS = (
    "; or when their thumbnails, rid of what all images have in common, have a cosine similarity of at least "
    "{:.3f} and at most {:.1%} is left"
)


@dataclass(frozen=True)
class Images:
    """Images to compare: ``pixels`` uint8 [n, S, S, 3], classes int64 [n], and what ``index`` calls them."""

    pixels: Tensor
    targets: Tensor
    index: Sequence[int]

    def __len__(self) -> int:
        return len(self.pixels)


@dataclass(frozen=True)
class Limits:
    """What makes two images one picture: to be within ``distance``, or so ``similar`` and within ``apart``.

    ``apart`` is how near images of different classes come.
    """

    distance: float
    similar: float
    apart: float


def find(train: Images, val: Images, test: Images) -> Duplicates:
    """Return the copies of train and val in test, of train in val, and across classes within train."""
    spaces = [Space(train, ridge) for ridge in RIDGES] if train.pixels.shape[1] >= SMALLEST_SIDE else []
    limits = _limits(train, spaces) if spaces else None
    found: dict[str, Any] = {
        "test_in_train": _copies(test, train, spaces, limits),
        "test_in_val": _copies(test, val, spaces, limits),
        "val_in_train": _copies(val, train, spaces, limits),
        "train_across_classes": _copies(train, train, spaces, limits, others=True),
    }
    rule = _rule(limits)
    notes = dict.fromkeys(copies.note for copies in found.values() if copies.note)
    about: dict[str, Any] = {"rule": " ".join([rule, *notes])}
    if limits is not None:
        about["threshold"], about["class_distance"] = limits.distance, limits.apart
        about["similarity_threshold"] = limits.similar if limits.similar < NEVER else None
    return Duplicates(**about, **found)


def _rule(limits: Limits | None) -> str:
    """Return in words what counts as a copy."""
    if limits is None:
        return EXACT_RULE
    thumbnails = THUMBNAILS.format(limits.similar, limits.apart) if limits.similar < NEVER else ""
    return RULE.format(limits.distance, thumbnails)


def among(images: Images) -> tuple[dict[int, int], dict[int, int]]:
    """Return the exact and the near copies among all of some images: row of each, and of its original.

    Of several copies the first is the original, which is no copy itself. Near copies are looked for
    where there are not too many images.
    """
    exact = {row: of for row, of in _exact(images, images, others=False).items() if of != row}
    near: dict[int, int] = {}
    if images.pixels.shape[1] < SMALLEST_SIDE or len(images) ** 2 > MOST_PAIRS or len(images) < 2:
        return exact, near
    spaces = [Space(images, ridge) for ridge in RIDGES]
    limits = _limits(images, spaces, QUANTILE_AMONG)
    similar, distance, nearest = _compared(images, images, spaces, False, WORTH_COMPARING, alone=True)
    same = _same(similar, distance, limits)
    for row in torch.nonzero(same)[:, 0].tolist():
        original, copy = sorted((row, int(nearest[row])))
        if copy not in exact and exact.get(original) != copy:
            near.setdefault(copy, original)
    return exact, near


def _same(similar: Tensor, distance: Tensor, limits: "Limits") -> Tensor:
    return (distance <= limits.distance) | ((similar >= limits.similar) & (distance <= limits.apart))


def _limits(train: Images, spaces: "Sequence[Space]", quantile: float = QUANTILE) -> Limits:
    """Return what no images of different classes reach, but for the nearest few of a sample."""
    step = max(1, len(train) // SAMPLE)
    some = Images(train.pixels[::step], train.targets[::step], train.index[::step])
    similar, distance, _ = _compared(some, train, spaces, others=True)
    apart, alike = float(distance.quantile(quantile)), float(similar.quantile(1 - quantile))
    similar_at_least = NEVER if _grey(train.pixels) else max(SIMILAR, 1 - SHARE * (1 - alike))
    return Limits(min(HIGHEST, SHARE * apart), similar_at_least, apart)


def _grey(pixels: Tensor) -> bool:
    """Whether no image has a colour."""
    return all(bool((pixels[..., 0] == pixels[..., k]).all()) for k in (1, 2))


def _copies(
    asked: Images, known: Images, spaces: "Sequence[Space]", limits: Limits | None, others: bool = False
) -> Copies:
    """Return which images of ``asked`` are copies of known ones, with ``others`` of another class."""
    exact = _exact(asked, known, others)
    found = Copies(
        searched=len(asked), exact=_names(asked, exact), exact_of=_names(known, list(exact.values()))
    )
    if limits is None or not len(known) or not len(asked):
        return found
    if len(asked) * len(known) > MOST_PAIRS:
        return found.model_copy(update={"note": TOO_MANY.format(len(asked), len(known))})
    similar, distance, nearest = _compared(asked, known, spaces, others, WORTH_COMPARING)
    same = _same(similar, distance, limits)
    near = [row for row in torch.nonzero(same)[:, 0].tolist() if row not in exact]
    alike = torch.nonzero((similar >= SIMILAR) & ~same)[:, 0].tolist()
    update = {
        "near": _names(asked, near),
        "near_of": _names(known, nearest[near].tolist()),
        "lookalikes": _names(asked, [row for row in alike if row not in exact]),
    }
    return found.model_copy(update=update)


def _names(images: Images, rows: Iterable[int]) -> list[int]:
    return [int(images.index[row]) for row in rows]


def _exact(asked: Images, known: Images, others: bool) -> dict[int, int]:
    """Return the first known image with equal pixels, by row of ``asked``; plain images are no copies."""
    rows: dict[bytes, list[int]] = {}
    for row, (key, _) in enumerate(_keys(known.pixels)):
        rows.setdefault(key, []).append(row)
    classes, of = asked.targets.tolist(), known.targets.tolist()
    found = {}
    for row, (key, plain) in enumerate(_keys(asked.pixels)):
        twins = (k for k in rows.get(key, ()) if not others or of[k] != classes[row])
        if not plain and (twin := next(twins, None)) is not None:
            found[row] = twin
    return found


def _keys(pixels: Tensor) -> Iterator[tuple[bytes, bool]]:
    """Yield for each image a hash of its pixels, and whether all of them are equal."""
    for block in pixels.split(1024):
        for image in block.cpu().contiguous().numpy():
            yield hashlib.blake2b(image.data, digest_size=16).digest(), bool((image == image[0, 0]).all())


class Space:
    """Thumbnails without what all training images have in common, so that similarity means something.

    Neighbouring pixels are alike in all photographs; unless that is removed, a clear sky is a resemblance.
    """

    def __init__(self, train: Images, ridge: float):
        thumbs = _thumbs(train.pixels)
        self.mean = thumbs.mean(0)
        centred = thumbs - self.mean
        variance, axes = torch.linalg.eigh(centred.T @ centred / len(thumbs))
        self.axes = axes / (variance.clamp_min(0) + ridge * variance.max().clamp_min(1e-12)).sqrt()

    def place(self, pixels: Tensor) -> Tensor:
        """Return float [n, D] of length 1, or 0 for plain images."""
        thumbs = _thumbs(pixels)
        return functional.normalize((thumbs - self.mean) @ self.axes) * thumbs.any(1, keepdim=True)


def _thumbs(pixels: Tensor) -> Tensor:
    """Return 8x8 colour thumbnails, each of mean 0 and variance 1, plain ones all 0: float [n, 192]."""
    return torch.cat([_thumbs_of_block(block) for block in pixels.split(1024)])


def _thumbs_of_block(pixels: Tensor) -> Tensor:
    small = functional.interpolate(
        pixels.permute(0, 3, 1, 2).float(), size=(THUMB_SIDE, THUMB_SIDE), mode="area"
    )
    colours = small.flatten(2)
    plain = colours.std(2).amax(1, keepdim=True) < PLAIN
    flat = colours.flatten(1)
    flat -= flat.mean(1, keepdim=True)
    return torch.where(plain, 0, flat / flat.std(1, keepdim=True))


def _compared(
    asked: Images,
    known: Images,
    spaces: "Sequence[Space]",
    others: bool,
    worth: float = -1.0,
    alone: bool = False,
) -> tuple[Tensor, Tensor, Tensor]:
    """Return the highest similarity of thumbnails, the smallest distance and the known row at it: [n].

    ``alone``: the same images are asked and known, and none is compared with itself. Candidates that
    are less similar than ``worth`` are at distance 1 without a look at their pixels.
    """
    best = asked.pixels.new_ones(len(asked), dtype=torch.float32)
    nearest, highest = torch.zeros_like(asked.targets), torch.full_like(best, -1.0)
    for number, space in enumerate(spaces):
        similar, rows = _nearest(asked, known, space, others)
        if alone:
            similar = similar.masked_fill(rows == torch.arange(len(rows), device=rows.device)[:, None], -2.0)
        highest = similar.amax(1) if number == 0 else highest  # the second is for large shapes alone
        for column in range(rows.shape[1]):
            chosen = torch.nonzero(similar[:, column] >= worth)[:, 0]
            partner = rows[chosen, column]
            distance = _distance(asked.pixels, chosen, known.pixels, partner)
            closer = distance < best[chosen]
            best[chosen[closer]], nearest[chosen[closer]] = distance[closer], partner[closer]
    return highest, best, nearest


def _nearest(asked: Images, known: Images, space: Space, others: bool) -> tuple[Tensor, Tensor]:
    """Return the similarities [n, k] and rows [n, k] of the most similar known images, nearest first."""
    questions, answers = space.place(asked.pixels), space.place(known.pixels)
    if not others:
        return _top(questions, answers, torch.arange(len(known), device=answers.device))
    similar = torch.full((len(asked), CANDIDATES), -2.0, device=answers.device)
    rows = torch.zeros((len(asked), CANDIDATES), dtype=torch.int64, device=answers.device)
    for label in asked.targets.unique():
        own = torch.nonzero(asked.targets == label)[:, 0]
        foreign = torch.nonzero(known.targets != label)[:, 0]
        if len(foreign):
            values, found = _top(questions[own], answers[foreign], foreign)
            similar[own, : values.shape[1]], rows[own, : values.shape[1]] = values, found
    return similar, rows


def _top(questions: Tensor, answers: Tensor, rows: Tensor) -> tuple[Tensor, Tensor]:
    at_once, count = max(1, BLOCK_FLOATS // max(1, len(answers))), min(CANDIDATES, len(answers))
    found = [(block @ answers.T).topk(count) for block in questions.split(at_once)]
    return torch.cat([f.values for f in found]), rows[torch.cat([f.indices for f in found])]


def _distance(pixels: Tensor, rows: Tensor, known: Tensor, partners: Tensor) -> Tensor:
    """Return what is left of each image after its partner is fitted to it, as a share of its contrast: [n].

    Fitted are shift, brightness and contrast. Plain images are at distance 1 from everything.
    """
    blocks = zip(rows.split(1024), partners.split(1024), strict=True)
    rests = [_smallest_rest(_small(pixels[one]), _small(known[other])) for one, other in blocks]
    return torch.cat(rests)


def _small(pixels: Tensor) -> Tensor:
    images = pixels.permute(0, 3, 1, 2).float()
    side = min(COMPARED_SIDE, images.shape[-1])
    return functional.interpolate(images, size=(side, side), mode="area")


def _smallest_rest(first: Tensor, second: Tensor) -> Tensor:
    side = first.shape[-1] - 2 * SHIFT
    core, best = _contrast(first[:, :, SHIFT:-SHIFT, SHIFT:-SHIFT]), first.new_ones(len(first))
    for top in range(2 * SHIFT + 1):
        for left in range(2 * SHIFT + 1):
            moved = _contrast(second[:, :, top : top + side, left : left + side])
            fit = (core * moved).sum(1).clamp(0, 1)
            best = torch.minimum(best, (1 - fit.square()).sqrt())
    return best


def _contrast(images: Tensor) -> Tensor:
    """Return images without brightness, of length 1; plain ones are all 0."""
    flat = images.flatten(1)
    flat = flat - flat.mean(1, keepdim=True)
    plain = flat.square().mean(1, keepdim=True).sqrt() < PLAIN
    return torch.where(plain, 0, functional.normalize(flat))


def cached(key: str, look: Callable[[], Duplicates]) -> Duplicates:
    """Return the copies among images, looked for once for each ``key``, which stands for the images."""
    path = cache_folder("duplicates") / f"{digest([key, VERSION])[:24]}.json"
    return Duplicates.model_validate(kept(path, lambda: look().model_dump()))
