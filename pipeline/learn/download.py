"""Data sets and weights from the first mirror that answers: gone on with where it stopped, hash-checked."""

# No result depends on this module: it is no part of a run's identity.

import logging
import os
import re
import shutil
import sys
import tarfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPException, HTTPResponse
from pathlib import Path
from urllib.parse import urlsplit

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)

from pipeline.errors import DataError, ModelError, one_line
from pipeline.files import cache_folder, file_hash, lock, replacing

log = logging.getLogger(__name__)

OFFLINE_VARIABLE = "HEADSTART_OFFLINE"
OFFLINE_OPTION = "--offline"  # what the command puts into the variable when it is given
TIMEOUT_SECONDS = 30
CHUNK_BYTES = 1 << 18
# A mirror slower than this is left for the next one, as long as there is a next one.
SLOW_BYTES_PER_SECOND = 200_000
PATIENCE_SECONDS = 20

Report = Callable[[int, int | None], None]


@dataclass(frozen=True)
class Archive:
    """A .tar.gz with known content: ``members`` maps each file of ``folder`` to its md5."""

    file: str
    md5: str
    mirrors: tuple[str, ...]
    folder: str
    members: Mapping[str, str]

    def is_unpacked(self, root: Path) -> bool:
        """Whether all files are there, whatever they hold."""
        return all((root / self.folder / name).is_file() for name in self.members)

    def obtain(self, root: Path) -> Path:
        """Return the folder of the unpacked archive, fetched and unpacked when it is not there yet.

        Raises DataError when it cannot be had, or is damaged.
        """
        root = self._home(root)
        if not self.is_unpacked(root):
            with self._lock(root):
                if not self.is_unpacked(root):
                    self._unpack(self._fetched(root), root)
        return root / self.folder

    def obtain_verified(self, root: Path) -> Path:
        """As ``obtain``, with the md5 of every file checked; damaged ones are named and unpacked again."""
        folder, root = self.obtain(root), self._home(root)
        damaged = [name for name, md5 in self.members.items() if file_hash(folder / name, "md5") != md5]
        if damaged:
            log.warning("%s: damaged; it is unpacked again.", folder / damaged[0])
            with self._lock(root):
                self._unpack(self._fetched(root), root)
        return folder

    def _home(self, root: Path) -> Path:
        """Return the folder that the archive is unpacked in; people also give the unpacked folder itself."""
        return root.parent if root.name == self.folder else root

    @contextmanager
    def _lock(self, root: Path) -> Iterator[None]:
        try:
            root.mkdir(parents=True, exist_ok=True)
            with lock(root / f".{self.file}.lock"):
                yield
        except OSError as error:
            raise DataError(
                f"{root}: cannot hold the data: {one_line(error.strerror or error, 120)}. "
                "Set data_dir to a folder with room, where you may write."
            ) from None

    def _fetched(self, root: Path) -> Path:
        """Return the archive, whole and with the right md5."""
        path = root / self.file
        if not path.exists():
            by_hand = f"Put the archive there by hand (md5 {self.md5})"
            refuse_offline(
                str(path), self.mirrors[0], f"{by_hand}, set data_dir to the folder that holds {self.folder}/"
            )
            fetch(self.mirrors, path, self.md5)
        elif (found := file_hash(path, "md5")) != self.md5:
            raise DataError(
                f"{path}: md5 is {found}, expected {self.md5}: the download is damaged. "
                "Delete it and run again, or put the archive there by hand."
            )
        return path

    def _unpack(self, path: Path, root: Path) -> None:
        """Copy the known members out; no name that the archive holds is ever used as a path."""
        folder = root / self.folder
        folder.mkdir(exist_ok=True)
        try:
            with tarfile.open(path) as archive:
                for name, md5 in self.members.items():
                    packed = archive.extractfile(f"{self.folder}/{name}")
                    if packed is None:
                        raise KeyError(f"{name} is not a file")
                    with replacing(folder / name, "wb") as file:
                        shutil.copyfileobj(packed, file)
                    if file_hash(folder / name, "md5") != md5:
                        raise KeyError(f"{name} has another md5")
        except (KeyError, tarfile.TarError, EOFError) as error:
            raise DataError(
                f"{path}: does not hold what it should: {one_line(error, 120)}. Delete it and run again."
            ) from None


