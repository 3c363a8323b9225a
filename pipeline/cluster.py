"""Runs on a Dask cluster: the same jobs, on other machines, with their progress shown here.

Each task runs Papermill in a process of its own on its worker. A worker that dies has its task
given to another by Dask; on shared storage that one goes on from the last checkpoint.
"""

import importlib.metadata
import io
import os
import platform
import tarfile
import uuid
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, as_completed
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.errors import InputError, one_line
from pipeline.identity import source_hash
from pipeline.jobs import Event, Job, run_in_process

if TYPE_CHECKING:
    from distributed import Client

    from pipeline.progress import Progress

TOPIC = "headstart"
COMPARED_PACKAGES = ("torch", "torchvision", "numpy", "papermill", "timm")
CONNECT_SECONDS = 30


@dataclass(frozen=True)
class Outcome:
    """What comes back from a worker: last words of a dead process, and the run if not shared."""

    last_words: str
    archive: bytes | None


def run_on_cluster(jobs: Sequence[Job], url: str, progress: "Progress") -> None:
    """Run jobs on the workers of the Dask scheduler at ``url``.

    Raises InputError when it does not answer, has no workers, or their versions differ from these.
    """
    from pipeline.execution import settle

    with _connected(url) as client, _storage_token(jobs[0]) as token:
        _refuse_other_versions(client)
        client.subscribe_topic(TOPIC, lambda event: progress.show(event[1]))
        executor = client.get_executor(pure=False)
        futures: dict[Future[Outcome], Job] = {
            executor.submit(run_on_worker, job, token): job for job in jobs
        }
        for future in as_completed(futures):
            job, outcome = futures[future], _outcome(future)
            if outcome.archive is not None:
                unpack(outcome.archive, Path(job.runs_dir))
            settle(job, outcome.last_words, progress)


def _outcome(future: "Future[Outcome]") -> Outcome:
    """Return what a task said; one that Dask gave up on, as when it killed several workers, died."""
    try:
        return future.result()
    except Exception as error:  # noqa: BLE001 (whatever ended it, the other runs go on)
        return Outcome(f"its task was given up by Dask: {type(error).__name__}: {one_line(error)}", None)


@contextmanager
def _connected(url: str) -> "Iterator[Client]":
    try:
        from distributed import Client
    except ImportError:
        raise InputError(
            "--scheduler needs Dask: pip install 'headstart[dask]' here and on the workers."
        ) from None
    try:
        client = Client(url, timeout=CONNECT_SECONDS)
    except (OSError, TimeoutError, ValueError) as error:
        raise InputError(
            f"--scheduler {url}: does not answer ({one_line(error, 120)}). Start one: dask scheduler"
        ) from None
    with client:
        if not client.scheduler_info()["workers"]:
            raise InputError(f"--scheduler {url}: has no workers. Start some: dask worker {url} --nthreads 1")
        yield client


def versions() -> dict[str, str]:
    """Return what must be equal here and on every worker for their runs to be the same."""
    packages = {name: importlib.metadata.version(name) for name in COMPARED_PACKAGES}
    python = ".".join(platform.python_version_tuple()[:2])
    return {"Python": python, **packages, "Headstart's training code": source_hash()[:8]}


def _refuse_other_versions(client: "Client") -> None:
    here = versions()
    for address, there in client.run(versions).items():
        for name, version in here.items():
            if there.get(name) != version:
                raise InputError(
                    f"worker {address}: {name} is {there.get(name)}, here it is {version}. "
                    "Install the same version in both places."
                )


@contextmanager
def _storage_token(job: Job) -> Iterator[str]:
    """Make a file in the folder of runs: a worker that sees it shares the storage."""
    token = uuid.uuid4().hex
    path = token_path(job.runs_dir, token)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    try:
        yield token
    finally:
        path.unlink(missing_ok=True)


def token_path(runs_dir: str, token: str) -> Path:
    """Return where the token of one call lies."""
    return Path(runs_dir) / ".locks" / f"storage-{token}"


def run_on_worker(job: Job, token: str) -> Outcome:
    """Make one run on the Dask worker that calls this, and return it unless storage is shared."""
    from distributed import get_worker

    worker = get_worker()
    shared = token_path(job.runs_dir, token).is_file()
    here = job if shared else _moved(job, Path(worker.local_directory))
    here = replace(here, threads=int(os.environ.get("HEADSTART_THREADS", "1")))

    def emit(event: Event) -> None:
        worker.log_event(TOPIC, event)

    if wrong := _wrong_data(here):
        return Outcome(f"on worker {worker.address}, {wrong}", None)
    last_words = run_in_process(here, emit)
    return Outcome(last_words, None if shared or last_words else packed(here.final))


def _moved(job: Job, local: Path) -> Job:
    """Return the job as it runs on a machine that does not see our folders."""
    runs = local / "runs"
    runs.mkdir(parents=True, exist_ok=True)
    folder = job.folder if Path(job.folder).is_dir() else str(Path.cwd())
    return replace(job, runs_dir=str(runs), folder=folder)


def _wrong_data(job: Job) -> str:
    """Return what is wrong with the images on this worker, or ""."""
    from pipeline.learn import sources
    from pipeline.settings import RunSettings

    settings = RunSettings(**job.settings)
    settings = settings.model_copy(update={"data_dir": str(Path(job.folder) / settings.data_dir)})
    try:
        found = sources.fingerprint(settings)
    except InputError as error:
        return one_line(error)
    return (
        ""
        if found == job.hashes["data"]
        else f"the images in {settings.data_dir} are not those of this experiment"
    )


def packed(folder: Path) -> bytes:
    """Return a whole run as a tar archive."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        archive.add(folder, arcname=folder.name)
    return buffer.getvalue()


def unpack(content: bytes, runs_dir: Path) -> None:
    """Unpack a run that a worker sent, whole or not at all."""
    with tarfile.open(fileobj=io.BytesIO(content)) as archive:
        name = archive.getnames()[0]
        incoming = runs_dir / f".{uuid.uuid4().hex}.partial"
        archive.extractall(incoming, filter="data")
    (incoming / name).rename(runs_dir / name)
    incoming.rmdir()
