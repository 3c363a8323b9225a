"""Runs on a Dask cluster: the same jobs, on other machines, with their progress shown here.

Each task runs Papermill in a process of its own on its worker. A worker that dies has its task
given to another by Dask; on shared storage that one goes on from the last checkpoint.
"""

import asyncio
import io
import shutil
import tarfile
import tempfile
import time
import uuid
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, as_completed
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline import remote
from pipeline.errors import InputError, one_line
from pipeline.experiment import RunSettings
from pipeline.jobs import Job
from pipeline.remote import Call, Outcome

if TYPE_CHECKING:
    from distributed import Client

    from pipeline.progress import Progress

CONNECT_SECONDS = 30.0
APPEAR_SECONDS = 90.0  # a network file system may hide a new folder for a minute


def run_on_cluster(jobs: Sequence[Job], url: str, progress: "Progress") -> None:
    """Run jobs on the workers of the Dask scheduler at ``url``.

    Raises InputError when it does not answer, has no workers, or their versions or hardware are
    other ones than here.
    """
    with _connected(url) as client, _storage_token(jobs[0].runs_dir) as token:
        call = Call(token, remote.versions())
        _refuse_other_versions(client, call)
        _refuse_other_hardware(client, jobs)
        executor = client.get_executor(pure=False)
        with _live(client, call, progress) as finished:
            try:
                futures = {executor.submit(remote.run_on_worker, job, call): job for job in jobs}
                _settle_all(futures, progress, finished)
            except BaseException:
                client.run(remote.stop_runs, token, [job.run_id for job in jobs], on_error="ignore")
                raise


def _settle_all(futures: "dict[Future[Outcome], Job]", progress: "Progress", finished: set[str]) -> None:
    from pipeline.execution import settle

    for future in as_completed(futures):
        job, outcome = futures[future], _outcome(future)
        if outcome.archive is not None:
            unpack(outcome.archive, job)
        elif not outcome.last_words:
            _wait_for(job.final / "record.json")
        finished.add(job.run_id)
        settle(job, outcome.last_words, progress)


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
def _live(client: "Client", call: Call, progress: "Progress") -> Iterator[set[str]]:
    """Show the events of one call here; those of runs in the set come too late to be shown."""
    finished: set[str] = set()

    def show(event: tuple[float, dict[str, Any]]) -> None:
        if event[1]["run_id"] not in finished:
            progress.show(event[1])

    client.subscribe_topic(remote.topic(call.token), show)
    try:
        yield finished
    finally:
        client.unsubscribe_topic(remote.topic(call.token))


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


def _refuse_other_versions(client: "Client", call: Call) -> None:
    for address, there in client.run(remote.versions, on_error="return").items():
        if isinstance(there, Exception):
            wrong = f"Headstart cannot be used there ({one_line(there, 120)})"
        else:
            wrong = remote.other_version(there, call.versions)
        if wrong:
            raise InputError(f"worker {address}: {wrong}. Install the same in both places.")


def _refuse_other_hardware(client: "Client", jobs: Sequence[Job]) -> None:
    """A run's identity holds the device and its precision: the report would not find others."""
    for device, precision, here in sorted({_hardware(job) for job in jobs}):
        found = client.run(remote.hardware, device, precision, on_error="return")
        for address, there in found.items():
            if wrong := remote.other_hardware(one_line(there, 200), here):
                raise InputError(
                    f"worker {address}: {wrong}. Set precision to fp32 or start Headstart "
                    "on a machine like the workers."
                )


def _hardware(job: Job) -> tuple[str, str, str]:
    settings = RunSettings(**job.settings)
    return settings.device, settings.precision, job.hashes["hardware"]


@contextmanager
def _storage_token(runs_dir: str) -> Iterator[str]:
    """Make a file in the folder of runs: a worker that sees it shares the storage."""
    token = uuid.uuid4().hex
    path = remote.token_path(runs_dir, token)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    try:
        yield token
    finally:
        path.unlink(missing_ok=True)


def unpack(content: bytes, job: Job) -> None:
    """Unpack a run that a worker sent into its final place, whole or not at all."""
    with tempfile.TemporaryDirectory(prefix=f".{job.run_id}.", dir=job.runs_dir) as incoming:
        folder = Path(incoming) / job.run_id
        folder.mkdir()
        with tarfile.open(fileobj=io.BytesIO(content)) as archive:
            for member in archive:
                file = archive.extractfile(member)
                if file is not None:  # plain files alone, by their bare names: none can leave the folder
                    (folder / Path(member.name).name).write_bytes(file.read())
        shutil.rmtree(job.final, ignore_errors=True)  # of an earlier try that failed
        folder.rename(job.final)
