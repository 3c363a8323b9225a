"""A Dask cluster of real processes on this machine: a scheduler and workers of one thread."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

START_SECONDS = 60.0
QUIET = {"DASK_LOGGING__DISTRIBUTED": "error", "OMP_NUM_THREADS": "1"}

Process = subprocess.Popen[bytes]


@dataclass
class LocalCluster:
    """A scheduler that runs, and the workers that were started for it; all log into ``folder``."""

    url: str
    folder: Path
    workers: list[Process] = field(default_factory=list)

    def start_worker(
        self, name: str, cwd: Path, options: Sequence[str] = (), before: Sequence[str] = ()
    ) -> Process:
        """Start a worker in ``cwd``; ``before`` is a command that starts the command it is given."""
        local = self.folder / name
        local.mkdir(exist_ok=True)
        command = [*before, sys.executable, "-m", "distributed.cli.dask_worker", self.url]
        command += ["--name", name, "--nthreads", "1", "--no-nanny", "--no-dashboard"]
        command += ["--local-directory", str(local), *options]
        process = _start(command, cwd, self.folder / f"{name}.log")
        self.workers.append(process)
        return process

    def wait_for_workers(self, count: int) -> None:
        """Wait until so many workers have joined."""
        from distributed import Client

        with Client(self.url, set_as_default=False) as client:
            client.wait_for_workers(count, timeout=START_SECONDS)

    def end_workers(self) -> None:
        """End all workers, and the runs that they make."""
        for process in self.workers:
            _end(process)
        self.workers.clear()


@contextmanager
def local_cluster(folder: Path) -> Iterator[LocalCluster]:
    """Start a scheduler on a free port of this machine; end it and its workers afterwards."""
    told = folder / "scheduler.json"
    command = [sys.executable, "-m", "distributed.cli.dask_scheduler", "--host", "127.0.0.1", "--port", "0"]
    command += ["--no-dashboard", "--scheduler-file", str(told)]
    scheduler = _start(command, folder, folder / "scheduler.log")
    try:
        cluster = LocalCluster(_address(told, scheduler), folder)
        try:
            yield cluster
        finally:
            cluster.end_workers()
    finally:
        _end(scheduler)


def _start(command: list[str], cwd: Path, log: Path) -> Process:
    with log.open("wb") as output:
        return subprocess.Popen(
            command, cwd=cwd, stdout=output, stderr=subprocess.STDOUT, env={**os.environ, **QUIET}
        )


def _address(told: Path, scheduler: Process) -> str:
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end and scheduler.poll() is None:
        try:
            return str(json.loads(told.read_text(encoding="utf-8"))["address"])
        except (FileNotFoundError, ValueError):
            time.sleep(0.05)
    raise RuntimeError(f"the scheduler did not start; its log: {told.with_suffix('.log')}")


def _end(process: Process) -> None:
    process.terminate()
    try:
        process.wait(timeout=10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
