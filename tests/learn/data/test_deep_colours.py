"""Colours of 16 bits keep what they hold: Pillow alone takes the upper 8, and leaves 12 bits nearly black."""

import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pipeline.experiment import RunSettings
from pipeline.learn import data
from pipeline.learn.data.decode import Scale, is_deep, numbers, open_image, to_rgb
from pipeline.learn.data.images import ImageData
from pipeline.learn.models.weights import Preprocessing
from tests.learn.tiny import CPU

RANDOM = np.random.RandomState(0)
COLOURS = RANDOM.randint(0, 4096, (6, 5, 3)).astype("u2")


def write_png(path: Path, values: np.ndarray) -> Path:
    """Write uint16 [H, W, 3 or 4] as PNG, which Pillow reads and cannot write."""
    height, width, bands = values.shape
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)
    head = struct.pack(">IIBBBBB", width, height, 16, {3: 2, 4: 6}[bands], 0, 0, 0)
    chunks = ((b"IHDR", head), (b"IDAT", zlib.compress(rows)), (b"IEND", b""))
    body = b"".join(
        struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
        for kind, content in chunks
    )
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + body)
    return path


def write_tiff(path: Path, values: np.ndarray, order: str) -> Path:
    """Write uint16 [H, W, 3] as a TIFF of one strip, ``order`` < or >."""
    height, width, bands = values.shape
    pixels = values.astype(f"{order}u2").tobytes()
    start = 8 + 2 + 12 * 9 + 4  # header, entries, and no further image
    entries = [(256, 4, width), (257, 4, height), (258, 3, start), (259, 3, 1), (262, 3, 2),
               (273, 4, start + 6), (277, 3, bands), (278, 4, height), (279, 4, len(pixels))]  # fmt: skip
    written = b"".join(
        struct.pack(f"{order}HHI", tag, kind, 3 if tag == 258 else 1)
        + (
            struct.pack(f"{order}I", value)
            if kind == 4 or tag == 258
            else struct.pack(f"{order}HH", value, 0)
        )
        for tag, kind, value in entries
    )
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(f"{order}I", 8)
    body = struct.pack(f"{order}H", len(entries)) + written + struct.pack(f"{order}I", 0)
    path.write_bytes(head + body + struct.pack(f"{order}3H", 16, 16, 16) + pixels)
    return path


@pytest.mark.parametrize("kind", ["png", "transparent", "<", ">"])
def test_all_bits_of_colours_are_read(tmp_path: Path, kind: str) -> None:
    if kind == "transparent":
        path = write_png(tmp_path / "1.png", np.concatenate([COLOURS, np.full((6, 5, 1), 65535, "u2")], 2))
    else:
        path = (
            write_png(tmp_path / "1.png", COLOURS)
            if kind == "png"
            else write_tiff(tmp_path / "1", COLOURS, kind)
        )
    with open_image(path) as image:
        assert is_deep(image)
        assert np.array_equal(numbers(image), COLOURS)


def test_a_scale_for_all_makes_colours_of_them_and_transparent_white(tmp_path: Path) -> None:
    alpha = np.full((6, 5, 1), 65535, "u2")
    alpha[0, 0] = 0
    scale = Scale(0, 4095, 4095, 16)
    with open_image(write_png(tmp_path / "1.png", np.concatenate([COLOURS, alpha], 2))) as image:
        found = np.asarray(to_rgb(image, scale))
    assert found[0, 0].tolist() == [255, 255, 255]
    assert np.array_equal(found[1:], np.rint(COLOURS[1:] / 4095 * 255).astype("u1"))


def test_full_colours_stay_as_they_were(tmp_path: Path) -> None:
    bright = (16 * COLOURS.astype("u4") + 15).astype("u2")
    with open_image(write_png(tmp_path / "1.png", bright)) as image:
        found = np.asarray(to_rgb(image)).astype(int)
    assert abs(found - bright // 256).max() <= 1


def load(root: Path) -> ImageData:
    return data.load(RunSettings(dataset="image_folder", data_dir=str(root)), Preprocessing(), CPU)


@pytest.fixture
def root(workplace: Path) -> Path:
    for label in ("cat", "dog"):
        (workplace / "data" / label).mkdir(parents=True)
    return workplace / "data"


def test_twelve_bits_of_colour_are_not_turned_black(root: Path) -> None:
    for label in ("cat", "dog"):
        for number in range(4):
            write_png(root / label / f"{number}.png", RANDOM.randint(0, 4096, (8, 8, 3)).astype("u2"))
    images = load(root)
    assert images.info.pixel_scale == [0, 4095]
    assert int(images.train.pixels.max()) > 240
    assert len(images.train.pixels.unique()) > 100
    assert "far below 65,535" in images.info.notes[0]


def test_files_of_unlike_depth_are_told(root: Path) -> None:
    for number in range(8):
        Image.fromarray(RANDOM.randint(0, 256, (8, 8), "u1")).save(root / "cat" / f"{number}.png")
        Image.fromarray(RANDOM.randint(0, 65536, (8, 8)).astype("u2")).save(root / "dog" / f"{number}.png")
    assert "% of the images for training have so many bits; the others stayed" in load(root).info.notes[0]


def test_images_that_use_few_levels_are_told(root: Path) -> None:
    for label in ("cat", "dog"):
        for number in range(8):
            Image.fromarray(RANDOM.randint(0, 2, (8, 8), "u1")).save(root / label / f"{number}.png")
    (note,) = load(root).info.notes
    assert note.startswith("The largest value in 11 training images is 1, of 255")
