"""One image file, whatever its format, mode or damage, becomes a square of RGB bytes."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from warnings import catch_warnings, filterwarnings, simplefilter

import numpy as np
from PIL import ExifTags, Image, ImageCms, ImageOps

# Pillow warns from here on: a file of a few kilobytes may claim any size and take all memory.
MAX_PIXELS = 89_478_485
# These start other programs or network libraries, or hold no image that Pillow itself decodes.
REFUSED_FORMATS = frozenset({"EPS", "WMF", "FPX", "MIC", "BUFR", "GRIB", "HDF5", "MPEG"})
FILTERS = {"bilinear": Image.Resampling.BILINEAR, "bicubic": Image.Resampling.BICUBIC}


def open_image(path: str | os.PathLike[str]) -> Image.Image:
    """Open an image file without decoding it yet; the first frame of an animation.

    Raises whatever Pillow raises for a file that it cannot read, ValueError for one too large.
    """
    if not Path(path).is_file():  # a pipe or a device would be waited for, or never end
        raise OSError("is not a file, or a broken link")
    image = Image.open(path, formats=_formats())
    if image.width * image.height > MAX_PIXELS:
        raise ValueError(f"{image.width} x {image.height} pixels, more than {MAX_PIXELS:,}")
    return image


@cache
def _formats() -> tuple[str, ...]:
    Image.init()
    # Pillow tries one after the other, some of them slowly: the likely ones first.
    return tuple(dict.fromkeys(("JPEG", "PNG", *(name for name in Image.ID if name not in REFUSED_FORMATS))))


def native_size(image: Image.Image) -> tuple[int, int]:
    """Return height and width as the viewer sees them, after EXIF rotation."""
    sideways = _orientation(image) >= 5
    return (image.width, image.height) if sideways else (image.height, image.width)


def to_square(image: Image.Image, side: int | None, interpolation: str) -> Image.Image:
    """Return the middle square as RGB, upright; scaled to ``side`` pixels, or as large as it is.

    The shorter side becomes ``side``, the rest of the longer one is cut off on both ends. An image that
    keeps its size is cut and not fitted, whose half pixels would blur it; it is turned last, because
    turning before scaling changes how pixels are rounded, and takes longer.
    """
    if side is not None:
        image.draft(None, (2 * side, 2 * side))  # JPEG only: decode at a fraction of the size
    rgb = to_rgb(image)
    if side is not None:
        rgb = ImageOps.fit(rgb, (side, side), FILTERS[interpolation])
    elif rgb.width != rgb.height:
        shorter = min(rgb.size)
        left, top = (rgb.width - shorter) // 2, (rgb.height - shorter) // 2
        rgb = rgb.crop((left, top, left + shorter, top + shorter))
    return _upright(rgb, _orientation(image))


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


def to_rgb(image: Image.Image) -> Image.Image:
    """Return an image of any mode as 8-bit RGB; what is transparent becomes white.

    16-bit grey is divided by 257, floats in 0..1 are multiplied by 255; integers and floats beyond
    those ranges are stretched from their lowest to their highest value.
    """
    if image.mode == "RGB" and "transparency" not in image.info:
        image.load()
        return image
    if image.mode.startswith(("I", "F")):
        return Image.fromarray(_to_8_bit(np.asarray(image))).convert("RGB")
    if image.has_transparency_data:
        layers = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", layers.size, "white"), layers).convert("RGB")
    if image.mode == "LAB":
        lab, srgb = ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB")
        return ImageCms.profileToProfile(image, lab, srgb, outputMode="RGB") or image
    return image.convert("RGB")


def _to_8_bit(values: np.ndarray) -> np.ndarray:
    wide = np.nan_to_num(values.astype(np.float64))
    low, high = wide.min(), wide.max()
    if values.dtype.kind == "f" and low >= 0 and high <= 1:
        wide = wide * 255
    elif values.dtype.itemsize == 2 or (values.dtype.kind in "iu" and low >= 0 and 255 < high <= 65535):
        wide = wide / 257
    elif low < 0 or high > 255:
        wide = (wide - low) * (255 / max(high - low, 1e-9))
    return np.rint(wide).astype(np.uint8)


@contextmanager
def strict_pillow() -> Iterator[None]:
    """Within the block, Pillow's size warning is an error, and its remarks on odd files are not heard."""
    with catch_warnings():
        simplefilter("ignore")
        filterwarnings("error", category=Image.DecompressionBombWarning)
        yield
