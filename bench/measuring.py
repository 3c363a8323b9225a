"""What a comparison is: contenders measured in turn, and the ratios that come of it."""

import statistics
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing import get_context
from pathlib import Path
from typing import Any, Literal, ParamSpec, TypeVar

import torch

Values = TypeVar("Values")
Arguments = ParamSpec("Arguments")
Answer = TypeVar("Answer")


@dataclass(frozen=True)
class Options:
    """How much to measure, and an empty folder to do it in."""

    quick: bool
    rounds: int
    folder: Path


@dataclass(frozen=True)
class Target:
    """What a figure should reach."""

    kind: Literal["at least", "at most"]
    value: float

    def is_reached_by(self, value: float) -> bool:
        return value >= self.value if self.kind == "at least" else value <= self.value


@dataclass(frozen=True)
class Result:
    """One key of ``results.json``: ``values`` has one figure of each round."""

    key: str
    meaning: str  # what is divided by what, or counted
    timed: str  # what the timed regions hold
    target: Target
    values: Sequence[float]
    unit: str = "×"
    details: Mapping[str, Any] = field(default_factory=dict)

    @property
    def median(self) -> float:
        return statistics.median(self.values)


class SkippedError(Exception):
    """A comparison cannot be made here; the message says, in one line, what is missing."""


def in_turn(rounds: int, contenders: Mapping[str, Callable[[], Values]]) -> Iterator[dict[str, Values]]:
    """Measure each contender once in every round: A B A B, so that a busy machine is unfair to none."""
    for number in range(rounds):
        yield {
            name: say(f"round {number + 1}/{rounds}, {name}", measure) for name, measure in contenders.items()
        }


def say(what: str, measure: Callable[[], Values]) -> Values:
    """Measure, and tell on stderr what and how long."""
    started = time.perf_counter()
    value = measure()
    shown = f": {value:,.4g}" if isinstance(value, float) else ""
    print(f"  {what}{shown} ({time.perf_counter() - started:.1f} s)", file=sys.stderr, flush=True)
    return value


@contextmanager
def apart(function: Callable[Arguments, Answer]) -> Iterator[Callable[Arguments, Answer]]:
    """Call a function in a process of its own, the same one each time.

    What one contender imports or sets then cannot help or hinder another.
    """
    with ProcessPoolExecutor(max_workers=1, mp_context=get_context("spawn")) as pool:

        def call(*arguments: Arguments.args, **named: Arguments.kwargs) -> Answer:
            return pool.submit(function, *arguments, **named).result()

        yield call


def synchronize() -> None:
    """Wait for the GPU, if there is one: before every reading of a clock."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()


class Stopwatch:
    """Times the steps ``first`` ... ``last`` of a training loop, after those that warm it up."""

    def __init__(self, first: int, last: int) -> None:
        self.first, self.last = first, last
        self.steps = 0
        self._started = 0.0
        self.seconds = 0.0

    def step(self) -> bool:
        """Count one finished step; return whether that was the last one."""
        self.steps += 1
        if self.steps == self.first - 1:
            synchronize()
            self._started = time.perf_counter()
        if self.steps == self.last:
            synchronize()
            self.seconds = time.perf_counter() - self._started
        return self.steps >= self.last

    def rate(self, batch_size: int) -> float:
        """Return images per second over the timed steps."""
        return (self.last - self.first + 1) * batch_size / self.seconds
