"""What a file is that people take for an image, and what to do, is told by its first bytes."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image, TiffImagePlugin

from pipeline.learn.data.decode import UnreadableError, open_image, strict_pillow
from pipeline.learn.data.unreadable import why_unreadable

FTYP = b"\x00\x00\x00\x18ftyp"


@pytest.mark.parametrize(
    ("content", "kind", "remedy"),
    [
        (b"", "is empty", "fetch it again"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "Git-LFS pointer", "`git lfs pull`"),
        (b"/annex/objects/SHA256E-s1--0.png\n", "git-annex pointer", "`git annex get .`"),
        (b"\n<!DOCTYPE html><html>404</html>", "an HTML page", "fetch it again"),
        (b"\xef\xbb\xbf<HTML><body>", "an HTML page", "fetch it again"),
        (b"<?xml version='1.0'?><Error><Code>AccessDenied</Code></Error>", "message of a server", "fetch it"),
        (b'{"message": "API rate limit exceeded"}', "message of a server", "fetch it"),
        (FTYP + b"heic" + bytes(8), "HEIC photograph", "`pip install pillow-heif`"),
        (FTYP + b"mp42" + bytes(8), "is a film", "still images"),
        (b"\xff\x0a" + bytes(30), "JPEG XL", "pillow-jxl-plugin"),
        (bytes(128) + b"DICM" + bytes(99), "DICOM", "export it as PNG"),
        (b"\x93NUMPY\x01\x00", "NumPy array", "save it as PNG"),
        (b"<?xml version='1.0'?><svg xmlns='x'/>", "SVG drawing", "export it as PNG"),
        (b"%PDF-1.7", "PDF document", "export its pages"),
        (b"PK\x03\x04" + bytes(30), "archive", "unpack it"),
        (b"\x89HDF\r\n\x1a\n", "HDF5", "save its images"),
        (b"hello", "no image format that is known", "repair or remove it"),
        (b"II*\0\xff\xff\xff\xff", "damaged TIFF", "repair or remove it"),
    ],
)
def test_files_that_are_no_images_are_named(tmp_path: Path, content: bytes, kind: str, remedy: str) -> None:
    path = tmp_path / "x.jpg"
    path.write_bytes(content)
    found = why_unreadable(path)
    assert kind in found[0]
    assert remedy in found[1]
    with pytest.raises(UnreadableError) as error, strict_pillow():
        open_image(path)
    assert (error.value.kind, error.value.remedy) == found


def test_a_tiff_of_many_bands_is_told_by_their_number(tmp_path: Path) -> None:
    write_bands(tmp_path / "x.tif", 13)
    assert why_unreadable(tmp_path / "x.tif")[0] == "is a TIFF image of 13 bands of 16 bits"
    with pytest.raises(UnreadableError, match="13 bands"):
        open_image(tmp_path / "x.tif")


def write_bands(path: Path, bands: int, side: int = 4) -> None:
    """Write a TIFF image of many bands, as satellites send them, which Pillow itself cannot write."""
    pixels = np.zeros((side, side, bands), "<u2").tobytes()
    directory = TiffImagePlugin.ImageFileDirectory_v2()
    for tag, value in {256: side, 257: side, 258: (16,) * bands, 259: 1, 262: 1, 273: 8, 277: bands,
                       278: side, 279: len(pixels)}.items():  # fmt: skip
        directory[tag] = value
    with path.open("wb") as file:
        file.write(b"II*\0" + (8 + len(pixels)).to_bytes(4, "little") + pixels)
        directory.save(file)


def test_what_reads_stays_readable_whatever_its_name(tmp_path: Path) -> None:
    Image.new("RGB", (4, 4)).save(tmp_path / "really-a.webp")
    (tmp_path / "really-a.webp").rename(tmp_path / "x.jpg")
    with open_image(tmp_path / "x.jpg") as image:
        assert image.format == "WEBP"
