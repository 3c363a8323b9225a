"""Every mode and format that Pillow knows becomes upright RGB; what cannot be read raises."""

import io
import os
import struct
import zlib

import numpy as np
import pytest
from PIL import ExifTags, Image

from pipeline.learn.data.decode import MAX_PIXELS, native_size, open_image, strict_pillow, to_rgb, to_square
from tests.learn.made_images import picture

RED, WHITE = (255, 0, 0), (255, 255, 255)


def saved(tmp_path, image, name, **options):
    image.save(tmp_path / name, **options)
    return tmp_path / name


@pytest.mark.parametrize(
    ("kind", "tolerance"),
    [
        ("png", 0),
        ("bmp", 0),
        ("tiff", 0),
        ("ppm", 0),
        ("tga", 0),
        ("webp", 40),
        ("jpg", 40),
        ("gif", 40),
        ("jp2", 40),
        ("ico", 0),
        ("avif", 60),
        ("qoi", 0),
        ("dds", 0),
        ("pcx", 0),
        ("sgi", 0),
    ],
)
def test_every_format_gives_the_same_picture(tmp_path, kind, tolerance):
    image = picture(3, (32, 32))
    with open_image(saved(tmp_path, image, f"image.{kind}")) as read:
        rgb = to_rgb(read)
    assert rgb.mode == "RGB"
    difference = np.abs(np.asarray(rgb).astype(int) - np.asarray(image))
    assert difference.max() <= tolerance


@pytest.mark.parametrize(
    ("mode", "colour", "expected"),
    [
        ("1", 1, WHITE),
        ("L", 100, (100, 100, 100)),
        ("LA", (100, 0), WHITE),
        ("P", 0, (0, 0, 0)),
        ("RGB", RED, RED),
        ("RGBA", (255, 0, 0, 255), RED),
        ("RGBA", (255, 0, 0, 0), WHITE),
        ("RGBA", (0, 0, 0, 128), (127, 127, 127)),
        ("RGBa", (0, 0, 0, 0), WHITE),
        ("CMYK", (0, 255, 255, 0), RED),
        ("YCbCr", (255, 128, 128), WHITE),
        ("HSV", (0, 255, 255), RED),
        ("LAB", (255, 128, 128), (254, 255, 254)),
        ("I;16", 65535, WHITE),
        ("I;16", 257, (64, 64, 64)),
        ("I;16B", 257 * 90, (90, 90, 90)),
        ("I", 257 * 90, (90, 90, 90)),
        ("I", 90, (90, 90, 90)),
        ("F", 0.2, (51, 51, 51)),
        ("F", 90.0, (90, 90, 90)),
        ("F", float("nan"), (0, 0, 0)),
    ],
)
def test_every_mode_becomes_rgb(mode, colour, expected):
    assert to_rgb(Image.new(mode, (2, 2), colour)).getpixel((0, 0)) == expected


@pytest.mark.parametrize("values", [[-5.0, 5.0], [0.0, 1e6]])
def test_unusual_ranges_are_stretched(values):
    rgb = to_rgb(Image.fromarray(np.array([values], dtype=np.float32)))
    assert [rgb.getpixel((x, 0)) for x in (0, 1)] == [(0, 0, 0), WHITE]


def test_a_16_bit_png_keeps_its_brightness(tmp_path):
    grey = Image.fromarray(np.full((4, 4), 30_000, dtype=np.uint16))
    with open_image(saved(tmp_path, grey, "deep.png")) as image:
        assert to_rgb(image).getpixel((0, 0)) == (117, 117, 117)


def test_a_transparent_palette_entry_becomes_white(tmp_path):
    image = Image.new("P", (2, 2), 1)
    image.putpalette([0, 0, 0, 9, 9, 9])
    with open_image(saved(tmp_path, image, "palette.png", transparency=1)) as read:
        assert to_rgb(read).getpixel((0, 0)) == WHITE


def test_a_transparent_grey_or_colour_becomes_white(tmp_path):
    for mode, colour in (("L", 7), ("RGB", RED)):
        path = saved(tmp_path, Image.new(mode, (2, 2), colour), f"{mode}.png", transparency=colour)
        with open_image(path) as read:
            assert to_rgb(read).getpixel((0, 0)) == WHITE


