"""Files as the whole project treats them: replaced whole, hashed, kept where they can be made again."""

import errno
import hashlib
import json
import logging
import os
import shutil
import stat
import time
import unicodedata
import uuid
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from pipeline.errors import one_line

if TYPE_CHECKING:
    from filelock import BaseFileLock

log = logging.getLogger(__name__)

Files = Sequence[tuple[str, str]]  # the name that counts, and the path
CACHE = Path("cache")
READ_AT_ONCE = 1 << 20
TRUSTED_AFTER_SECONDS = 2
UNREADABLE = "unreadable"
# What network disks, and those of programs (FUSE), answer where they cannot lock a file or sync a folder.
UNABLE = (errno.ENOLCK, errno.ENOTSUP, errno.ENOSYS, errno.EINVAL)
# What readers of JSON and of arrays raise for bytes that were changed.
DAMAGE: tuple[type[Exception], ...] = (
    OSError,
    ValueError,
    KeyError,
    TypeError,
    AttributeError,
    RecursionError,
)


def cache_folder(kind: str) -> Path:
    """Return where one kind of thing is kept that can be made again at any time."""
    return CACHE / kind


def digest(content: object) -> str:
    """Return the SHA-256 of anything that JSON can hold."""
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def file_hash(path: str | os.PathLike[str], algorithm: str = "sha256") -> str:
    """Return the hash of a file's content, by any algorithm of ``hashlib``."""
    with open(path, "rb", buffering=0) as file:  # noqa: PTH123 (a Path for each of a million files costs seconds)
        if os.fstat(file.fileno()).st_size <= READ_AT_ONCE:  # file_digest takes a large buffer for each
            return hashlib.new(algorithm, file.read(), usedforsecurity=False).hexdigest()
        return hashlib.file_digest(file, lambda: hashlib.new(algorithm, usedforsecurity=False)).hexdigest()


def free_disk(folder: Path) -> int:
    """Return how many bytes are free where a folder lies, or will lie once it is made."""
    existing = next(place for place in (folder.absolute(), *folder.absolute().parents) if place.exists())
    return shutil.disk_usage(existing).free


def _is_there(path: Path) -> bool:
    return os.path.exists(path)  # noqa: PTH110 (Path.exists raises for a name that is too long)


def as_on_disk(path: Path) -> Path:
    """Return a path as the disk spells it: an accent may be a part of its letter, or stand by itself."""
    if _is_there(path) or path.parent == path:
        return path
    folder, wanted = as_on_disk(path.parent), unicodedata.normalize("NFC", path.name)
    with suppress(OSError):
        for name in os.listdir(folder):  # noqa: PTH208 (a name that cannot be decoded is no obstacle)
            if unicodedata.normalize("NFC", name) == wanted:
                return folder / name
    return path


def expanded(text: str) -> str:
    """Return a path with ``~``, ``$VARIABLE`` and the spelling of the disk put in, where they can be."""
    whole = os.path.expanduser(os.path.expandvars(text))  # noqa: PTH111 (of text, not of a path)
    found = as_on_disk(Path(whole))
    return whole if _is_there(Path(whole)) or not _is_there(found) else str(found)


def new_beside(path: Path) -> Path:
    """Return a hidden name beside a path that nothing has; what is made there has the usual rights."""
    return path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}")


def give_usual_rights(path: Path) -> None:
    """Give a file that a library made for its owner alone the rights that any other gets here."""
    other = new_beside(path)
    other.touch(exist_ok=False)  # asking for the umask itself would change it for other threads
    with suppress(PermissionError):  # a disk without rights of its own, as exFAT, lets nobody change them
        path.chmod(other.stat().st_mode & 0o777)
    other.unlink()


def sync(descriptor: int) -> None:
    """Have the disk keep a file's content, or a folder's names, through a power loss, where it can."""
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in UNABLE:
            raise


def lock(path: str | os.PathLike[str]) -> "BaseFileLock":
    """Return a lock by a file, not taken yet: the system frees it when the process that holds it dies.

    Where the disk has no locks, as NFS without its lock service, it is a file that names its process.
    """
    from filelock import FileLock, SoftFileLock  # a Python without packages can still ask for hashes

    return FileLock(path) if _has_locks(Path(path).parent.absolute()) else SoftFileLock(path)


@cache
def _has_locks(folder: Path) -> bool:
    try:
        import fcntl
    except ImportError:  # Windows, where every disk has them
        return True
    path = new_beside(folder / "lock")
    try:
        with path.open("x") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno not in UNABLE:
            raise
        return False
    finally:
        path.unlink(missing_ok=True)
    return True


@contextmanager
def replacing(path: Path, mode: str = "w") -> Iterator[IO[Any]]:
    """Open a temporary file that takes the place of ``path`` when the block ends without error."""
    encoding, newline = (None, None) if "b" in mode else ("utf-8", "\n")
    partial = new_beside(path)
    try:
        with partial.open(mode.replace("w", "x"), encoding=encoding, newline=newline) as file:
            yield file
            file.flush()
            sync(file.fileno())
        partial.replace(path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise


def write_json(path: Path, content: object) -> None:
    """Write JSON so that a reader finds the old file or the whole new one, never half."""
    with replacing(path) as file:
        json.dump(content, file, indent=1, sort_keys=False, ensure_ascii=False, allow_nan=False)
        file.write("\n")


def write_kept(path: Path, content: object) -> None:
    """Write content with its checksum, where that is possible: without it, the next time takes as long."""
    with suppress(OSError, ValueError):
        path.parent.mkdir(parents=True, exist_ok=True)
        write_json(path, {"sha256": digest(content), "content": content})


def read_kept(path: Path) -> Any:
    """Return what ``write_kept`` wrote; None when there is none, or when it is damaged, which is said."""
    with made_again(path):
        whole = json.loads(path.read_text(encoding="utf-8"))
        content = whole["content"]
        if digest(content) != whole["sha256"]:
            raise ValueError("its checksum is wrong")
        return content
    return None


def kept(path: Path, make: Callable[[], Any]) -> Any:
    """Return what is kept at ``path``, or what ``make`` returns, kept for the next time."""
    content = read_kept(path)
    if content is None:
        content = make()
        write_kept(path, content)
    return content


@contextmanager
def made_again(path: Path, *errors: type[Exception]) -> Iterator[None]:
    """Leave the block, with one warning, when what it reads from the cache is damaged; without, when missing.

    ``errors`` are what the reader in the block raises beyond the usual.
    """
    try:
        yield
    except FileNotFoundError:
        if path.exists():  # a file within a folder
            log.warning("%s: damaged (not whole); it is made again.", path)
    except DAMAGE + errors as error:
        log.warning("%s: damaged (%s); it is made again.", path, one_line(error, 80))


def files_fingerprint(place: str, files: Files) -> str:
    """Return the SHA-256 of the names and the content of ``files``, in any order, hashing each only once.

    While its size, times and inode stay, a file is only looked at. One that changed within the last seconds
    is never trusted, because the next change might not move its clock. ``place`` only names the cache. A
    file that cannot be read counts as such.
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