def offline() -> bool:
    """Whether HEADSTART_OFFLINE forbids every connection."""
    return os.environ.get(OFFLINE_VARIABLE, "") not in ("", "0")


def _forbidding() -> str:
    return OFFLINE_OPTION if os.environ.get(OFFLINE_VARIABLE) == OFFLINE_OPTION else OFFLINE_VARIABLE


def _allowing() -> str:
    return f"{'run without' if _forbidding() == OFFLINE_OPTION else 'unset'} {_forbidding()}"


def refuse_offline(place: str, url: str, remedy: str) -> None:
    """Raise DataError if no connection may be made: say what would have been fetched, and what to do."""
    if offline():
        raise DataError(
            f"{place}: missing, and {_forbidding()} forbids to fetch {url}. {remedy}, or {_allowing()}."
        )


class _MirrorError(Exception):
    """A mirror did not give the file."""


def fetch(mirrors: tuple[str, ...], path: Path, md5: str, slow: float = SLOW_BYTES_PER_SECOND) -> None:
    """Fetch ``path`` from the first mirror that has it; what an earlier try left is kept and continued.

    Raises DataError, with what each mirror said, when none gives a file with the right ``md5``.
    """
    try:
        _fetch(mirrors, path, "md5", md5, slow)
    except _MirrorError as error:
        raise DataError(
            f"{path}: no mirror gave it ({error}). Try again later, or put the archive there by hand "
            f"(md5 {md5})."
        ) from None


def _fetch(mirrors: tuple[str, ...], path: Path, algorithm: str, wanted: str, slow: float) -> None:
    """Fetch ``path``, whose hash begins with what is ``wanted``. Raises _MirrorError when none gives it."""
    partial = path.with_name(f".{path.name}.partial")
    problems = {}
    # Slow mirrors are left at first; if that was all of them, the second round takes its time.
    for pace in (slow, 0):
        for url in mirrors:
            try:
                with _progress(path.name) as report:
                    _fetch_from(url, partial, report, pace)
                _refuse_other_hash(partial, algorithm, wanted)
            except _MirrorError as error:
                problems[url] = str(error)
                continue
            partial.replace(path)
            return
    raise _MirrorError("; ".join(f"{urlsplit(url).netloc}: {problem}" for url, problem in problems.items()))


def _refuse_other_hash(partial: Path, algorithm: str, wanted: str) -> None:
    found = file_hash(partial, algorithm)
    if not found.startswith(wanted):
        partial.unlink()
        raise _MirrorError(f"{algorithm} is {found}")


def _fetch_from(url: str, partial: Path, report: Report, pace: float) -> None:
    """Append to ``partial`` until the mirror has no more; a broken connection is taken up again."""
    while True:
        before = partial.stat().st_size if partial.exists() else 0
        try:
            if _append(url, partial, before, report, pace):
                return
            problem = "the connection broke"
        except urllib.error.HTTPError as error:
            if error.code == 416 and before:  # nothing left to send
                return
            raise _MirrorError(f"HTTP {error.code} {error.reason}") from None
        except (HTTPException, urllib.error.URLError, TimeoutError, ConnectionError) as error:
            problem = one_line(getattr(error, "reason", None) or error or type(error).__name__, 100)
        if (partial.stat().st_size if partial.exists() else 0) == before:
            raise _MirrorError(problem)


