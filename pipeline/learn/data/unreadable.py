"""Why a file is no image that can be read, told by its first bytes, and what to do about it."""

import os
import struct
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO

from pipeline.errors import DataError, one_line

HEAD_BYTES = 512
LONGEST_REASON = 200
MOST_REASONS = 4
UNKNOWN = "no image format that is known here"
HEIC = frozenset((b"heic", b"heix", b"heim", b"heis", b"hevc", b"mif1", b"msf1"))


def _behind(position: int, *signs: bytes) -> Callable[[bytes], bool]:
    return lambda head: any(head[position:].startswith(sign) for sign in signs)


def _page(head: bytes) -> bool:
    return head.lstrip(b"\xef\xbb\xbf \t\r\n").lower().startswith((b"<!doctype html", b"<html", b"<head"))


def _film(head: bytes) -> bool:
    return head[4:8] == b"ftyp" or head.startswith(b"\x1aE\xdf\xa3")


DICOM = _behind(128, b"DICM")

Kind = tuple[str, str, Callable[[bytes], bool]]

# What lies in the place of a file that was never fetched, and how to get it.
NOT_FETCHED: tuple[Kind, ...] = (
    ("is empty", "fetch it again", lambda head: not head),
    ("is a Git-LFS pointer and not the image", "run `git lfs pull`", _behind(0, b"version https://git-lfs")),
    ("is a git-annex pointer and not the image", "run `git annex get .`", _behind(0, b"/annex/objects/")),
    ("is an HTML page, as servers send in place of a file", "fetch it again", _page),
    (
        "is the error message of a server",
        "fetch it again",
        lambda head: b"<Error>" in head or head.lstrip().startswith((b'{"', b"{\n")),
    ),
)
# What people find where they expect an image, and how they get to one; the first that fits counts.
KINDS: tuple[Kind, ...] = (
    *NOT_FETCHED,
    (
        "is a HEIC photograph",
        "run `pip install pillow-heif`",
        lambda head: head[4:8] == b"ftyp" and head[8:12] in HEIC,
    ),
    ("is a film", "take still images from it", _film),
    (
        "is a JPEG XL image",
        "run `pip install pillow-jxl-plugin`",
        _behind(0, b"\xff\x0a", b"\x00\x00\x00\x0cJXL "),
    ),
    ("is a DICOM file", "export it as PNG, 16 bits deep, unless `pip install pydicom` is enough", DICOM),
    ("is a NumPy array", "save it as PNG or TIFF", _behind(0, b"\x93NUMPY")),
    ("is an SVG drawing", "export it as PNG", lambda head: b"<svg" in head),
    ("is a PDF document", "export its pages as PNG", _behind(0, b"%PDF")),
    ("is an archive", "unpack it", _behind(0, b"PK\x03\x04", b"\x1f\x8b", b"Rar!", b"7z\xbc\xaf")),
    ("is an HDF5 file", "save its images as PNG", _behind(0, b"\x89HDF")),
    ("is a NIfTI volume", "save its slices as PNG", _behind(344, b"n+1", b"ni1")),
)  # fmt: skip


def is_dicom(path: str | os.PathLike[str]) -> bool:
    """Whether a file is DICOM, by its first bytes."""
    with open(path, "rb") as file:  # noqa: PTH123 (a Path for each of a million files costs seconds)
        return DICOM(file.read(HEAD_BYTES))


class UnreadableError(OSError):
    """A file is no image that can be read here: ``kind`` is what it is, ``remedy`` what to do."""

    def __init__(self, kind: str, remedy: str) -> None:
        super().__init__(f"{kind}; {remedy}")
        self.kind, self.remedy = kind, remedy


def not_fetched(path: str | os.PathLike[str]) -> tuple[str, str]:
    """Return what lies in the place of a file that was never fetched, and what to do; or twice nothing."""
    try:
        with Path(path).open("rb") as file:
            head = file.read(HEAD_BYTES)
    except OSError as error:
        return f"cannot be opened ({error.strerror})", "check its permissions"
    return next(((kind, remedy) for kind, remedy, fits in NOT_FETCHED if fits(head)), ("", ""))


def why_unreadable(path: str | os.PathLike[str]) -> tuple[str, str]:
    """Return what a file is that cannot be opened as an image, and what to do, both in a few words."""
    try:
        with Path(path).open("rb") as file:
            head = file.read(HEAD_BYTES)
    except OSError as error:
        return f"cannot be opened ({error.strerror})", "check its permissions"
    for kind, remedy, fits in KINDS:
        if fits(head):
            return kind, remedy
    if head[:4] in (b"II*\0", b"MM\0*"):
        return _tiff(path)
    return f"is {UNKNOWN}", "repair or remove it"


def _tiff(path: str | os.PathLike[str]) -> tuple[str, str]:
    """Say of a TIFF image how many bands it has: Pillow reads up to four, satellites send a dozen."""
    try:
        with Path(path).open("rb") as file:
            bands, bits = _bands(file)
    except (OSError, struct.error):
        return "is a damaged TIFF image", "repair or remove it"
    remedy = "save three bands as RGB of 8 bits (`gdal_translate -b 4 -b 3 -b 2 -ot Byte -scale`)"
    return f"is a TIFF image of {bands} bands of {bits} bits", remedy


def _bands(file: IO[bytes]) -> tuple[int, int]:
    order = "<" if file.read(2) == b"II" else ">"
    file.seek(struct.unpack(f"{order}2xI", file.read(6))[0])
    (count,) = struct.unpack(f"{order}H", file.read(2))
    found = {277: 1, 258: 1}
    for _ in range(min(count, 100)):
        tag, _, values, short, _ = struct.unpack(f"{order}HHIHH", entry := file.read(12))
        found[tag] = short
        if tag == 258 and values > 2:  # they lie elsewhere
            place = file.tell()
            file.seek(struct.unpack(f"{order}I", entry[8:])[0])
            (found[tag],) = struct.unpack(f"{order}H", file.read(2))
            file.seek(place)
    return found[277], found[258]


def reason(error: Exception) -> str:
    """Return what an error says of a file, in one line that is never empty."""
    return one_line(error, LONGEST_REASON) or type(error).__name__


def refuse_too_many(
    place: str, reasons: Mapping[str, str], images: int, allowed: float, every: int | None = None
) -> None:
    """Raise DataError when more than the allowed share of images is unreadable; ``reasons`` by file name.

    ``images`` were looked at, of ``every`` one there is, if there are more.
    """
    if len(reasons) <= allowed * images:
        return
    counts = Counter(reasons.values()).most_common(MOST_REASONS)
    first = {why: next(name for name, other in reasons.items() if other == why) for why, _ in counts}
    alike = {why: f" ({count:,} files alike)" if count > 1 else "" for why, count in counts}
    said = "; ".join(f"{name}: {why}{alike[why]}" for why, name in first.items())
    looked_at = f"{images:,} images" + (f" looked at ({every:,} in all)" if every and every > images else "")
    raise DataError(
        f"{place}: {len(reasons):,} of {looked_at} cannot be read ({len(reasons) / images:.1%}), and "
        f"max_unreadable allows {allowed:.1%}. {said}. Mend or remove them, or raise max_unreadable."
    )
