"""What Headstart adds to training: the notebook around a run, and a report with nothing to do."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from bench.measuring import Options, Result, Target, say
from pipeline.record import RunRecord

KEYS = ("run_overhead_seconds", "noop_report_seconds")
ROOT = Path(__file__).parent.parent
PARAMS = """
dataset: digits
epochs: 3
batch_size: 64
seeds: {seeds}
models:
  - {{model: custom_cnn, widths: [16, 32], depth: 1, optimizer: sgd, learning_rate: 0.1}}
"""


def compare(options: Options) -> Iterator[Result]:
    """Make an experiment with a seed for each round, then call its report again and again."""
    params = options.folder / "overhead.yaml"
    params.write_text(PARAMS.format(seeds=list(range(options.rounds))), encoding="utf-8")
    say("runs", lambda: headstart("run", params))
    records = [RunRecord.read(path.parent) for path in sorted(params.parent.glob("runs/*/record.json"))]
    yield Result(
        "run_overhead_seconds",
        "Papermill's wall time of a run − its seconds of training and evaluation",
        "kernel start, imports, loading, drawing, measuring latency, saving; custom_cnn on digits, "
        "the seeds of one experiment one after the other",
        Target("at most", 6),
        [_overhead(record) for record in records],
        unit="s",
        details={"papermill_seconds": [r.details.timings.papermill_seconds for r in records]},
    )
    say("first report", lambda: headstart("report", params))
    seconds = [say("report again", lambda: headstart("report", params)) for _ in range(options.rounds)]
    yield Result(
        "noop_report_seconds",
        "seconds of `headstart report` when every run is whole, HTML and PDF",
        "the whole command, from the start of Python to its end",
        Target("at most", 4),
        seconds,
        unit="s",
    )


def _overhead(record: RunRecord) -> float:
    timings = record.details.timings
    assert timings is not None
    assert timings.papermill_seconds is not None
    return timings.papermill_seconds - timings.train_seconds - timings.evaluate_seconds


def headstart(command: str, params: Path, *options: str, through: Sequence[str] = ()) -> float:
    """Call Headstart in the folder of a params file, ``through`` a command; return how long it took."""
    started = time.perf_counter()
    subprocess.run(
        [*through, sys.executable, "-m", "pipeline", command, params.name, *options],
        cwd=params.parent,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        check=True,
        capture_output=True,
    )
    return time.perf_counter() - started
