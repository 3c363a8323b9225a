"""Hash the content of many files once; while nothing about them changes, only look at them.

``cache/fingerprints/`` keeps, for each folder, the hash of each file with the size, times and inode
that it had. A file that changed within the last seconds is never trusted, because the next change
might not move its clock.
"""

# No result depends on this module: it is no part of a run's identity.

import hashlib
import os
import stat
import time
from concurrent.futures import ThreadPoolExecutor

from pipeline.files import cache_folder, file_hash, read_kept, write_kept
from pipeline.learn.data.contents import Files

TRUSTED_AFTER_SECONDS = 2
UNREADABLE = "unreadable"


def files_fingerprint(place: str, files: Files) -> str:
    """Return the SHA-256 of the names and the content of ``files``, in any order.

    ``place`` only names the cache. A file that cannot be read counts as such.
    """
    started = time.time()
    states = [_state(path) for _, path in files]
    overall = _hash("\n".join(f"{name}\0{state}" for (name, _), state in zip(files, states, strict=True)))
    path = cache_folder("fingerprints") / f"{_hash(place)[:24]}.json"
    each = path.with_name(f"{path.stem}-files.json")
    known = read_kept(path)
    if known is not None and known["state"] == overall:
        return str(known["fingerprint"])
    hashes = _hashes(files, states, read_kept(each) or {})
    fingerprint = _hash("\n".join(sorted(f"{name}\0{hashes[path][1]}" for name, path in files)))
    if max((_changed(state) for state in states), default=0.0) < started - TRUSTED_AFTER_SECONDS:
        write_kept(each, hashes)
        write_kept(path, {"state": overall, "fingerprint": fingerprint})
    return fingerprint


def _hashes(files: Files, states: list[str], known: dict[str, list[str]]) -> dict[str, list[str]]:
    """Return state and SHA-256 of each path, read again only where the state is another."""

    def entry(path: str, state: str) -> tuple[str, list[str]]:
        kept = known.get(path)
        if kept and kept[0] == state:
            return path, kept
        return path, [state, UNREADABLE if state == UNREADABLE else _content_hash(path)]

    paths = [path for _, path in files]
    with ThreadPoolExecutor(min(8, 2 * (os.cpu_count() or 1))) as pool:
        return dict(pool.map(entry, paths, states))


def _state(path: str) -> str:
    try:
        about = os.stat(path)  # noqa: PTH116 (a Path for each of a million files costs seconds)
    except OSError:
        return UNREADABLE
    if not stat.S_ISREG(about.st_mode):
        return UNREADABLE
    return f"{about.st_size} {about.st_mtime_ns} {about.st_ctime_ns} {about.st_ino}"


def _changed(state: str) -> float:
    return 0.0 if state == UNREADABLE else max(map(int, state.split()[1:3])) / 1e9


def _content_hash(path: str) -> str:
    try:
        return file_hash(path)
    except OSError:
        return UNREADABLE


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()
