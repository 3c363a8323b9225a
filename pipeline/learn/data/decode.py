"""One image file, whatever its format, mode or damage, becomes a square of RGB bytes."""

import importlib.util
import logging
import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import Any
from warnings import catch_warnings, filterwarnings, simplefilter

import numpy as np
from PIL import ExifTags, Image, ImageCms, ImageOps, UnidentifiedImageError

from pipeline.learn.data import dicom
from pipeline.learn.data.unreadable import UnreadableError, is_dicom, why_unreadable

# Pillow warns from here on: a file of a few kilobytes may claim any size and take all memory.
MAX_PIXELS = 89_478_485
# These start other programs or network libraries, or hold no image that Pillow itself decodes.
REFUSED_FORMATS = frozenset({"EPS", "WMF", "FPX", "MIC", "BUFR", "GRIB", "HDF5", "MPEG"})
GDAL_NO_DATA = 42113  # the TIFF tag
DEEP = "deep_colours"  # what is said of a file of such colours when it is opened
# Colours of 16 bits by how Pillow calls their order of bytes, and the order that gives the lower ones.
DEEP_COLOURS = {
    f"{bands};16{order}": f"{bands};16{other}"
    for bands in ("RGB", "RGBA", "RGBX", "RGBa")
    for order, other in (("B", "L"), ("L", "B"), ("N", "B" if sys.byteorder == "little" else "L"))
}
FILTERS = {"bilinear": Image.Resampling.BILINEAR, "bicubic": Image.Resampling.BICUBIC}
# What files say where they have nothing to say; GDAL writes these.
NO_DATA = (
    -9999.0,
    -99999.0,
    -32768.0,
    -2147483648.0,
    float(np.finfo("f4").min),
    float(np.finfo("f4").max),
    1e20,
)
# Ranges that numbers in images usually come from, narrowest first: fractions, signed ones, and 8 to 16 bits.
RANGES = ((0, 1), (-1, 1), (0, 255), (0, 1023), (0, 4095), (0, 16383), (0, 65535))
TRIMMED = 1 / 1000  # of an image's pixels at each end, one at least
TRIMMED_IMAGES = 1 / 100  # of the images at each end
FILLED = 1 / 4  # of a usual range: less is stretched, because hardly any of the 256 levels would be left


@dataclass(frozen=True)
class Scale:
    """``low`` becomes black and ``high`` white, in every image; ``bits`` is what the files have room for.

    A scale of each image's own would turn an image black for one bright pixel, and would tell apart
    classes that differ in nothing but such a pixel. So one is found for the whole data set, over many
    images, without the most extreme pixels of each, values that stand for "no data", and numbers that
    are not finite.
    """

    low: float
    high: float
    largest: float
    bits: int
    share: float = 1.0  # of the images, for which it is

    @classmethod
    def of(cls, images: Iterable[np.ndarray], share: float = 1.0) -> "Scale":
        """Return the scale that suits images of numbers [H, W] or [H, W, 3]."""
        ranges, bits = [], 8
        for values in images:
            bits = max(bits, 8 * values.dtype.itemsize)
            found = _trimmed(values)
            if found is not None:
                ranges.append(found)
        if not ranges:
            return cls(0.0, 1.0, 0.0, bits, share)
        lows, highs = np.array(ranges).T
        low = float(np.quantile(lows, TRIMMED_IMAGES, method="inverted_cdf"))
        high = float(np.quantile(highs, 1 - TRIMMED_IMAGES, method="inverted_cdf"))
        return cls(*_range(low, high), high, bits, share)

    def apply(self, values: np.ndarray) -> np.ndarray:
        """Return levels uint8 of that shape: beyond the range its nearest end, black for no number."""
        wide = (values.astype(np.float64) - self.low) * (255 / (self.high - self.low))
        return np.rint(np.clip(np.nan_to_num(wide, nan=0.0), 0, 255)).astype(np.uint8)

    @property
    def note(self) -> str:
        """What a reader should know of it."""
        text = (
            f"Pixels of {self.bits} bits were made grey levels by one scale for all images, found in those "
            f"for training: {self.low:.6g} is black, {self.high:.6g} white."
        )
        if self.share < 1:
            text += (
                f" Only {100 * self.share:.2g} % of the images for training have so many bits; the others "
                "stayed as they are, so the depth of a file may tell what it shows: export all of them alike."
            )
        if self.bits == 16 and self.largest < 65535 / 4:
            text += (
                f" The largest value, {self.largest:.6g}, is far below 65,535, for which 16 bits have room."
            )
        return text


