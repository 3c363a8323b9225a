"""The torch hub cache: published weights are looked for there, and downloaded into it, hash-checked."""

# No result depends on this module: it is no part of a run's identity.

import hashlib
import os
import re
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock

from pipeline.errors import ModelError, one_line
from pipeline.learn.data.download import OFFLINE_VARIABLE, TIMEOUT_SECONDS, offline

TRIES = 3


def cached_path(url: str) -> Path:
    """Return where PyTorch keeps the file of a URL, there or not. Imports no torch."""
    cache = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    home = Path(os.environ.get("TORCH_HOME") or f"{cache}/torch").expanduser()
    return home / "hub" / "checkpoints" / url.rpartition("/")[2]


def url_hash(url: str) -> str:
    """Return the first digits of the file's SHA-256, which PyTorch puts in its name, or ""."""
    found = re.search(r"-([0-9a-f]{8,64})\.\w+$", url)
    return found.group(1) if found else ""


def require_reachable(url: str) -> None:
    """Raise ModelError when a file is not in the cache and no connection may be made."""
    path = cached_path(url)
    if offline() and not path.is_file():
        raise ModelError(
            f"{path}: missing, and offline (--offline, {OFFLINE_VARIABLE}) it is not fetched from {url}. "
            "Put the file there by hand, or set weights: path/to/file."
        )


def fetch(url: str) -> Path:
    """Return the path of a weights file, downloaded when the cache has no whole copy of it.

    Raises ModelError with the address, the place in the cache and the way round.
    """
    path = cached_path(url)
    require_reachable(url)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(f"{path}.lock"):  # another run may be fetching the same file
            _ensure_whole(url, path)
    except OSError as error:
        raise ModelError(
            f"{path}: cannot be written or read ({one_line(error.strerror or error, 120)}). "
            "Set TORCH_HOME to a folder where you may write, or weights: path/to/file."
        ) from None
    return path


def _ensure_whole(url: str, path: Path) -> None:
    if path.is_file() and _is_whole(path, url):
        return
    if path.is_file():
        print(f"{path}: damaged (its SHA-256 is not {url_hash(url)}…); it is replaced.", flush=True)
        path.unlink()
        require_reachable(url)
    _download(url, path)


def _is_whole(path: Path, url: str) -> bool:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest().startswith(url_hash(url))


def _download(url: str, path: Path) -> None:
    from torch.hub import download_url_to_file

    print(f"Downloading {url} to {path}", flush=True)
    for attempt in range(1, TRIES + 1):
        try:
            with _timeout(TIMEOUT_SECONDS):
                download_url_to_file(url, str(path), url_hash(url) or None, sys.stderr.isatty())
            return
        except (OSError, RuntimeError) as error:  # URLError is an OSError; a wrong hash a RuntimeError
            problem = one_line(error, 120)
            print(f"Attempt {attempt} of {TRIES} failed: {problem}", flush=True)
    raise ModelError(
        f"{url}: could not be downloaded ({problem}). Put the file at {path} by hand, "
        "or set weights: path/to/file."
    )


@contextmanager
def _timeout(seconds: float) -> Iterator[None]:
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(seconds)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)
