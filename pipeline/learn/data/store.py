"""Decoded images on disk: pixels that a run only maps into memory, checked when read.

``cache/decoded/<key>/`` holds ``pixels.npy``, which NumPy opens, and ``images.json``, which says what
the images are, with a checksum of each block of them.
"""

import json
import os
import shutil
import zlib
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np
from PIL import Image

from pipeline.errors import DataError, one_line
from pipeline.files import cache_folder, digest, free_disk, lock, made_again, new_beside, sync, write_json
from pipeline.learn.data.contents import Contents
from pipeline.learn.data.decode import (
    Scale,
    has_more,
    is_deep,
    native_size,
    numbers,
    strict_pillow,
    to_square,
)
from pipeline.learn.data.split import Splits
from pipeline.learn.data.unreadable import reason

FORMAT = 4  # raise when decoding changes, so that older caches are not used
CHECKED_BYTES = 4 << 30  # of a larger cache, only so many bytes are checked at each start

Size = tuple[int, int]


@dataclass(frozen=True)
class Decoded:
    """Square RGB images: ``pixels`` uint8 [n, side, side, 3], mapped from the file ``path``.

    ``positions`` int64 [n] says which of the images asked for each one is; ``unreadable`` gives the
    reason for the others. ``native_size`` is height and width, or None when sizes differ; ``typical_side``
    the median of the shorter side; ``seen_share`` the mean share of an image's area that is in its square;
    ``several`` how many files hold more pictures than the one that is used.
    """

    path: str
    pixels: np.ndarray
    positions: np.ndarray
    unreadable: dict[int, str]
    native_size: Size | None
    typical_side: float
    seen_share: float
    scale: Scale | None = None
    several: int = 0


