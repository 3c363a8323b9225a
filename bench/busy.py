"""Training beside a busy process: ours against the tutorial's, and the best fixed number of threads."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

from joblib import cpu_count

from bench import images, ours, tutorial, workload
from bench.measuring import Options, Result, Target, apart, in_turn
from bench.throughput import TIMED, WARM_UP

KEYS = ("throughput_busy_vs_tutorial", "share_of_best_threads_busy")
BUSY = "while True: pass"


def compare(options: Options) -> Iterator[Result]:
    """Measure all in turn, each beside a process that never rests."""
    folder = images.for_options(options)
    last = WARM_UP + (8 if options.quick else 40)
    settings = workload.settings(
        data_dir=str(folder), max_train_images=2_560 if options.quick else 10_240, epochs=2
    )
    places = iter(options.folder / f"run-{number}" for number in range(100))
    counts = sorted({1, max(1, cpu_count() - 1), cpu_count()})
    with ExitStack() as stack:
        plain = stack.enter_context(apart(tutorial.images_per_second))
        contenders: dict[str, Callable[[], float]] = {"tutorial": lambda: plain(folder, WARM_UP + 1, last)}
        for threads in (None, *counts):
            own = stack.enter_context(apart(ours.images_per_second))
            fixed = settings.model_copy(update={"threads": threads}).model_dump_json()
            own(fixed, next(places))  # decodes the images, and makes the kernels
            contenders[_name(threads)] = lambda own=own, fixed=fixed: own(fixed, next(places))  # type: ignore[misc]
        stack.enter_context(_busy())
        rounds = list(in_turn(options.rounds, contenders))
    details = {"images_per_second": rounds, "beside": "one process that never rests"}
    yield Result(
        "throughput_busy_vs_tutorial",
        "images/s of ours / images/s of tutorial-style PyTorch, both beside one busy process",
        TIMED,
        Target("at least", 3),
        [r["ours"] / r["tutorial"] for r in rounds],
        details=details,
    )
    yield Result(
        "share_of_best_threads_busy",
        "images/s of ours / images/s of ours at the best fixed number of threads, beside one busy process",
        TIMED,
        Target("at least", 0.85),
        [r["ours"] / max(r[_name(threads)] for threads in counts) for r in rounds],
        details=details,
    )


def _name(threads: int | None) -> str:
    return "ours" if threads is None else f"ours, {threads} threads"


@contextmanager
def _busy() -> Iterator[None]:
    with subprocess.Popen([sys.executable, "-c", BUSY]) as process:
        try:
            yield
        finally:
            process.kill()
