"""What each model costs, in several currencies (Dehghani et al. 2021, arXiv 2110.12894)."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from pipeline.record import RunRecord, Timings
from pipeline.report.evidence.interval import Interval

CLOSE = 1.1  # times measured within a factor of this count as about the same


@dataclass(frozen=True)
class Cost:
    """Seconds, bytes, joules (from the lowest to the highest seed) and counts; a multiply-add is one MAC."""

    total_parameters: int
    trainable_parameters: int
    macs: int
    input_size: int  # pixels a side
    train_seconds: Interval
    latency_seconds: Interval  # median for one image, from the lowest median to the highest p90
    throughput: Interval  # images per second
    throughput_batch_size: int
    peak_memory_bytes: Interval
    energy_joules: Interval | None
    energy_note: str

    @property
    def parameter_bytes(self) -> int:
        """Size of the weights in float32."""
        return 4 * self.total_parameters


def over_seeds(values: Sequence[float]) -> Interval:
    """Return the mean of one measured quantity between its lowest and its highest seed."""
    return Interval(float(np.mean(values)), float(min(values)), float(max(values)))


def ratio_of(one: Interval, other: Interval) -> float | None:
    """Return how many times ``other`` ``one`` is; None where that is noise: close, or seeds overlap."""
    if min(one.low, other.low) <= 0 or (one.low <= other.high and other.low <= one.high):
        return None
    times = one.value / other.value
    return None if 1 / CLOSE < times < CLOSE else times


def cost(records: Sequence[RunRecord], chosen: RunRecord) -> Cost | None:
    """Sum up what the runs of one model took; None when they did not record it."""
    timings = [record.details.timings for record in records if record.details.timings]
    model = chosen.details.model
    if not timings or model is None:
        return None
    joules = [timing.energy_joules for timing in timings if timing.energy_joules is not None]
    return Cost(
        total_parameters=model.total_parameters,
        trainable_parameters=model.trainable_parameters,
        macs=model.macs,
        input_size=model.input_size,
        train_seconds=over_seeds([t.train_seconds for t in timings]),
        latency_seconds=_latency(timings),
        throughput=over_seeds([t.throughput_images_per_second for t in timings]),
        throughput_batch_size=timings[0].throughput_batch_size,
        peak_memory_bytes=over_seeds([t.peak_memory_bytes for t in timings]),
        energy_joules=over_seeds(joules) if len(joules) == len(timings) else None,
        energy_note=timings[0].energy_note,
    )


def _latency(timings: Sequence[Timings]) -> Interval:
    median = over_seeds([timing.latency_seconds for timing in timings])
    slowest = [timing.latency_seconds_p90 for timing in timings if timing.latency_seconds_p90]
    return replace(median, high=max([median.high, *slowest]))


def about_equal(one: Interval, other: Interval) -> bool:
    """Whether two measured quantities lie within a factor of 1.1, whatever their spread."""
    return other.value > 0 and 1 / CLOSE < one.value / other.value < CLOSE


def pareto_front(costs: Sequence[float], scores: Sequence[float]) -> list[bool]:
    """Return which points no other beats: none costs less at the same score or scores more at that cost."""
    points = list(zip(costs, scores, strict=True))
    return [
        not any(c <= cost and s >= score and (c < cost or s > score) for c, s in points)
        for cost, score in points
    ]