def write_header(file: IO[bytes], shape: tuple[int, ...]) -> None:
    """Write the header of an .npy file at its start; it is as long for any smaller number of images."""
    file.seek(0)
    header = {"descr": "|u1", "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(file, header)
    file.seek(0, os.SEEK_END)


def about_sizes(sizes: list[Size], cropped: bool) -> dict[str, object]:
    """Return what ``images.json`` says of the sizes of images, and of what the square keeps of them."""
    shorter, longer = np.array(sizes or [(1, 1)]).min(1), np.array(sizes or [(1, 1)]).max(1)
    return {
        "native_size": sizes[0] if len(set(sizes)) == 1 else None,
        "typical_side": float(np.median(shorter)),
        "seen_share": float(np.mean(shorter / longer)) if cropped else 1.0,
    }


def read_decoded(folder: Path) -> Decoded | None:
    """Return what a folder of decoded images holds; None when there is none, or it is damaged."""
    with made_again(folder):
        content = json.loads((folder / "images.json").read_text(encoding="utf-8"))
        about = content["about"]
        if digest(about) != content["sha256"]:
            raise ValueError("images.json has another checksum")
        if about["format"] != FORMAT:
            return None
        path = folder / "pixels.npy"
        pixels = _checked_pixels(path, about["shape"], about["blocks"])
        unreadable = {int(image): reason for image, reason in about["unreadable"].items()}
        positions = np.setdiff1d(np.arange(about["count"]), np.array([*unreadable], dtype=np.int64))
        size = tuple(about["native_size"]) if about["native_size"] else None
        scale = Scale(**about["scale"]) if about["scale"] else None
        seen = about["typical_side"], about["seen_share"]
        several = int(about["several"])
        return Decoded(str(path.absolute()), pixels, positions, unreadable, size, *seen, scale, several)
    return None


def _checked_pixels(path: Path, shape: list[int], blocks: list[tuple[int, int]]) -> np.ndarray:
    """Map a file of pixels. Raises ValueError when a block does not have its checksum."""
    pixels = np.lib.format.open_memmap(path, mode="c")  # private: PyTorch wants to be able to write
    if list(pixels.shape) != shape or pixels.dtype != np.uint8:
        raise ValueError(f"{path.name} holds other images")
    flat, start = pixels.reshape(-1), 0
    step = max(1, -(-pixels.nbytes // CHECKED_BYTES))
    for number, (length, checksum) in enumerate(blocks):
        if number % step == 0 and zlib.crc32(flat[start : start + length].data) != checksum:
            raise ValueError(f"block {number} of {path.name} has another checksum")
        start += length
    return pixels


LARGEST_NATIVE_SIDE = 64
IMAGES_PER_BLOCK = 32
SAMPLED_SIZES = 32
SAMPLED_DEEP = 500
SMALL_PIXELS = 128 * 128

Read = Callable[[int], Image.Image]


class _DeepError(Exception):
    """An image has more than 8 bits, and the scale for those is not known yet."""


class _SizesDifferError(Exception):
    """An image does not have the size of those before it."""


@dataclass(frozen=True)
class Store:
    """What to decode and how: images ``read(0)`` ... ``read(count - 1)``.

    All images of one size no larger than ``image_size`` keep it, else each is scaled down, or up,
    to ``image_size``, in the way that ``resize`` says. Without one, 64 pixels take its place. The
    first ``train`` images are those for training.
    """

    read: Read
    count: int
    key: str
    image_size: int | None = None
    interpolation: str = "bilinear"
    threads: int = 1
    resize: str = "crop"
    train: int | None = None
    scale: Scale | None = field(default=None, repr=False)

    @classmethod
    def of(cls, contents: Contents, splits: Splits, fingerprint: str, **how: Any) -> "Store":
        """Return the store of the images of all splits, train first, then val, then test."""
        chosen = [(contents.parts[s.part].read, int(i)) for _, s in splits.items() for i in s.positions]
        selected = {name: [s.part, s.positions.tolist()] for name, s in splits.items()}
        key = f"{contents.name}-{digest([fingerprint, selected])[:24]}"

        def read(position: int) -> Image.Image:
            read_part, within = chosen[position]
            return read_part(within)

        return cls(read, len(chosen), key, train=len(splits.train), **how)

    @property
    def limit(self) -> int:
        return self.image_size or LARGEST_NATIVE_SIDE

    @property
    def folders(self) -> tuple[Path, Path]:
        """Where images of one small size are kept, and where scaled ones."""
        root = cache_folder("decoded")
        how = "" if self.resize == "crop" else f"-{self.resize}"
        return root / f"{self.key}-native{how}", root / f"{self.key}-{self.limit}-{self.interpolation}{how}"

    @property
    def was_decoded(self) -> bool:
        """Whether these images were decoded before, at any size."""
        return any(cache_folder("decoded").glob(f"{self.key}-*"))

    def load(self) -> Decoded:
        """Return the images, from disk if they were decoded before.

        Raises DataError when the disk has no room for them, or may not be written.
        """
        root = cache_folder("decoded")
        try:
            root.mkdir(parents=True, exist_ok=True)
            with lock(root / f".{self.key}.lock"):  # of two runs at once, the second finds them decoded
                for folder in self.folders:
                    found = read_decoded(folder)
                    if found is not None and found.pixels.shape[1] <= self.limit:
                        return found
                return self._decode()
        except OSError as error:
            raise DataError(
                f"{root}: cannot keep decoded images: {one_line(error.strerror or error, 120)}. "
                "Make room there, or make it a link to a folder with room, where you may write."
            ) from None

    def refuse_without_room(self) -> None:
        """Raise DataError when the decoded images, not there yet, would not fit on the disk.

        What they need is told from a sample of them.
        """
        if any(folder.is_dir() for folder in self.folders):
            return
        with strict_pillow():
            sample = range(0, self.count, max(1, self.count // SAMPLED_SIZES))
            sizes = {_size(self.read, position) for position in sample} - {None}
        sides = [min(size) for size in sizes if size is not None]
        side = min(self.limit, *sides) if len(sides) == 1 else self.limit
        _refuse_without_room(cache_folder("decoded"), self.count * side * side * 3)

    def _decode(self) -> Decoded:
        native, scaled = self.folders
        with strict_pillow():
            first = next(filter(None, (_size(self.read, i) for i in range(self.count))), None)
            try:
                if first is not None and self._stays(first):
                    with suppress(_SizesDifferError):
                        return self._write(native, None, first)
                return self._write(scaled, self.limit, first)
            except _DeepError:
                return replace(self, scale=self._common_scale())._decode()

    def _stays(self, size: Size) -> bool:
        """Whether images of one size keep it: what is not square is a square only where it is cropped."""
        return min(size) <= self.limit and (self.resize == "crop" or size[0] == size[1])

    def _common_scale(self) -> Scale:
        """Return the scale of all images of more than 8 bits, found in those for training if any is."""
        train = self.train or self.count
        deep = [i for i in range(train) if _numbers(self.read, i, look=True) is not None]
        chosen = (deep or range(self.count))[:: max(1, (len(deep) or self.count) // SAMPLED_DEEP)]
        found = (_numbers(self.read, i) for i in chosen)
        return Scale.of((values for values in found if values is not None), len(deep) / train)

    def _write(self, folder: Path, side: int | None, first: Size | None) -> Decoded:
        """Scale images to ``side``, or without one keep the size of the first image, which all must have."""
        stored = side or min(first or (1, 1))
        _refuse_without_room(folder.parent, self.count * stored * stored * 3)
        for left in folder.parent.glob(f".{folder.name}.*"):  # by a process that was killed
            shutil.rmtree(left, ignore_errors=True)
        partial = new_beside(folder)
        partial.mkdir()
        try:
            with (partial / "pixels.npy").open("wb") as file:
                about = self._write_pixels(file, side, first)
            write_json(partial / "images.json", {"about": about, "sha256": digest(about)})
            shutil.rmtree(folder, ignore_errors=True)
            partial.rename(folder)
        except BaseException:
            shutil.rmtree(partial, ignore_errors=True)
            raise
        decoded = read_decoded(folder)
        if decoded is None:
            raise OSError(0, "what was just written cannot be read back")
        return decoded

    def _write_pixels(self, file: IO[bytes], side: int | None, first: Size | None) -> dict[str, object]:
        """Write the images; return what ``images.json`` says of them."""
        sizes: list[Size] = []
        unreadable: dict[str, str] = {}
        blocks: list[tuple[int, int]] = []
        several = 0
        shape = (self.count, *2 * (side or min(first or (1, 1)),), 3)
        write_header(file, shape)
        for images in self._in_order(side, first):
            unreadable |= {str(image.position): image.error for image in images if image.error}
            sizes += [image.size for image in images if not image.error]
            several += sum(image.several for image in images)
            block = b"".join(image.pixels for image in images)
            file.write(block)
            blocks.append((len(block), zlib.crc32(block)))
        shape = (self.count - len(unreadable), *shape[1:])
        write_header(file, shape)
        file.flush()
        sync(file.fileno())
        return {
            "format": FORMAT,
            "count": self.count,
            "shape": shape,
            "unreadable": unreadable,
            "blocks": blocks,
            "scale": self.scale and asdict(self.scale),
            "several": several,
            **about_sizes(sizes, cropped=self.resize == "crop"),
        }

    def _in_order(self, side: int | None, first: Size | None) -> Iterator[list["_Image"]]:
        expected = first if side is None else None
        # Small images cost more Python than decoding, and Python runs on one thread at a time.
        threads = self.threads if first is None or first[0] * first[1] > SMALL_PIXELS else 1

        def decode(start: int) -> list[_Image]:
            images = range(start, min(start + IMAGES_PER_BLOCK, self.count))
            return [self._decode_one(i, side, expected) for i in images]

        pool = ThreadPoolExecutor(threads)
        waiting: deque[Future[list[_Image]]] = deque()
        try:
            for start in range(0, self.count, IMAGES_PER_BLOCK):
                waiting.append(pool.submit(decode, start))
                if len(waiting) > 2 * threads:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            pool.shutdown(cancel_futures=True)

    def _decode_one(self, position: int, side: int | None, expected: Size | None) -> "_Image":
        try:
            with self.read(position) as image:
                size, several = native_size(image), has_more(image)
                if expected is not None and size != expected:
                    raise _SizesDifferError
                if self.scale is None and is_deep(image):
                    raise _DeepError
                square = to_square(image, side, self.interpolation, self.scale, self.resize)
                return _Image(position, square.tobytes(), size, several=several)
        except (_SizesDifferError, _DeepError):
            raise
        except Exception as error:  # noqa: BLE001 (Pillow's readers fail in every possible way)
            return _Image(position, b"", (0, 0), reason(error))


class _Image(NamedTuple):
    position: int
    pixels: bytes
    size: Size
    error: str = ""  # why it is unreadable
    several: bool = False


def _numbers(read: Read, position: int, look: bool = False) -> np.ndarray | None:
    """Return the numbers of an image of more than 8 bits, or only whether it is one; None for any other."""
    try:
        with read(position) as image:
            if not is_deep(image):
                return None
            return np.empty(0) if look else numbers(image)
    except Exception:  # noqa: BLE001 (as above)
        return None


def _size(read: Read, position: int) -> Size | None:
    try:
        with read(position) as image:
            return native_size(image)
    except Exception:  # noqa: BLE001 (as above)
        return None


def _refuse_without_room(folder: Path, needed: int) -> None:
    free = free_disk(folder)
    if needed > free:
        raise DataError(
            f"{folder}: {free / 1e9:.3g} GB are free, but the decoded images need {needed / 1e9:.3g} GB. "
            "Make room, or lower image_size or max_train_images."
        )
