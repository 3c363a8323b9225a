"""The process that makes one run: lock, Papermill, commit. Started as ``python -m pipeline.worker``."""

import errno
import json
import os
import re
import shutil
import signal
import sys
import threading
import time
from pathlib import Path
from typing import Any

from pipeline.errors import HeadstartError, one_line
from pipeline.experiment import RunSettings
from pipeline.identity import NOTEBOOK
from pipeline.jobs import Job
from pipeline.record import (
    RUN_FOLDER_VARIABLE,
    SCHEMA_VERSION,
    Environment,
    Failure,
    RunDetails,
    RunRecord,
    write_json,
    write_settings,
)

PAPERMILLS_OWN = {"injected-parameters", "papermill-error-cell-tag"}
SCRATCH_FILES = ("checkpoint.pt", "progress.jsonl", "results.json")


def main() -> int:
    """Make the run whose Job is on standard input; 0 also when it failed and was recorded as such."""
    job = Job(**json.load(sys.stdin))
    _end_with_parent()
    with job.lock:
        if not _whole(job):
            end_leftovers(job)
            if not _moved_whole(job):
                _make(job)
    return 0


def _whole(job: Job) -> bool:
    """Whether another process made this run while this one waited for the lock, and nothing is damaged."""
    try:
        record = RunRecord.read(job.final)
        record.verify()
    except HeadstartError:
        return False
    return record.complete


def end_leftovers(job: Job) -> None:
    """End the kernels of a worker that was killed: for a second they would go on writing here."""
    import psutil

    for process in psutil.process_iter():
        try:
            theirs = "ipykernel_launcher" in process.cmdline()
            if theirs and process.environ().get(RUN_FOLDER_VARIABLE) == str(job.partial):
                process.kill()
        except (psutil.Error, OSError):
            continue  # gone by now, or another user's


def _moved_whole(job: Job) -> bool:
    """Whether the run was whole but for its last move when its process was killed; then it is moved."""
    try:
        record = RunRecord.read(job.partial)
        record.verify()
    except HeadstartError:
        return False
    if record.complete:
        _move(job, record.details)
    return record.complete


def _make(job: Job) -> None:
    _take_up_failed(job)
    job.partial.mkdir(parents=True, exist_ok=True)
    _remove_leftovers(job.partial)
    settings = RunSettings(**job.settings)
    write_settings(job.partial / "settings.yaml", settings)
    started = time.perf_counter()
    failure = _execute(settings, job.partial / "train.ipynb")
    seconds = time.perf_counter() - started
    details = _complete(job, settings, seconds) if failure is None else _failed(job, settings, failure)
    commit(job, details)


def _take_up_failed(job: Job) -> None:
    """Go on in the folder of a failed run, so that its checkpoint is used."""
    if job.final.is_dir():
        (job.final / "record.json").unlink(missing_ok=True)
        if (job.final / "checkpoint.pt").is_file() and not (job.partial / "checkpoint.pt").is_file():
            job.partial.mkdir(parents=True, exist_ok=True)
            (job.final / "checkpoint.pt").replace(job.partial / "checkpoint.pt")
        shutil.rmtree(job.final)


def _remove_leftovers(partial: Path) -> None:
    """Remove what a killed process left but its checkpoint: half-written files have odd names."""
    for path in partial.iterdir():
        if path.name not in ("checkpoint.pt", "progress.jsonl"):
            path.unlink()


def _execute(settings: RunSettings, notebook: Path) -> Failure | None:
    import papermill
    from nbclient.exceptions import DeadKernelError

    from pipeline.kernel import own_kernel

    try:
        papermill.execute_notebook(
            str(NOTEBOOK),
            # Papermill formats braces in an output path as parameters.
            str(notebook).replace("{", "{{").replace("}", "}}"),
            parameters=settings.model_dump(),
            progress_bar=False,
            **own_kernel(),
        )
    except papermill.PapermillExecutionError as error:
        return _failure_in_cell(error, notebook)
    except DeadKernelError:
        return Failure(kind="DeadKernelError", message=_dead_kernel(), cell=_stopped_cell(notebook))
    except HeadstartError as error:
        return Failure(kind=type(error).__name__, message=one_line(error))
    return None