def _trimmed(values: np.ndarray) -> tuple[float, float] | None:
    """Return the lowest and highest value without the most extreme pixels; None without any number."""
    flat = values.reshape(-1)
    if flat.dtype.kind == "f":
        flat = flat[np.isfinite(flat)]
    flat = flat[~np.isin(flat, np.array(NO_DATA, dtype=flat.dtype if flat.dtype.kind == "f" else np.float64))]
    if not len(flat):
        return None
    spared = min(max(1, round(TRIMMED * len(flat))), (len(flat) - 1) // 2)
    ordered = np.partition(flat, (spared, len(flat) - 1 - spared))
    return float(ordered[spared]), float(ordered[len(flat) - 1 - spared])


def _range(low: float, high: float) -> tuple[float, float]:
    """Return the usual range that holds the values; their own where they fill little of it, or none does."""
    usual = next(((a, b) for a, b in RANGES if a <= low and high <= b), None)
    if usual is None:
        return (low, high) if high > low else (low, low + 1)
    fills = (high - low) / (usual[1] - usual[0])
    return (low, high) if 0 < fills < FILLED else (float(usual[0]), float(usual[1]))


def open_image(path: str | os.PathLike[str]) -> Image.Image:
    """Open an image file without decoding it yet; the first frame of an animation.

    Raises UnreadableError, which says what the file is, or whatever Pillow raises for a damaged one.
    """
    if not Path(path).is_file():  # a pipe or a device would be waited for, or never end
        raise UnreadableError("is not a file, or a broken link", "remove it")
    try:
        image = Image.open(path, formats=_formats())
    except UnidentifiedImageError:
        if is_dicom(path) and importlib.util.find_spec("pydicom"):
            return _dicom(path)
        raise UnreadableError(*why_unreadable(path)) from None
    if image.width * image.height > MAX_PIXELS:
        raise ValueError(f"{image.width} x {image.height} pixels, more than {MAX_PIXELS:,}")
    if _has_deep_colours(image):  # no longer told once it is decoded, as it is to read its rotation
        image.info[DEEP] = True
    return image


def _dicom(path: str | os.PathLike[str]) -> Image.Image:
    try:
        return dicom.read(path)
    except Exception:  # noqa: BLE001 (its readers fail in every possible way)
        raise UnreadableError(*why_unreadable(path)) from None


@cache
def _formats() -> tuple[str, ...]:
    with suppress(ImportError):  # optional: photographs of telephones
        import pillow_heif

        pillow_heif.register_heif_opener()
    logging.getLogger("PIL").setLevel(logging.CRITICAL)  # what is wrong with a file is said once, by us
    Image.init()
    # Pillow tries one after the other, some of them slowly: the likely ones first.
    return tuple(dict.fromkeys(("JPEG", "PNG", *(name for name in Image.ID if name not in REFUSED_FORMATS))))


def native_size(image: Image.Image) -> tuple[int, int]:
    """Return height and width as the viewer sees them, after EXIF rotation."""
    sideways = _orientation(image) >= 5
    return (image.width, image.height) if sideways else (image.height, image.width)


def to_square(
    image: Image.Image, side: int | None, interpolation: str, scale: Scale | None = None, how: str = "crop"
) -> Image.Image:
    """Return a square of RGB, upright: ``side`` pixels wide, or without it the middle, as large as it is.

    ``how`` is crop (the shorter side becomes ``side``, the rest of the longer one is cut off on both ends),
    squish (all of the image, distorted) or pad (all of it, black on both ends). An image that keeps its
    size is cut and not fitted, whose half pixels would blur it; it is turned last, because turning before
    scaling changes how pixels are rounded, and takes longer.
    """
    if side is not None:
        image.draft(None, (2 * side, 2 * side))  # JPEG only: decode at a fraction of the size
    rgb = to_rgb(image, scale)
    if side is None:
        rgb = _middle(rgb)
    elif how == "squish":
        rgb = rgb.resize((side, side), FILTERS[interpolation])
    else:
        fit = ImageOps.pad if how == "pad" else ImageOps.fit
        rgb = fit(rgb, (side, side), FILTERS[interpolation])
    return _upright(rgb, _orientation(image))


def _middle(rgb: Image.Image) -> Image.Image:
    shorter = min(rgb.size)
    left, top = (rgb.width - shorter) // 2, (rgb.height - shorter) // 2
    return rgb if rgb.width == rgb.height else rgb.crop((left, top, left + shorter, top + shorter))


def _upright(image: Image.Image, orientation: int) -> Image.Image:
    if orientation == 1:
        return image
    plain = image.copy()
    plain.info = {}  # what the file said of itself, damaged perhaps
    plain.getexif()[ExifTags.Base.Orientation] = orientation
    return ImageOps.exif_transpose(plain)


def _orientation(image: Image.Image) -> int:
    try:
        return int(image.getexif().get(ExifTags.Base.Orientation, 1))
    except Exception:  # noqa: BLE001 (a damaged remark about an image does not spoil the image)
        return 1


def has_more(image: Image.Image) -> bool:
    """Whether a file holds more pictures than its first, as an animation, or the slices of a stack.

    What telephones put behind a photograph (MPO) is no other picture.
    """
    try:
        several = bool(getattr(image, "is_animated", False)) and image.format != "MPO"
    except Exception:  # noqa: BLE001 (what is damaged behind the first does not spoil it)
        return False
    return several or int(image.info.get("frames", 1)) > 1


def is_deep(image: Image.Image) -> bool:
    """Whether an image has numbers of more than 8 bits, which a ``Scale`` makes grey levels or colours."""
    return image.mode.startswith(("I", "F")) or DEEP in image.info


def _has_deep_colours(image: Image.Image) -> bool:
    """Whether a file that is not decoded yet holds colours of 16 bits, of which Pillow takes the upper 8."""
    tiles: list[Any] = getattr(image, "tile", [])
    return image.mode in ("RGB", "RGBA") and bool(tiles) and _order(tiles[0]) in DEEP_COLOURS


def _order(tile: Any) -> str:
    """Return how the file's values lie in its bytes, as Pillow writes it."""
    how = tile[3]
    return str(how[0] if isinstance(how, tuple) and how else how)


def _deep_colours(image: Image.Image) -> np.ndarray:
    """Return uint16 [H, W, 3]: Pillow asked for the other byte of each value too, as if they lay turned."""
    opened: Any = image
    content = Path(opened.filename).read_bytes()
    halves = []
    for turned in (False, True):
        half: Any = Image.open(BytesIO(content), formats=[str(image.format)])
        if turned:
            half.tile = [_turned(tile) for tile in half.tile]
        halves.append(np.asarray(half)[..., :3].astype(np.uint16))
    return 256 * halves[0] + halves[1]


def _turned(tile: Any) -> Any:
    order = DEEP_COLOURS[_order(tile)]
    return tile._replace(args=order if isinstance(tile.args, str) else (order, *tile.args[1:]))


def numbers(image: Image.Image) -> np.ndarray:
    """Return what a deep image holds, [H, W] or [H, W, 3]; what its file says to be no data is no number."""
    values = _deep_colours(image) if DEEP in image.info else np.asarray(image)
    try:
        no_data = float(image.tag_v2[GDAL_NO_DATA])  # type: ignore[attr-defined]
    except (AttributeError, KeyError, ValueError, TypeError):
        return values
    return np.where(values == no_data, np.float32("nan"), values.astype(np.float32))


def to_rgb(image: Image.Image, scale: Scale | None = None) -> Image.Image:
    """Return an image of any mode as 8-bit RGB.

    Grey is the same in all three channels; what is transparent becomes white; CMYK, YCbCr, HSV and LAB
    are converted. Numbers of more than 8 bits, grey or colours, are scaled by ``scale``, without which the
    image's own is found.
    """
    if is_deep(image):
        values = numbers(image)
        levels = Image.fromarray((scale or Scale.of([values])).apply(values)).convert("RGB")
        return _on_white(levels, image) if image.mode == "RGBA" else levels
    if image.mode == "RGB" and "transparency" not in image.info:
        image.load()
        return image
    if image.has_transparency_data:
        layers = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", layers.size, "white"), layers).convert("RGB")
    if image.mode == "LAB":
        lab, srgb = ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB")
        return ImageCms.profileToProfile(image, lab, srgb, outputMode="RGB") or image
    return image.convert("RGB")


def _on_white(levels: Image.Image, image: Image.Image) -> Image.Image:
    """Return colours with white where an image is transparent."""
    return Image.composite(levels, Image.new("RGB", levels.size, "white"), image.getchannel("A"))


@contextmanager
def strict_pillow() -> Iterator[None]:
    """Within the block, Pillow's size warning is an error, and its remarks on odd files are not heard."""
    with catch_warnings():
        simplefilter("ignore")
        filterwarnings("error", category=Image.DecompressionBombWarning)
        yield