@pytest.mark.parametrize("kind", ["gif", "png", "webp", "tiff"])
def test_an_animation_gives_its_first_frame(tmp_path, kind):
    frames = [Image.new("RGB", (4, 4), colour) for colour in (RED, (0, 0, 255))]
    path = saved(tmp_path, frames[0], f"moving.{kind}", save_all=True, append_images=frames[1:])
    with open_image(path) as image:
        assert to_rgb(image).getpixel((0, 0))[0] > 240


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("side", [None, 12])
def test_exif_rotation_is_applied(tmp_path, orientation, side):
    upright = picture(5, (12, 12))
    turned = {1: None, 2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}[orientation]  # how a camera would store it
    stored = upright if turned is None else upright.transpose(Image.Transpose(turned))
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    with open_image(saved(tmp_path, stored, "photo.png", exif=exif)) as image:
        assert np.array_equal(np.asarray(to_square(image, side, "bilinear")), np.asarray(upright))


def test_native_size_is_that_of_the_upright_image(tmp_path):
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    with open_image(saved(tmp_path, picture(1, (20, 10)), "photo.jpg", exif=exif)) as image:
        assert native_size(image) == (20, 10)


def test_damaged_exif_does_not_spoil_the_image(tmp_path):
    path = saved(tmp_path, picture(1, (20, 10)), "photo.jpg", exif=b"Exif\x00\x00II*\x00garbage garbage")
    with strict_pillow(), open_image(path) as image:
        assert native_size(image) == (10, 20)


@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
@pytest.mark.parametrize("size", [(40, 20), (20, 40), (7, 5), (1, 1)])
def test_the_shorter_side_is_scaled_and_the_middle_is_kept(size, interpolation):
    image = picture(2, size)
    square = to_square(image, 10, interpolation)
    assert square.size == (10, 10)
    if size == (40, 20):
        resample = Image.Resampling[interpolation.upper()]
        plain = image.resize((20, 10), resample).crop((5, 0, 15, 10))
        assert np.abs(np.asarray(square).astype(int) - np.asarray(plain)).max() <= 1


def test_a_large_jpeg_is_scaled_well_although_decoded_at_a_fraction(tmp_path):
    image = picture(4, (800, 600))
    with open_image(saved(tmp_path, image, "large.jpg", quality=95)) as read:
        quick = to_square(read, 32, "bilinear")
    slow = to_square(image, 32, "bilinear")
    assert np.abs(np.asarray(quick).astype(int) - np.asarray(slow)).mean() < 2


def png_claiming(width, height):
    """Return a small PNG whose header claims any size."""

    def chunk(kind, content):
        return (
            struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
        )

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    body = zlib.compress(b"\0" * 1000)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", body) + chunk(b"IEND", b"")


def jpeg():
    file = io.BytesIO()
    picture(1, (64, 64)).save(file, "JPEG")
    return file.getvalue()


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"", id="no byte"),
        pytest.param(b"not an image", id="text"),
        pytest.param(jpeg()[: len(jpeg()) // 2], id="truncated"),
        pytest.param(png_claiming(100_000, 100_000), id="bomb"),
        pytest.param(png_claiming(30_000, MAX_PIXELS // 30_000 + 1), id="very wide"),
        pytest.param(png_claiming(30_000, 2), id="too little data"),
        pytest.param(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EOF\n", id="program"),
        pytest.param(b"<svg xmlns='http://www.w3.org/2000/svg'/>", id="svg"),
    ],
)
def test_what_cannot_be_read_raises_and_runs_nothing(tmp_path, content):
    (tmp_path / "image").write_bytes(content)
    with pytest.raises(Exception, match=r"."), strict_pillow(), open_image(tmp_path / "image") as image:
        to_rgb(image)


def test_pipes_folders_and_broken_links_raise_instead_of_waiting(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    for name in ("pipe", "link", "."):
        with pytest.raises(OSError, match="not a file"):
            open_image(tmp_path / name)
