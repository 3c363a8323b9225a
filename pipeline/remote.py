"""What a Dask worker does with a job: see that the run would be the same here, then make it.

Everything in this module runs on the worker's machine; ``pipeline.cluster`` is the other end.
"""

import atexit
import importlib.metadata
import io
import json
import os
import platform
import subprocess
import sys
import tarfile
import threading
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

from pipeline import warm
from pipeline.errors import HeadstartError, one_line
from pipeline.experiment import RunSettings
from pipeline.identity import source_hash
from pipeline.jobs import Event, Job, run_in_process, stop

COMPARED_PACKAGES = ("torch", "torchvision", "numpy", "papermill", "timm", "distributed")
_stopped: set[str] = set()
_starting = threading.Lock()  # a worker may have several threads


@dataclass(frozen=True)
class Call:
    """One call of ``run_on_cluster``: its name, and the versions on its side."""

    token: str
    versions: dict[str, str]


@dataclass(frozen=True)
class Outcome:
    """What comes back: the last words of a process that died, and the run if storage is not shared."""

    last_words: str
    archive: bytes | None = None


def versions() -> dict[str, str]:
    """Return what must be equal on both sides for their runs to be the same."""
    packages = {name: _version(name) for name in COMPARED_PACKAGES}
    python = ".".join(platform.python_version_tuple()[:2])
    return {"Python": python, **packages, "Headstart's training code": source_hash()[:8]}


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"


def other_version(there: dict[str, str], here: dict[str, str]) -> str:
    """Return in words the first version of a worker that differs, or ""."""
    for name, version in here.items():
        if there.get(name) != version:
            return f"{name} is {there.get(name)}, where the runs were planned it is {version}"
    return ""


def hardware(device: str, precision: str) -> str:
    """Return what runs with these settings compute on here, as "cpu bf16": part of their identity."""
    return _ask("hardware", str(Path.cwd()), json.dumps({"device": device, "precision": precision}))


def other_hardware(there: str, here: str) -> str:
    """Return in words how a worker's hardware differs from what the runs were planned for, or ""."""
    return "" if there == here else f"it computes on {there}, the runs were planned for {here}"


def run_on_worker(job: Job, call: Call) -> Outcome:
    """Make one run on the Dask worker that calls this, and return it unless storage is shared."""
    from distributed import get_worker

    if call.token in _stopped:
        return Outcome("it was stopped")
    worker = get_worker()
    shared = token_path(job.runs_dir, call.token).is_file()
    here = job if shared else _moved(job, Path(worker.local_directory))
    here = replace(here, threads=int(os.environ.get("HEADSTART_THREADS", "1")))
    if wrong := _unfit(here, call):
        return Outcome(f"worker {worker.address}: {wrong}")

    with _starting:
        _keep_kernels_warm()

    def emit(event: Event) -> None:
        worker.log_event(topic(call.token), event)

    last_words = run_in_process(here, emit)
    return Outcome(last_words, None if shared or last_words else packed(here.final))


@cache
def _keep_kernels_warm() -> None:
    """Have the kernels of this worker's runs forked, from now until the worker ends."""
    block = ExitStack()
    block.enter_context(warm.kernels(warm.LEARNING))
    atexit.register(block.close)


def stop_runs(token: str, run_ids: list[str]) -> None:
    """End the runs of one call on this worker, and begin no more of them."""
    _stopped.add(token)
    stop(run_ids)


def topic(token: str) -> str:
    """Return the name under which the progress of one call travels."""
    return f"headstart-{token}"


def token_path(runs_dir: str, token: str) -> Path:
    """Return the file that the caller makes; a worker that sees it shares the storage."""
    return Path(runs_dir) / ".locks" / f"storage-{token}"


def _moved(job: Job, local: Path) -> Job:
    """Return the job as it runs on a machine that does not see the caller's folders."""
    runs = local / "runs"
    runs.mkdir(parents=True, exist_ok=True)
    folder = job.folder if Path(job.folder).is_dir() else str(Path.cwd())
    return replace(job, runs_dir=str(runs), folder=folder)


def _unfit(job: Job, call: Call) -> str:
    """Return why a run on this worker would not be the run that was planned, or "".

    Workers may have joined after the caller looked, so versions are compared here too.
    """
    settings = RunSettings(**job.settings)
    try:
        there = hardware(settings.device, settings.precision)
        wrong = other_version(versions(), call.versions) or other_hardware(there, job.hashes["hardware"])
        return wrong or _other_images(job, call.token)
    except HeadstartError as error:
        return one_line(error)


def _other_images(job: Job, token: str) -> str:
    settings = {key: job.settings[key] for key in ("dataset", "data_dir")}
    if _ask("images", job.folder, json.dumps(settings), token) == job.hashes["data"]:
        return ""
    return f"its {settings['dataset']} in {Path(job.folder) / settings['data_dir']} holds other images"


@cache
def _ask(question: str, folder: str, settings: str, token: str = "") -> str:
    """Answer a question about this machine in a process of its own, which starts in ``folder``.

    So PyTorch stays out of the Dask worker's memory, and relative paths mean what they mean to runs.
    ``settings`` are JSON; ``token`` limits an answer to one call. Raises HeadstartError with what
    that process said when it fails.
    """
    done = subprocess.run(
        [sys.executable, "-m", "pipeline.remote", question],
        input=settings,
        capture_output=True,
        text=True,
        cwd=folder,
        check=False,
    )
    if done.returncode != 0:
        lines = done.stderr.strip().splitlines() or [f"no answer about its {question}"]
        raise HeadstartError(lines[-1])
    return done.stdout.strip().splitlines()[-1]


def packed(folder: Path) -> bytes:
    """Return a whole run as a tar archive."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        archive.add(folder, arcname=folder.name)
    return buffer.getvalue()


def _hardware(settings: RunSettings) -> str:
    from pipeline.learn import device

    found = device.choose(settings)
    return f"{found.device.type} {found.precision}"


def _images(settings: RunSettings) -> str:
    from pipeline.learn.data import sources

    return sources.fingerprint(settings)


def main(arguments: list[str]) -> int:
    """Answer one question, about the settings on standard input, on standard output."""
    answers: dict[str, Any] = {"hardware": _hardware, "images": _images}
    try:
        print(answers[arguments[0]](RunSettings(**json.load(sys.stdin))))
    except HeadstartError as error:
        print(one_line(error), file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
