"""A job in a process of its own, followed while it works.

Papermill is not thread-safe and a kernel may take its process with it, so every notebook gets a
fresh process. Whoever calls ``run_in_process``, a thread here or a Dask worker elsewhere, waits for
it and passes its progress on.
"""

import json
import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Collection, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from pipeline import gpus
from pipeline.errors import one_line
from pipeline.forker import ForkedProcess, start
from pipeline.job import REFUSED, Job
from pipeline.record import RUN_FOLDER_VARIABLE
from pipeline.surroundings import own_environment

Event = dict[str, Any]
Emit = Callable[[Event], None]
POLL_SECONDS = 0.1
Process = subprocess.Popen[bytes] | ForkedProcess
_running: dict[Process, str] = {}  # which run each process makes


def run_in_process(job: Job, emit: Emit) -> str:
    """Make one run in a process of its own and return what that process said if it died, or "".

    ``emit`` is called with each progress event of the run, live.
    """
    if job.is_taken():
        emit({"run_id": job.run_id, "stage": "waiting"})
    else:
        (job.partial / "progress.jsonl").unlink(missing_ok=True)
    with tempfile.TemporaryFile() as log:
        process = start(
            "pipeline.job:main", asdict(job), output=log, environment=_environment(job), folder=job.folder
        )
        _running[process] = job.run_id
        try:
            _follow(process, job, emit)
        finally:
            _stop(process)
            del _running[process]
        log.seek(0)
        return _last_words(process.wait(), log.read().decode("utf-8", errors="replace"))


def _environment(job: Job) -> dict[str, str]:
    threads = str(job.threads)
    own = {
        RUN_FOLDER_VARIABLE: str(job.partial),
        "HEADSTART_THREADS": threads,
        "OMP_NUM_THREADS": threads,
        "MKL_NUM_THREADS": threads,
        "PYTHONUNBUFFERED": "1",
    }
    if os.environ.get("OMP_NUM_THREADS"):
        own["HEADSTART_THREADS_FIXED"] = "1"
    if job.gpu is not None:
        own |= gpus.alone(job.gpu)
    return {**own_environment(), **own}


def _follow(process: Process, job: Job, emit: Emit) -> None:
    events = _new_events(job.partial / "progress.jsonl")
    while process.poll() is None:
        for event in next(events):
            emit({"run_id": job.run_id, **event})
        time.sleep(POLL_SECONDS)


def _new_events(path: Path) -> Iterator[list[Event]]:
    """Yield, again and again, the events that were appended since the last time."""
    position, rest = 0, b""
    while True:
        try:
            with path.open("rb") as file:
                file.seek(position)
                rest += file.read()
                position = file.tell()
        except FileNotFoundError:
            position, rest = 0, b""
        *lines, rest = rest.split(b"\n")
        yield [event for line in lines if isinstance(event := _parsed(line), dict)]


def _parsed(line: bytes) -> object:
    try:
        return json.loads(line)
    except ValueError:
        return None


def _stop(process: Process) -> None:
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def stop_all() -> None:
    """End every run of this process: the threads that follow them then return."""
    stop(tuple(_running.values()))


def stop(run_ids: Collection[str]) -> None:
    """End those of this process's runs that are named."""
    for process, run_id in tuple(_running.items()):
        if run_id in run_ids:
            process.terminate()


def _last_words(code: int, log: str) -> str:
    if code == 0:
        return ""
    if code < 0:
        name = signal.Signals(-code).name
        memory = ", as it is when memory runs out. Try a smaller batch_size or image_size"
        return f"its process was ended by {name}{memory if name == 'SIGKILL' else ''}"
    lines = log.strip().splitlines()
    if code == REFUSED and lines:
        return lines[-1]
    return f"its process ended with code {code}: {one_line(lines[-1]) if lines else 'no output'}"
