"""The same jobs on a Dask cluster, with their progress shown here.

Each task makes a run in a process of its own on its worker. Storage that is shared holds the result at
once; from elsewhere the task returns its files. A worker that dies has its task given to another by Dask;
on shared storage that one goes on from the last checkpoint.
"""

import asyncio
import atexit
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, as_completed
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.errors import InputError, one_line
from pipeline.experiment import RunSettings
from pipeline.forker import LEARNING, warm_processes
from pipeline.job import Job
from pipeline.plan import source_hash
from pipeline.process import Event, run_in_process, stop

if TYPE_CHECKING:
    from distributed import Client

    from pipeline.progress import Progress

COMPARED_PACKAGES = ("torch", "torchvision", "numpy", "papermill", "timm", "distributed")
CONNECT_SECONDS = 30.0
APPEAR_SECONDS = 90.0  # a network file system may hide a new folder for a minute
HARDWARE = """
import sys; from pipeline import experiment, plan
print(plan.hardware(experiment.RunSettings(device=sys.argv[1], precision=sys.argv[2])))
"""
_stopped: set[str] = set()
_starting = threading.Lock()  # a worker may have several threads


@dataclass(frozen=True)
class Outcome:
    """What a task returns: the last words of a process that died, and the run if storage is not shared."""

    last_words: str
    files: dict[str, bytes] | None = None


def run_on_cluster(jobs: Sequence[Job], url: str, progress: "Progress") -> None:
    """Run jobs on the workers of the Dask scheduler at ``url``.

    Raises InputError when it does not answer, has no workers, or their versions or hardware are
    other ones than here.
    """
    with _connected(url) as client, _storage_token(jobs[0].runs_dir) as token:
        _refuse_other_versions(client)
        _refuse_other_hardware(client, jobs)
        executor = client.get_executor(pure=False)
        with _live(client, token, progress) as finished:
            try:
                futures = {executor.submit(run_on_worker, job, token): job for job in jobs}
                for future in as_completed(futures):
                    _settle(futures[future], _outcome(future), progress, finished)
            except BaseException:
                client.run(stop_runs, token, [job.run_id for job in jobs], on_error="ignore")
                raise


def _settle(job: Job, outcome: Outcome, progress: "Progress", finished: set[str]) -> None:
    if outcome.files is not None:
        receive(outcome.files, job)
    elif not outcome.last_words:
        _wait_for(job.final / "record.json")
    finished.add(job.run_id)
    progress.settle(job, outcome.last_words)


def _outcome(future: "Future[Outcome]") -> Outcome:
    """Return what a task said; one that Dask gave up on, as when it killed several workers, died."""
    try:
        return future.result()
    except Exception as error:  # noqa: BLE001 (whatever ended it, the other runs go on)
        return Outcome(f"its task was given up by Dask: {type(error).__name__}: {one_line(error)}")


def _wait_for(path: Path) -> None:
    """Wait until a file that another machine has written is seen here too."""
    end = time.monotonic() + APPEAR_SECONDS
    while not path.is_file() and time.monotonic() < end:
        list(path.parent.parent.iterdir())  # opening a folder makes NFS ask the server again
        time.sleep(0.2)


@contextmanager
def _live(client: "Client", token: str, progress: "Progress") -> Iterator[set[str]]:
    """Show the events of one call here; those of runs in the set come too late to be shown."""
    finished: set[str] = set()

    def show(event: tuple[float, dict[str, Any]]) -> None:
        if event[1]["run_id"] not in finished:
            progress.show(event[1])

    client.subscribe_topic(_topic(token), show)
    try:
        yield finished
    finally:
        client.unsubscribe_topic(_topic(token))


def _topic(token: str) -> str:
    """Return the name under which the progress of one call travels."""
    return f"headstart-{token}"


@contextmanager
def _connected(url: str) -> "Iterator[Client]":
    try:
        from distributed import Client
    except ImportError:
        raise InputError(
            "--scheduler needs Dask: pip install 'headstart[dask]' here and on the workers."
        ) from None
    kind = _kind_of_server(url)
    if kind != "Scheduler":
        raise InputError(f"--scheduler {url}: is a Dask {kind}; give the address of its scheduler.")
    with Client(url, timeout=CONNECT_SECONDS, set_as_default=False) as client:
        if not client.scheduler_info()["workers"]:
            raise InputError(f"--scheduler {url}: has no workers. Start some: dask worker {url} --nthreads 1")
        yield client


def _kind_of_server(url: str) -> str:
    """Return what answers at ``url``: "Scheduler", as it should be, or "Worker" or "Nanny".

    Dask's own Client waits for ever for a server of another kind, so it is not asked first.
    """
    from distributed.core import rpc
    from distributed.security import Security

    async def ask() -> str:
        arguments = Security().get_connection_args("client")
        async with rpc(url, timeout=CONNECT_SECONDS, connection_args=arguments) as server:
            return str((await server.identity())["type"])

    try:
        return asyncio.run(asyncio.wait_for(ask(), CONNECT_SECONDS))
    except Exception as error:  # noqa: BLE001 (addresses, sockets, TLS and protocol fail in many ways)
        why = one_line(error, 120) or f"nothing that speaks Dask, within {CONNECT_SECONDS:.0f} s"
        raise InputError(f"--scheduler {url}: does not answer ({why}). Start one: dask scheduler") from None


