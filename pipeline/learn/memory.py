"""How much memory a process has taken for itself: what it shares with files on disk does not count.

A kernel that was forked has its libraries in memory already, another one loads them as it goes; data
of a process's own (anonymous memory) grow alike in both.
"""

import ctypes
import sys
from contextlib import suppress
from pathlib import Path

import psutil

with suppress(ImportError):  # Windows has none
    import resource

STATUS = Path("/proc/self/status")


def in_use() -> int:
    """Return the bytes in use now; where the system does not tell, the most ever in use."""
    status = _status()
    return status["RssAnon"] if status else _most_resident()


def most() -> int:
    """Return the most bytes that were in use so far."""
    status = _status()
    if not status:
        return _most_resident()
    return max(status["RssAnon"], status["VmHWM"] - status["RssFile"] - status["RssShmem"])


def _status() -> dict[str, int]:
    """Return what Linux says of this process, in bytes; nothing elsewhere."""
    try:
        pairs = [line.split() for line in STATUS.read_text(encoding="ascii").splitlines()]
    except OSError:
        return {}
    found = {pair[0].rstrip(":"): int(pair[1]) * 1024 for pair in pairs if pair[-1] == "kB"}
    return found if {"RssAnon", "VmHWM", "RssFile", "RssShmem"} <= found.keys() else {}


def _most_resident() -> int:
    if "resource" not in globals():
        return int(psutil.Process().memory_info().peak_wset)
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


M_TRIM_THRESHOLD, M_MMAP_MAX = -1, -4  # as glibc's malloc.h names them


def keep_freed() -> None:
    """Have glibc keep what this process frees for its next use, in place of giving it back to the system.

    A step of training takes again what the last one freed, and every page that comes back fresh costs
    time: measured on two cores, keeping them made custom_cnn at 32 pixels 8 % faster and resnet18 at 224
    pixels 14 %, for 2 to 15 % more memory at the most. Does nothing without glibc.
    """
    if sys.platform != "linux":
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(M_TRIM_THRESHOLD, -1)
        mallopt(M_MMAP_MAX, 0)
