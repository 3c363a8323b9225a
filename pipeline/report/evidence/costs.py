"""What each model costs, in several currencies (Dehghani et al. 2021, arXiv 2110.12894)."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from scipy.special import stdtrit

from pipeline.record import RunRecord, Timings
from pipeline.report.evidence.interval import Interval
from pipeline.report.evidence.tests import ALPHA

CLOSE = 1.1  # within a factor of this, costs count as about the same
UNSTEADY = 4.0  # a ratio whose ends are further apart than this factor is no figure
FAR = 2.0  # by which one run of each must differ to be told apart, since nothing tells their spread

Relation = Literal["more", "less", "same", "open"]


@dataclass(frozen=True)
class Measured(Interval):
    """The mean of a quantity over runs, from the lowest to the highest (of a latency, from p10 to p90)."""

    spread_known: bool  # whether it was measured in more than one run
    per_run: tuple[float, ...] = field(default=(), compare=False)


@dataclass(frozen=True)
class Cost:
    """Seconds, bytes, joules over seeds, and counts; a multiply-add is one MAC."""

    total_parameters: int
    trainable_parameters: int
    macs: int
    input_size: int  # pixels a side
    train_seconds: Interval
    latency_seconds: Interval  # median for one image, from the 10th to the 90th percentile
    runs: int
    throughput: Interval  # images per second
    throughput_batch_size: int
    peak_memory_bytes: Interval
    energy_joules: Interval | None
    energy_note: str

    @property
    def parameter_bytes(self) -> int:
        """Size of the weights in float32."""
        return 4 * self.total_parameters


def over_seeds(values: Sequence[float]) -> Measured:
    """Return the mean of one measured quantity between its lowest and its highest seed."""
    known = len(values) > 1
    return Measured(float(np.mean(values)), float(min(values)), float(max(values)), known, tuple(values))


def _latency(timings: Sequence[Timings]) -> Measured:
    """Return the mean of the medians; within one run, too, answers vary, from 10th to 90th percentile.

    That tells nothing of how busy or how warm the machine is when another run is measured.
    """
    medians = sorted(timing.latency_seconds for timing in timings)  # one order, one mean to the bit
    fast = [timing.latency_seconds_p10 for timing in timings if timing.latency_seconds_p10 is not None]
    slow = [timing.latency_seconds_p90 for timing in timings if timing.latency_seconds_p90 is not None]
    low, high = min([*medians, *fast]), max([*medians, *slow])
    return Measured(float(np.mean(medians)), float(low), float(high), len(medians) > 1, tuple(medians))


def relation(one: Interval, other: Interval, pairs: int = 1) -> Relation:
    """Return whether ``one`` costs more, less or as much as ``other``; "open" where the runs cannot tell.

    Apart are quantities whose ranges do not overlap and whose runs differ by a t test of their logarithms,
    or single runs a factor of FAR apart. The same are those all of whose values lie within a factor of
    CLOSE and that were measured more than once, and what is one measurement, as the latency of one
    network in two modes. ``pairs`` are those that the two were picked from (Bonferroni).
    """
    if one == other and spread_known(one):
        return "same"
    lowest, highest = min(one.low, other.low), max(one.high, other.high)
    if lowest <= 0:
        return "open"
    known = spread_known(one) and spread_known(other)
    if highest / lowest < CLOSE:
        return "same" if known else "open"
    ratio = one.value / other.value
    overlap = one.low <= other.high and other.low <= one.high
    if overlap or 1 / CLOSE < ratio < CLOSE or (not known and 1 / FAR < ratio < FAR):
        return "open"
    if not _differ(one, other, ALPHA / pairs):
        return "open"
    return "more" if ratio > 1 else "less"


def _differ(one: Interval, other: Interval, alpha: float) -> bool:
    """Whether two quantities measured in several runs each differ beyond the spread of their runs.

    Of two runs each, one in three pairs of equal quantities have ranges that do not overlap.
    """
    runs = [np.log(found.per_run) if isinstance(found, Measured) else np.array([]) for found in (one, other)]
    if min(map(len, runs)) < 2:
        return True
    df = len(runs[0]) + len(runs[1]) - 2
    pooled = sum(float(np.sum((logs - logs.mean()) ** 2)) for logs in runs) / df
    error = np.sqrt(pooled * (1 / len(runs[0]) + 1 / len(runs[1])))
    return bool(abs(runs[0].mean() - runs[1].mean()) > stdtrit(df, 1 - alpha / 2) * error)


def ratio_of(one: Interval, other: Interval, pairs: int = 1) -> float | None:
    """Return how many times ``other`` ``one`` is; None where their spread is unknown or does not allow it."""
    known = spread_known(one) and spread_known(other)
    if not known or relation(one, other, pairs) not in ("more", "less"):
        return None
    if (one.high / other.low) / (one.low / other.high) > UNSTEADY:
        return None
    return one.value / other.value


def spread_known(measured: Interval) -> bool:
    """Whether a cost was measured more than once, or counted."""
    return measured.spread_known if isinstance(measured, Measured) else True


def cost(
    records: Sequence[RunRecord], chosen: RunRecord, same_network: Sequence[RunRecord] = ()
) -> Cost | None:
    """Sum up what the runs of one model took; None when they did not record it.

    A network answers as fast whatever its weights: latency and throughput are over the runs of
    ``same_network`` as well, those of other models with the same network on the same machine.
    """
    timings = [record.details.timings for record in records if record.details.timings]
    model = chosen.details.model
    if not timings or model is None:
        return None
    answers = timings + [one.details.timings for one in same_network if one.details.timings]
    joules = [timing.energy_joules for timing in timings if timing.energy_joules is not None]
    return Cost(
        total_parameters=model.total_parameters,
        trainable_parameters=model.trainable_parameters,
        macs=model.macs,
        input_size=model.input_size,
        train_seconds=over_seeds([t.train_seconds for t in timings]),
        latency_seconds=_latency(answers),
        runs=len(timings),
        throughput=over_seeds([t.throughput_images_per_second for t in answers]),
        throughput_batch_size=timings[0].throughput_batch_size,
        peak_memory_bytes=over_seeds([t.peak_memory_bytes for t in timings]),
        energy_joules=over_seeds(joules) if len(joules) == len(timings) else None,
        energy_note=timings[0].energy_note,
    )


def pareto_front(costs: Sequence[float], scores: Sequence[float]) -> list[bool]:
    """Return which points no other beats: none costs less at the same score or scores more at that cost."""
    points = list(zip(costs, scores, strict=True))
    return [
        not any(c <= cost and s >= score and (c < cost or s > score) for c, s in points)
        for cost, score in points
    ]