def _append(url: str, partial: Path, start: int, report: Report, pace: float) -> bool:
    """Write what the mirror sends from byte ``start`` on. Returns whether that was all of it."""
    headers = {"User-Agent": "headstart"} | ({"Range": f"bytes={start}-"} if start else {})
    request = urllib.request.Request(url, headers=headers)
    with urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS) as answer:
        if answer.status != 206:  # this mirror cannot start in the middle
            start = 0
        length = answer.headers.get("Content-Length")
        total = start + int(length) if length else None
        with partial.open("r+b" if start else "wb") as file:
            file.seek(start)
            done = start + _copy(answer, file.write, start, total, report, pace)
    return total is None or done >= total


def _copy(
    answer: HTTPResponse,
    write: Callable[[bytes], object],
    start: int,
    total: int | None,
    report: Report,
    pace: float,
) -> int:
    began, done = time.monotonic(), 0
    while chunk := answer.read1(CHUNK_BYTES):
        write(chunk)
        done += len(chunk)
        report(start + done, total)
        seconds = time.monotonic() - began
        if seconds > PATIENCE_SECONDS and done / seconds < pace:
            raise _MirrorError(f"only {done / seconds / 1000:.0f} kB/s")
    return done


@contextmanager
def _progress(name: str) -> Iterator[Report]:
    """Show a bar in a terminal, and a line for each tenth elsewhere, on stderr."""
    if sys.stderr.isatty():
        columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
        with Progress(*columns, TimeRemainingColumn(), console=Console(stderr=True)) as progress:
            task = progress.add_task(name, total=None)
            yield lambda done, total: progress.update(task, completed=done, total=total)
        return
    shown = -1

    def report(done: int, total: int | None) -> None:
        nonlocal shown
        if total and 10 * done // total > shown:
            shown = 10 * done // total
            print(f"{name}: {done / 1e6:.0f} of {total / 1e6:.0f} MB", file=sys.stderr, flush=True)

    yield report


def cached_path(url: str) -> Path:
    """Return where PyTorch keeps the file of a URL, there or not. Imports no torch."""
    cache = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    try:
        home = Path(os.environ.get("TORCH_HOME") or f"{cache}/torch").expanduser()
    except RuntimeError:  # the user has no home, as in containers that run under any number
        home = cache_folder("torch")
    return home / "hub" / "checkpoints" / url.rpartition("/")[2]


def url_hash(url: str) -> str:
    """Return the first digits of the file's SHA-256, which PyTorch puts in its name, or ""."""
    found = re.search(r"-([0-9a-f]{8,64})\.\w+$", url)
    return found.group(1) if found else ""


def require_reachable(url: str) -> None:
    """Raise ModelError when a weights file is not in PyTorch's cache and no connection may be made."""
    path = cached_path(url)
    if offline() and not path.is_file():
        raise ModelError(
            f"{path}: missing, and offline (--offline, {OFFLINE_VARIABLE}) it is not fetched from {url}. "
            "Put the file there by hand, or set weights: path/to/file."
        )


def fetch_weights(url: str) -> Path:
    """Return the path of a weights file, downloaded when PyTorch's cache has no whole copy of it.

    Raises ModelError with the address, the place in the cache and the way round.
    """
    path = cached_path(url)
    require_reachable(url)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with lock(f"{path}.lock"):  # another run may be fetching the same file
            _ensure_whole(url, path)
    except OSError as error:
        raise ModelError(
            f"{path}: cannot be written or read ({one_line(error.strerror or error, 120)}). "
            "Set TORCH_HOME to a folder where you may write, or weights: path/to/file."
        ) from None
    return path


def _ensure_whole(url: str, path: Path) -> None:
    if path.is_file():
        if file_hash(path).startswith(url_hash(url)):
            return
        print(f"{path}: damaged (its SHA-256 is not {url_hash(url)}…); it is replaced.", flush=True)
        path.unlink()
        require_reachable(url)
    print(f"Downloading {url} to {path}", flush=True)
    try:
        _fetch((url,), path, "sha256", url_hash(url), slow=0)
    except _MirrorError as error:
        raise ModelError(
            f"{url}: could not be downloaded ({one_line(error, 120)}). Put the file at {path} by hand, "
            "or set weights: path/to/file."
        ) from None
