"""One run as a job: lock, Papermill, commit. ``pipeline.process`` starts ``main`` in a process of its own.

A killed job loses nothing but the work since its last epoch: it works in a hidden folder beside the run's
final place, ``record.json`` is written last, and the folder is then renamed.
"""

import errno
import json
import os
import re
import shutil
import signal
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import BaseFileLock, Timeout

from pipeline.errors import HeadstartError, one_line
from pipeline.experiment import RunSettings
from pipeline.files import lock, sync, write_json
from pipeline.plan import found_hashes
from pipeline.record import (
    RUN_FOLDER_VARIABLE,
    SCHEMA_VERSION,
    Environment,
    Failure,
    RunDetails,
    RunRecord,
    write_settings,
)
from pipeline.source import NOTEBOOK

PAPERMILLS_OWN = {"injected-parameters", "papermill-error-cell-tag"}
REFUSED = 3  # exit code; the last line on stderr says why
SCRATCH_FILES = ("checkpoint.pt", "progress.jsonl", "results.json")


@dataclass(frozen=True)
class Job:
    """All that a process needs to make one run, wherever it is started."""

    run_id: str
    settings: dict[str, Any]
    hashes: dict[str, str]
    runs_dir: str
    threads: int
    folder: str  # where it runs: relative paths of the settings start here
    gpu: str | None = None
    planned_elsewhere: bool = False  # then this machine must first be seen to be like the planner's

    @property
    def final(self) -> Path:
        """Where the whole run is moved to."""
        return Path(self.runs_dir) / self.run_id

    @property
    def partial(self) -> Path:
        """Where the run works, with its checkpoint: hidden, beside its final place."""
        return Path(self.runs_dir) / f".{self.run_id}.partial"

    @property
    def lock(self) -> BaseFileLock:
        """The lock that its process holds."""
        return run_lock(Path(self.runs_dir), self.run_id)

    def is_taken(self) -> bool:
        """Whether another process works on this run now."""
        return is_taken(Path(self.runs_dir), self.run_id)


def run_lock(runs_dir: Path, run_id: str) -> BaseFileLock:
    """Return the lock of a run; the system frees it when the process that holds it dies."""
    folder = runs_dir / ".locks"
    folder.mkdir(parents=True, exist_ok=True)
    return lock(folder / f"{run_id}.lock")


def is_taken(runs_dir: Path, run_id: str) -> bool:
    """Whether another process works on a run now."""
    own = run_lock(runs_dir, run_id)
    try:
        own.acquire(timeout=0)
    except Timeout:
        return True
    own.release()
    return False


def main() -> None:
    """Make the run whose Job is on standard input; exit 0 also when it failed and was recorded as such."""
    _end_with_parent()
    job = Job(**json.load(sys.stdin))
    if job.planned_elsewhere:
        try:
            refuse_another_machine(job)
        except HeadstartError as error:
            print(one_line(error), file=sys.stderr)
            sys.exit(REFUSED)
    make(job)


def refuse_another_machine(job: Job) -> None:
    """Raise HeadstartError, saying how they differ, where images or hardware are not those of the plan."""
    here = found_hashes(RunSettings(**job.settings))
    if here["data"] != job.hashes["data"]:
        place = Path(job.folder) / job.settings["data_dir"]
        raise HeadstartError(f"its {job.settings['dataset']} in {place} holds other images")
    if here["hardware"] != job.hashes["hardware"]:
        raise HeadstartError(
            f"it computes on {here['hardware']}, the runs were planned for {job.hashes['hardware']}"
        )


def make(job: Job) -> None:
    """Make a run, unless another process has made it while this one waited for its lock."""
    with job.lock:
        if not is_whole(job.final):
            end_leftovers(job)
            if is_whole(job.partial):  # but for the last move: its process was killed before that
                _move(job, RunRecord.read(job.partial).details)
            else:
                _train(job)


def is_whole(folder: Path) -> bool:
    """Whether a folder holds a complete run of which nothing is damaged."""
    try:
        record = RunRecord.read(folder)
        record.verify()
    except HeadstartError:
        return False
    return record.complete


def end_leftovers(job: Job) -> None:
    """End the kernels of a job that was killed: for a second they would go on writing here."""
    import psutil

    for process in psutil.process_iter():
        try:
            theirs = "ipykernel_launcher" in process.cmdline()
            if theirs and process.environ().get(RUN_FOLDER_VARIABLE) == str(job.partial):
                process.kill()
        except (psutil.Error, OSError):
            continue  # gone by now, or another user's


def _train(job: Job) -> None:
    _take_up_failed(job)
    job.partial.mkdir(parents=True, exist_ok=True)
    _remove_leftovers(job.partial)
    settings = RunSettings(**job.settings)
    write_settings(job.partial / "settings.yaml", settings)
    started = time.perf_counter()
    failure = _execute(settings, job.partial / "train.ipynb")
    seconds = time.perf_counter() - started
    commit(job, _complete(job, settings, seconds) if failure is None else failed(job, failure))


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
    message = one_line(error.evalue or error.ename)
    if os.strerror(errno.ENOSPC) in message:
        message += ". Make room on that disk, then run again: it goes on from its last epoch"
    trace = re.sub(r"\x1b\[[0-9;]*m", "", "\n".join(error.traceback))
    return Failure(kind=error.ename, message=message, cell=_stopped_cell(notebook), traceback=trace)


def _stopped_cell(notebook: Path) -> str | None:
    """Return "5 (fit)" for the cell that failed or was running: its number among code cells, its id."""
    try:
        cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    except (OSError, ValueError):
        return None
    own = [c for c in cells if c["cell_type"] == "code"]
    own = [c for c in own if not PAPERMILLS_OWN & set(c["metadata"].get("tags", ()))]
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


def failed(job: Job, failure: Failure) -> RunDetails:
    """Return the record of a run without results."""
    return RunDetails(
        status="failed",
        run_id=job.run_id,
        settings=RunSettings(**job.settings),
        hashes=job.hashes,
        failure=failure,
        environment=_found_environment(job.partial / "results.json"),
    )


def _found_environment(path: Path) -> Environment | None:
    try:
        return Environment(**json.loads(path.read_text(encoding="utf-8"))["environment"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def record_death(job: Job, last_words: str) -> None:
    """Record a run as failed whose process ended before it could do so itself.

    Where another process has taken the run over, that one's result counts.
    """
    with job.lock:
        if not job.partial.is_dir() and (job.final / "record.json").is_file():
            return
        end_leftovers(job)
        job.partial.mkdir(parents=True, exist_ok=True)
        commit(job, failed(job, Failure(kind="ProcessDied", message=last_words)))


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
            sync(handle)
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
