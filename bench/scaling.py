"""Two Dask workers of one thread against one, on four independent runs."""

import time
from collections.abc import Iterator
from pathlib import Path

from bench.local_cluster import LocalCluster, local_cluster
from bench.measuring import Options, Result, Target, in_turn
from pipeline import execution
from pipeline.execution import Options as RunOptions
from pipeline.settings import Experiment

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
    """Measure one worker and two in turn; the workers wait for work when the clock starts."""
    epochs = 5 if options.quick else 40
    places = iter(options.folder / f"cluster-{number}" for number in range(100))
    contenders = {
        "one": lambda: _seconds(next(places), 1, epochs),
        "two": lambda: _seconds(next(places), 2, epochs),
    }
    rounds = in_turn(options.rounds, contenders)
    yield Result(
        "scaling_two_workers",
        f"seconds of {RUNS} runs on one Dask worker of one thread / seconds on two",
        "from planning the runs to their last record, the workers having started",
        Target("at least", 1.8),
        [r["one"] / r["two"] for r in rounds],
        details={"seconds": rounds, "epochs_of_each_run": epochs},
    )


def _seconds(folder: Path, workers: int, epochs: int) -> float:
    folder.mkdir()
    params = folder / "scaling.yaml"
    text = PARAMS.format(epochs=epochs, seeds=[*range(RUNS)], runs_dir=folder / "runs")
    params.write_text(text, encoding="utf-8")
    with local_cluster(folder) as cluster:
        for number in range(workers):
            cluster.start_worker(f"worker-{number}", Path.cwd())
        cluster.wait_for_workers(workers)
        return _run(cluster, Experiment.from_yaml(params))


def _run(cluster: LocalCluster, experiment: Experiment) -> float:
    started = time.perf_counter()
    records = execution.run(experiment, RunOptions(scheduler=cluster.url))
    seconds = time.perf_counter() - started
    failed = [execution.describe_failure(record, 0) for record in records if not record.complete]
    if failed:
        raise RuntimeError(failed[0])
    return seconds
