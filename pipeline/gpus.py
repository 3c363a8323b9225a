"""The GPUs of this machine: whether there may be one, and which job gets which."""

import ctypes
import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path

VARIABLES = ("HIP_VISIBLE_DEVICES", "CUDA_VISIBLE_DEVICES")  # AMD reads both, the first of them first


@cache
def may_be_there() -> bool:
    """Whether a driver for GPUs is installed: asked without PyTorch, which takes seconds to import."""
    if sys.platform != "linux":
        return True  # nobody knows
    if Path("/dev/kfd").exists():  # AMD's
        return True
    with suppress(OSError):
        ctypes.CDLL("libcuda.so.1")  # NVIDIA's
        return True
    return False


def visible() -> list[str]:
    """Return the GPUs that the user made visible, by the same names."""
    if not may_be_there():
        return []
    import torch

    chosen = next((os.environ[name] for name in _deciding(torch.version.hip) if os.environ.get(name)), "")
    names = [name.strip() for name in chosen.split(",") if name.strip()]
    return [names[n] if names else str(n) for n in range(torch.cuda.device_count())]


def _deciding(hip: str | None) -> tuple[str, ...]:
    """Return the variables that name visible GPUs, the first that is set decides; ``hip``: AMD's, or None."""
    return VARIABLES if hip else VARIABLES[1:]


def alone(name: str) -> dict[str, str]:
    """Return the variables that make one of the visible GPUs the only one, on whichever maker's."""
    return dict.fromkeys(VARIABLES, name)


class Shared:
    """GPUs that jobs share: each job that begins gets the one with the fewest jobs, the first of those.

    So no GPU has two jobs while another has none.
    """

    def __init__(self, names: list[str]):
        self.jobs = dict.fromkeys(names, 0)
        self._lock = threading.Lock()

    @contextmanager
    def one(self) -> Iterator[str | None]:
        """Yield the name of a GPU for one job, or None where there is none."""
        if not self.jobs:
            yield None
            return
        with self._lock:
            name = min(self.jobs, key=lambda name: self.jobs[name])
            self.jobs[name] += 1
        try:
            yield name
        finally:
            with self._lock:
                self.jobs[name] -= 1