def _dead_kernel() -> str:
    return (
        "the notebook's process was ended by the system, as it is when memory runs out. "
        "Try a smaller batch_size or image_size"
    )


def _failure_in_cell(error: Any, notebook: Path) -> Failure:
    lines = "\n".join(error.traceback)
    message = one_line(error.evalue or error.ename)
    if os.strerror(errno.ENOSPC) in message:
        message += ". Make room on that disk, then run again: it goes on from its last epoch"
    return Failure(
        kind=error.ename,
        message=message,
        cell=_stopped_cell(notebook),
        traceback=re.sub(r"\x1b\[[0-9;]*m", "", lines),
    )


def _stopped_cell(notebook: Path) -> str | None:
    """Return "5 (fit)" for the cell that failed or was running: its number among code cells, its id."""
    try:
        cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    except (OSError, ValueError):
        return None
    own = [
        c
        for c in cells
        if c["cell_type"] == "code" and not PAPERMILLS_OWN & set(c["metadata"].get("tags", ()))
    ]
    last = None
    for number, cell in enumerate(own, start=1):
        state = cell["metadata"].get("papermill", {})
        name = f"{number} ({cell.get('id', 'no id')})"
        if state.get("exception") or state.get("status") == "running":
            return name
        if state.get("end_time"):
            last = name
    return last  # Papermill calls all cells completed when the kernel died in one


def _complete(job: Job, settings: RunSettings, seconds: float) -> RunDetails:
    results = json.loads((job.partial / "results.json").read_text(encoding="utf-8"))
    results["timings"]["papermill_seconds"] = seconds
    return RunDetails(
        schema_version=SCHEMA_VERSION,
        status="complete",
        run_id=job.run_id,
        settings=settings,
        hashes=job.hashes,
        **results,
    )


def _failed(job: Job, settings: RunSettings, failure: Failure) -> RunDetails:
    environment = _found_environment(job.partial / "results.json")
    return RunDetails(
        status="failed",
        run_id=job.run_id,
        settings=settings,
        hashes=job.hashes,
        failure=failure,
        environment=environment,
    )


def _found_environment(path: Path) -> Environment | None:
    try:
        return Environment(**json.loads(path.read_text(encoding="utf-8"))["environment"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def commit(job: Job, details: RunDetails) -> None:
    """Move a run to its final place whole: ``record.json`` is written last, then the folder renamed.

    The checkpoint stays until the record is there, so that a kill at any point loses nothing.
    """
    scratch = [n for n in SCRATCH_FILES if not (n == "checkpoint.pt" and details.status == "failed")]
    for path in job.partial.iterdir():
        _sync(path)
    sealed = details.sealed(job.partial, without=scratch)
    write_json(job.partial / "record.json", sealed.model_dump())
    _move(job, sealed)


def _move(job: Job, details: RunDetails) -> None:
    for name in SCRATCH_FILES:
        if name not in details.files:
            (job.partial / name).unlink(missing_ok=True)
    _sync(job.partial)
    if job.final.is_dir():
        shutil.rmtree(job.final)
    job.partial.rename(job.final)
    _sync(job.final.parent)


def _sync(path: Path) -> None:
    """Make a file's content, or a folder's names, survive a power loss, where the system can."""
    if os.name == "posix":
        handle = os.open(path, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _end_with_parent() -> None:
    """End this process and its kernel when it is told to, or when whoever started it is gone."""
    signal.signal(signal.SIGTERM, lambda *_: _end())
    parent = os.getppid()

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(0.5)
        _end()

    threading.Thread(target=watch, daemon=True).start()


def _end() -> None:
    import psutil

    for child in psutil.Process().children(recursive=True):
        child.kill()
    os._exit(128 + signal.SIGTERM)


if __name__ == "__main__":
    sys.exit(main())
