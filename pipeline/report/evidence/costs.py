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
FAR = 2.4  # by which single runs must differ to be told apart, since nothing tells their spread

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

    Several runs of each are asked by t tests of their logarithms: apart are those that differ, by a factor
    of CLOSE at least as they look (``pairs`` are those that the two were picked from: Bonferroni); the same
    are those whose ratio two one-sided tests put within CLOSE. Single runs are apart by a factor of FAR, and
    never the same, unless they are one measurement, as the latency of one network in two modes. Counts
    are as they are. How often it errs: docs/verdict.md.
    """
    if one == other and spread_known(one):
        return "same"
    if min(one.low, other.low) <= 0:
        return "open"
    log = abs(np.log(one.value / other.value))
    apart: Relation = "more" if one.value > other.value else "less"
    if not (spread_known(one) and spread_known(other)):
        return apart if log > np.log(FAR) else "open"
    df, error = _error(one, other)
    if log >= np.log(CLOSE):
        return apart if log > stdtrit(df, 1 - ALPHA / pairs / 2) * error else "open"
    return "same" if log + stdtrit(df, 1 - ALPHA) * error < np.log(CLOSE) else "open"


def _error(one: Interval, other: Interval) -> tuple[int, float]:
    """Return the degrees of freedom and the standard error of the difference of two mean logarithms."""
    runs = [np.log(found.per_run) for found in (one, other) if isinstance(found, Measured)]
    if len(runs) < 2:
        return 1, 0.0  # counts do not vary
    df = len(runs[0]) + len(runs[1]) - 2
    pooled = sum(float(np.sum((logs - logs.mean()) ** 2)) for logs in runs) / df
    return df, float(np.sqrt(pooled * (1 / len(runs[0]) + 1 / len(runs[1]))))


def ratio_of(one: Interval, other: Interval, pairs: int = 1) -> float | None:
    """Return how many times ``other`` ``one`` is; None where their spread is unknown or does not allow it.

    It does where the ends of the ratio's 95 % interval are no further apart than a factor of UNSTEADY.
    """
    known = spread_known(one) and spread_known(other)
    if not known or relation(one, other, pairs) not in ("more", "less"):
        return None
    df, error = _error(one, other)
    steady = 2 * stdtrit(df, 1 - ALPHA / 2) * error <= np.log(UNSTEADY)
    return one.value / other.value if steady else None


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
