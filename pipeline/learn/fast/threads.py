"""As many threads as there are cores free: on a busy machine, threads that wait for each other lose.

OpenMP's threads wait for one another several times in each step. When another process has taken the core
of one, all wait until it is given back: two threads beside one busy process were 10 to 17 times slower than
one. So every half second the cores that other processes kept busy are counted, and the threads follow.
Results depend on the number of threads in their rounding; where it is fixed, nothing is followed.
"""

import math
import os
import time
from collections import Counter

import psutil
import torch

SECONDS_BETWEEN_LOOKS = 0.5
TAKEN = 0.4  # of a core, by others: from here on it is not counted as free
WAITING = ("idle", "iowait", "guest", "guest_nice")  # Linux counts guests in user time, too


class Threads:
    """The threads that PyTorch computes with in this process, at most ``most``."""

    def __init__(self, most: int, follows: bool):
        self.most, self.follows = most, follows and most > 1
        self.now, self._steps = most, Counter[int]()
        torch.set_num_threads(most)
        try:
            self._seen = self._look()
        except OSError:  # some containers, and Android, show nobody how busy their cores are
            self.follows = False

    def step(self) -> None:
        """Note a step, and before it look for free cores when some time has passed since the last look."""
        if self.follows and time.perf_counter() - self._seen[0] >= SECONDS_BETWEEN_LOOKS:
            self._follow()
        self._steps[self.now] += 1

    def used(self) -> int:
        """Return how many threads most of the steps had since this was asked last."""
        found = self._steps.most_common(1)
        self._steps.clear()
        return found[0][0] if found else self.now

    def _follow(self) -> None:
        before, self._seen = self._seen, self._look()
        seconds, busy, own = (new - old for new, old in zip(self._seen, before, strict=True))
        others = max(0.0, busy - own) / seconds
        self.set(fitting(self.most, len(_cores()), others))

    def set(self, threads: int) -> None:
        """Compute with so many threads from now on."""
        if threads != self.now:
            self.now = threads
            torch.set_num_threads(threads)

    def _look(self) -> tuple[float, float, float]:
        """Return the time, and the seconds that these cores and that this process have worked so far."""
        cores = psutil.cpu_times(percpu=True)
        busy = sum(_worked(cores[core]) for core in _cores() if core < len(cores))
        own = os.times()
        return time.perf_counter(), busy, own.user + own.system


def fitting(most: int, cores: int, others: float) -> int:
    """Return how many threads fit beside others that keep so many of the cores busy."""
    return max(1, min(most, cores - math.floor(others + 1 - TAKEN)))


def _cores() -> list[int]:
    """Return the cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return sorted(os.sched_getaffinity(0))
    return list(range(os.cpu_count() or 1))


def _worked(times: object) -> float:
    fields: dict[str, float] = times._asdict()  # type: ignore[attr-defined]
    return sum(seconds for name, seconds in fields.items() if name not in WAITING)
