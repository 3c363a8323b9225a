"""How fast a network answers, in rounds: one image alone and many together, in turn.

# No result depends on this module: it is no part of a run's identity.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from pipeline.learn import memory
from pipeline.learn.device import Hardware

WARM_UPS = 3
ROUNDS = 10  # in which the measurements take turns: what else the machine does meets all alike
LEAST = 5  # repetitions
BUDGET_SECONDS = 0.5  # of each measurement


@dataclass(frozen=True)
class Measured:
    """Latency is of one image alone; throughput of ``throughput_batch_size`` images at once."""

    latency_seconds_p10: float
    latency_seconds: float  # median
    latency_seconds_p90: float
    throughput_images_per_second: float  # median
    throughput_batch_size: int
    peak_memory_bytes: int


def measure_answers(
    answer: Callable[[Tensor], Tensor], batch: Tensor, hardware: Hardware, image_bytes: int = 0
) -> Measured:
    """Time a network's answers to images float [B, 3, S, S], which are on the device already.

    ``image_bytes`` is what the data set takes in memory.

    Latency and throughput are two measurements: neither is computed from the other.
    """
    alone, together = in_turn([lambda: answer(batch[:1]), lambda: answer(batch)], hardware)
    p10, median, p90 = (float(one) for one in np.quantile(alone, (0.1, 0.5, 0.9)))
    return Measured(
        latency_seconds_p10=p10,
        latency_seconds=median,
        latency_seconds_p90=p90,
        throughput_images_per_second=len(batch) / float(np.median(together)),
        throughput_batch_size=len(batch),
        peak_memory_bytes=peak_memory(hardware, image_bytes),
    )


def in_turn(works: Sequence[Callable[[], object]], hardware: Hardware) -> list[list[float]]:
    """Return the seconds of each repetition of each work, done in rounds; the clock waits for the device.

    A round ends for a work when its share of the budget is spent. Works that take long have fewer rounds.
    """
    for work in works:
        for _ in range(WARM_UPS):
            work()
    found: list[list[float]] = [[] for _ in works]
    for _ in range(ROUNDS):
        for work, seconds in zip(works, found, strict=True):
            spent = len(seconds) >= LEAST and sum(seconds) >= BUDGET_SECONDS
            if not spent:
                seconds += _one_round(work, hardware)
    return found


def _one_round(work: Callable[[], object], hardware: Hardware) -> list[float]:
    found: list[float] = []
    while not found or sum(found) < BUDGET_SECONDS / ROUNDS:
        hardware.synchronize()
        started = time.perf_counter()
        work()
        hardware.synchronize()
        found.append(time.perf_counter() - started)
    return found


def peak_memory(hardware: Hardware, images: int) -> int:
    """Return the most bytes that images, network and training have taken so far.

    On a GPU they are the GPU's. Elsewhere they are this process's, above what it had when its hardware
    was chosen, and the bytes of its ``images``, which it maps from a file.
    """
    if hardware.device.type == "cuda":
        return torch.cuda.max_memory_allocated(hardware.device)
    return max(0, memory.most() - hardware.memory_before) + images
