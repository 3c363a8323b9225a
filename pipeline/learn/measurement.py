"""How long an answer takes, alone and in batches, and how much memory the run took."""

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from pipeline.learn import memory
from pipeline.learn.hardware import Hardware

WARM_UPS = 3
LEAST, MOST = 5, 100  # repetitions of a measurement
BUDGET_SECONDS = 1.0  # of one measurement


@dataclass(frozen=True)
class Measured:
    """Latency is of one image alone; throughput of ``throughput_batch_size`` images at once."""

    latency_seconds: float  # median
    latency_seconds_p90: float
    throughput_images_per_second: float  # median
    throughput_batch_size: int
    peak_memory_bytes: int


def measure(
    answer: Callable[[Tensor], Tensor], batch: Tensor, hardware: Hardware, image_bytes: int = 0
) -> Measured:
    """Time a network's answers to images float [B, 3, S, S], which are on the device already.

    ``image_bytes`` is what the data set takes in memory.

    Latency and throughput are two measurements: neither is computed from the other.
    """
    alone = seconds(lambda: answer(batch[:1]), hardware)
    together = seconds(lambda: answer(batch), hardware)
    return Measured(
        latency_seconds=float(np.median(alone)),
        latency_seconds_p90=float(np.quantile(alone, 0.9)),
        throughput_images_per_second=len(batch) / float(np.median(together)),
        throughput_batch_size=len(batch),
        peak_memory_bytes=peak_memory(hardware, image_bytes),
    )


def seconds(work: Callable[[], object], hardware: Hardware) -> list[float]:
    """Return the seconds of each repetition of ``work``, after warm-ups; the clock waits for the device."""
    for _ in range(WARM_UPS):
        work()
    found: list[float] = []
    while len(found) < LEAST or (len(found) < MOST and sum(found) < BUDGET_SECONDS):
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