def _refuse_other_versions(client: "Client") -> None:
    """Compare by name what must be equal: with ``check=True``, Dask itself only warns of a difference."""
    found: Any = client.get_versions(packages=COMPARED_PACKAGES)
    here = found["client"]["packages"]
    for address, worker in found["workers"].items():
        for name in ("python", *COMPARED_PACKAGES):
            there = worker["packages"][name] or "not installed"
            if _minor(name, there) != _minor(name, here[name]):
                raise InputError(_other(address, name, there, here[name]))
    for address, code in client.run(source_hash, on_error="return").items():
        if isinstance(code, Exception):
            why = f"Headstart cannot be used there ({one_line(code, 120)})"
            raise InputError(f"worker {address}: {why}. Install the same in both places.")
        if code != source_hash():
            raise InputError(_other(address, "Headstart's training code", code[:8], source_hash()[:8]))


def _minor(name: str, version: str) -> str:
    """Return a version as far as it must be equal: of Python, not the last part."""
    return ".".join(version.split(".")[:2]) if name == "python" else version


def _other(address: str, name: str, there: str, here: str) -> str:
    return (
        f"worker {address}: {name} is {there}, where the runs were planned it is {here}. "
        "Install the same in both places."
    )


def _refuse_other_hardware(client: "Client", jobs: Sequence[Job]) -> None:
    """A run's identity holds the device and its precision: the report would not find others."""
    for device, precision, here in sorted({_hardware(job) for job in jobs}):
        for address, there in client.run(hardware, device, precision, on_error="return").items():
            if there != here:
                raise InputError(
                    f"worker {address}: it computes on {one_line(there, 200)}, the runs were planned for "
                    f"{here}. Set precision to fp32 or start Headstart on a machine like the workers."
                )


def _hardware(job: Job) -> tuple[str, str, str]:
    settings = RunSettings(**job.settings)
    return settings.device, settings.precision, job.hashes["hardware"]


@contextmanager
def _storage_token(runs_dir: str) -> Iterator[str]:
    """Make a file in the folder of runs: a worker that sees it shares the storage."""
    token = uuid.uuid4().hex
    path = _token_path(runs_dir, token)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    try:
        yield token
    finally:
        path.unlink(missing_ok=True)


def _token_path(runs_dir: str, token: str) -> Path:
    return Path(runs_dir) / ".locks" / f"storage-{token}"


def receive(files: dict[str, bytes], job: Job) -> None:
    """Write a run that a worker returned into its final place, whole or not at all."""
    with tempfile.TemporaryDirectory(prefix=f".{job.run_id}.", dir=job.runs_dir) as incoming:
        folder = Path(incoming) / job.run_id
        folder.mkdir()
        for name, content in files.items():
            (folder / Path(name).name).write_bytes(content)  # bare names: none can leave the folder
        shutil.rmtree(job.final, ignore_errors=True)  # of an earlier try that failed
        folder.rename(job.final)


# What follows runs on a worker's machine.


def hardware(device: str, precision: str) -> str:
    """Return what runs with these settings compute on here, as "cpu bf16": part of their identity.

    Asked in a process of its own, so that PyTorch stays out of the worker's memory.
    """
    command = [sys.executable, "-c", HARDWARE, device, precision]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    said = (done.stderr if done.returncode else done.stdout).strip().splitlines()
    return said[-1] if said else "nothing that can be asked"


def run_on_worker(job: Job, token: str) -> Outcome:
    """Make one run on the Dask worker that calls this, and return it unless storage is shared."""
    from distributed import get_worker

    if token in _stopped:
        return Outcome("it was stopped")
    worker = get_worker()
    shared = _token_path(job.runs_dir, token).is_file()
    here = job if shared else _moved(job, Path(worker.local_directory))
    threads = int(os.environ.get("HEADSTART_THREADS", "1"))
    with _starting:
        _keep_kernels_warm()

    def emit(event: Event) -> None:
        worker.log_event(_topic(token), event)

    last_words = run_in_process(replace(here, threads=threads, planned_elsewhere=True), emit)
    if last_words:
        return Outcome(f"worker {worker.address}: {last_words}")
    return Outcome("", None if shared else returned(here.final))


def returned(folder: Path) -> dict[str, bytes]:
    """Return the files of a whole run, by name."""
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


@cache
def _keep_kernels_warm() -> None:
    """Have the kernels of this worker's runs forked, from now until the worker ends."""
    block = ExitStack()
    block.enter_context(warm_processes(LEARNING))
    atexit.register(block.close)


def stop_runs(token: str, run_ids: list[str]) -> None:
    """End the runs of one call on this worker, and begin no more of them."""
    _stopped.add(token)
    stop(run_ids)


def _moved(job: Job, local: Path) -> Job:
    """Return the job as it runs on a machine that does not see the caller's folders."""
    runs = local / "runs"
    runs.mkdir(parents=True, exist_ok=True)
    folder = job.folder if Path(job.folder).is_dir() else str(Path.cwd())
    return replace(job, runs_dir=str(runs), folder=folder)
