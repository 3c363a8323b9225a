"""Two Dask workers of one thread against one, on four independent runs."""

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from itertools import count
from pathlib import Path

from bench.local_cluster import LocalCluster, local_cluster
from bench.measuring import Options, Result, Target, in_turn
from pipeline.experiment import Experiment
from pipeline.run import Options as RunOptions
from pipeline.run import describe_failure, run

KEYS = ("scaling_two_workers",)
RUNS = 4
PARAMS = """
dataset: digits
epochs: {epochs}
batch_size: 64
seeds: {seeds}
runs_dir: {runs_dir}
models:
  - {{model: custom_cnn, widths: [16, 32], depth: 1, optimizer: sgd, learning_rate: 0.1}}
"""


def compare(options: Options) -> Iterator[Result]:
    """Measure one worker and two in turn; all have made runs before and wait for more."""
    epochs = 15 if options.quick else 100
    numbers = count()
    with ExitStack() as stack:
        contenders = {}
        for name, workers in (("one", 1), ("two", 2)):
            cluster = stack.enter_context(_cluster(options.folder / name, workers))
            _seconds(cluster, numbers, workers, epochs=1)  # a worker's first run waits for its imports
            contenders[name] = partial(_seconds, cluster, numbers, RUNS, epochs)
        rounds = list(in_turn(options.rounds, contenders))
    yield Result(
        "scaling_two_workers",
        f"seconds of {RUNS} runs on one Dask worker of one thread / seconds on two",
        "from planning the runs to their last record, on workers that have made runs before",
        Target("at least", 1.8),
        [r["one"] / r["two"] for r in rounds],
        details={"seconds": rounds, "epochs_of_each_run": epochs},
    )


@contextmanager
def _cluster(folder: Path, workers: int) -> Iterator[LocalCluster]:
    folder.mkdir()
    with local_cluster(folder) as cluster:
        for number in range(workers):
            cluster.start_worker(f"worker-{number}", Path.cwd())
        cluster.wait_for_workers(workers)
        yield cluster


def _seconds(cluster: LocalCluster, numbers: Iterator[int], runs: int, epochs: int) -> float:
    number = next(numbers)
    folder, params = cluster.folder / f"runs-{number}", cluster.folder / f"scaling-{number}.yaml"
    text = PARAMS.format(epochs=epochs, seeds=[*range(runs)], runs_dir=folder)
    params.write_text(text, encoding="utf-8")
    experiment = Experiment.from_yaml(params)
    started = time.perf_counter()
    records = run(experiment, RunOptions(scheduler=cluster.url))
    seconds = time.perf_counter() - started
    failed = [describe_failure(record, 0) for record in records if not record.complete]
    if failed:
        raise RuntimeError(failed[0])
    return seconds
