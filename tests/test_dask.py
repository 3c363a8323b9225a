"""Runs on a real Dask scheduler and real workers: live, taken over, sent back, or refused by name."""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import psutil
import pytest

from bench.local_cluster import LocalCluster, local_cluster
from pipeline.cli import main
from pipeline.dask import _connected, _kind_of_server, hardware, receive, returned
from pipeline.errors import HeadstartError, InputError
from pipeline.experiment import Experiment
from pipeline.job import Job, refuse_another_machine
from pipeline.plan import plan
from pipeline.process import Event, run_in_process
from pipeline.progress import Progress
from pipeline.record import RunRecord
from pipeline.run import Options, job_of, run
from tests.conftest import ROOT, interruptible

EPOCHS = 24  # enough that a kill in the third leaves some for the worker that takes over
TINY = f"""
dataset: digits
max_train_images: 200
threads: 1
epochs: {EPOCHS}
batch_size: 64
models:
  - {{model: custom_cnn, widths: [8, 16], depth: 1, optimizer: sgd, learning_rate: 0.1}}
"""
Told = list[tuple[float, Event]]


@pytest.fixture(scope="module")
def scheduler(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCluster]:
    with local_cluster(tmp_path_factory.mktemp("cluster")) as running:
        yield running


@pytest.fixture
def dask(scheduler: LocalCluster) -> Iterator[LocalCluster]:
    """A scheduler without workers: those that a test starts end with it."""
    yield scheduler
    scheduler.end_workers()


def tiny(text: str = TINY) -> Experiment:
    Path("tiny.yaml").write_text(text, encoding="utf-8")
    return Experiment.from_yaml("tiny.yaml")


def in_own_mounts(hidden: Path) -> list[str]:
    """Return the start of a command that sees an empty folder in the place of ``hidden``."""
    return ["unshare", "--mount", "sh", "-c", f'mount -t tmpfs none "{hidden}" && exec "$@"', "sh"]


def require_own_mounts(folder: Path) -> None:
    command = [*in_own_mounts(folder), "true"]
    if (
        shutil.which("unshare") is None
        or subprocess.run(command, check=False, stderr=subprocess.DEVNULL).returncode
    ):
        pytest.skip("hiding a folder from a worker needs the right to mount (root on Linux)")


@pytest.fixture(scope="module")
def sent_back(
    scheduler: LocalCluster, tmp_path_factory: pytest.TempPathFactory
) -> tuple[RunRecord, Told, float]:
    """A run made by a worker that does not share our folder, what was told of it, and the end's time."""
    folder, told = tmp_path_factory.mktemp("here"), Told()
    runs, there = folder / "runs", folder / "there"
    runs.mkdir()
    there.mkdir()
    require_own_mounts(runs)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setattr(Progress, "show", lambda self, event: told.append((time.monotonic(), event)))
        scheduler.start_worker("far", there, before=in_own_mounts(runs))
        scheduler.wait_for_workers(1)
        try:
            (record,) = run(tiny(), Options(scheduler=scheduler.url))
        finally:
            scheduler.end_workers()
    return RunRecord.read(folder / record.folder), told, time.monotonic()


@pytest.mark.slow
def test_run_comes_back_whole_when_storage_is_not_shared(sent_back: tuple[RunRecord, Told, float]) -> None:
    record = sent_back[0]
    runs = record.folder.parent

    record.verify()
    assert record.complete
    assert len(record.history) == EPOCHS
    assert (record.folder / "model.safetensors").is_file()
    assert [path.name for path in runs.iterdir() if path.name != ".locks"] == [record.run_id]
    assert not list((runs / ".locks").glob("storage-*"))


@pytest.mark.slow
def test_progress_of_a_worker_is_shown_here_while_it_works(sent_back: tuple[RunRecord, Told, float]) -> None:
    _, told, end = sent_back
    epochs = [(when, event["epoch"]) for when, event in told if "epoch" in event]

    assert [epoch for _, epoch in epochs] == [*range(1, EPOCHS + 1)]
    assert end - epochs[0][0] > epochs[-1][0] - epochs[0][0] > 0.1  # one by one, not all at the end


@pytest.mark.slow
def test_killed_worker_has_its_run_taken_over_from_its_last_checkpoint(
    dask: LocalCluster,
    workplace: Path,
    sent_back: tuple[RunRecord, Told, float],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    told: list[int] = []
    first = dask.start_worker("first", workplace)
    dask.wait_for_workers(1)

    def kill_in_mid_run(self: Progress, event: Event) -> None:
        told.append(event.get("epoch", 0))
        if event.get("epoch") == 3:
            dask.start_worker("second", workplace)
            first.send_signal(signal.SIGKILL)

    monkeypatch.setattr(Progress, "show", kill_in_mid_run)
    (taken_over,) = run(tiny(), Options(scheduler=dask.url))

    assert first.poll() == -signal.SIGKILL
    epochs = [epoch for epoch in told if epoch]
    assert min(epochs[epochs.index(3) :]) > 1, "the second worker began afresh"
    assert list(taken_over.history["epoch"]) == [*range(1, EPOCHS + 1)]
    np.testing.assert_array_equal(taken_over.predictions, sent_back[0].predictions)


@pytest.mark.slow
def test_interrupted_command_ends_its_runs_on_the_workers(dask: LocalCluster, workplace: Path) -> None:
    tiny(TINY.replace(f"epochs: {EPOCHS}", "epochs: 5000"))
    worker = psutil.Process(dask.start_worker("long", workplace).pid)
    dask.wait_for_workers(1)
    command = [sys.executable, "-m", "pipeline", "run", "tiny.yaml", "--scheduler", dask.url]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(
        command, stderr=subprocess.PIPE, env=environment, preexec_fn=interruptible
    ) as process:
        try:
            wait_until(lambda: list(workplace.glob("runs/.*.partial/checkpoint.pt")))
            forks = [p.pid for forker in modules_below(worker, "pipeline.forker") for p in forker.children()]
            process.send_signal(signal.SIGINT)
            _, said = process.communicate(timeout=60)
        finally:
            process.kill()

    assert process.returncode == 130
    assert said.strip().splitlines()[-1].startswith(b"headstart: stopped; the same command goes on")
    assert len(forks) == 2  # the job and its kernel, as those of runs on this machine are
    wait_until(lambda: not any(map(psutil.pid_exists, forks)))
    assert worker.is_running()


def modules_below(parent: psutil.Process, name: str) -> list[psutil.Process]:
    """Return the processes that a process started as ``python -m name``; a fork looks like its origin."""
    found = []
    for process in parent.children():
        with contextlib.suppress(psutil.Error):
            if name in process.cmdline():
                found.append(process)
    return found


def wait_until(holds: Callable[[], object], seconds: float = 120) -> None:
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.05)


def test_other_versions_are_refused_by_name(
    dask: LocalCluster, workplace: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    Path("other_torch.py").write_text(
        "import distributed.versions as v\n"
        "v._version_cached = lambda name, true=v._version_cached: '1.0' if name == 'torch' else true(name)\n",
        encoding="utf-8",
    )
    worker_is_refused(dask, "other_torch.py")

    said = last_line(capfd)
    assert "worker tcp://127.0.0.1:" in said
    assert "torch is 1.0, where the runs were planned it is 2." in said
    assert said.endswith("Install the same in both places.")


def test_worker_without_headstart_is_refused_by_name(
    dask: LocalCluster, workplace: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    Path("without.py").write_text("import sys\nsys.modules['pipeline'] = None\n", encoding="utf-8")
    worker_is_refused(dask, "without.py")

    assert "Headstart cannot be used there" in last_line(capfd)


def worker_is_refused(dask: LocalCluster, preload: str) -> None:
    tiny()
    dask.start_worker("other", Path(), ["--preload", preload])
    dask.wait_for_workers(1)
    assert main(["run", "tiny.yaml", "--scheduler", dask.url]) == 2
    assert not list(Path("runs").glob("custom_cnn*"))


def last_line(capfd: pytest.CaptureFixture[str]) -> str:
    return capfd.readouterr().err.strip().splitlines()[-1]


def test_scheduler_without_workers_is_refused(
    dask: LocalCluster, workplace: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    tiny()

    assert main(["run", "tiny.yaml", "--scheduler", dask.url]) == 2
    assert last_line(capfd) == (
        f"headstart: --scheduler {dask.url}: has no workers. Start some: dask worker {dask.url} --nthreads 1"
    )


@pytest.mark.parametrize("listens", [False, True])
def test_scheduler_that_does_not_answer_exits_2_in_time(
    workplace: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, listens: bool
) -> None:
    monkeypatch.setattr("pipeline.dask.CONNECT_SECONDS", 1.0)
    tiny()
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"tcp://127.0.0.1:{server.getsockname()[1]}"
        if not listens:
            server.close()
        started = time.monotonic()
        assert main(["run", "tiny.yaml", "--scheduler", url]) == 2

    assert time.monotonic() - started < 20  # most of it to plan the runs
    _, said = capfd.readouterr().err.strip().splitlines()  # the first counts the runs
    assert said.startswith(f"headstart: --scheduler {url}: does not answer (")
    assert said.endswith("Start one: dask scheduler")


@pytest.mark.parametrize("url", ["nowhere", "http://127.0.0.1:1", "tls://127.0.0.1:1", "tcp://127.0.0.1:x"])
def test_bad_address_is_refused_in_one_line(url: str) -> None:
    with pytest.raises(InputError, match="does not answer") as caught:
        _kind_of_server(url)
    assert "\n" not in str(caught.value)


def test_address_of_a_worker_is_refused(dask: LocalCluster, workplace: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    dask.start_worker("here", workplace, ["--worker-port", str(port)])
    dask.wait_for_workers(1)

    with (
        pytest.raises(InputError, match="is a Dask Worker; give the address of its scheduler"),
        _connected(f"tcp://127.0.0.1:{port}"),
    ):
        pass


def test_other_hardware_and_images_are_named(workplace: Path) -> None:
    settings = tiny().runs[0]
    (planned,) = plan(Experiment.from_yaml("tiny.yaml"))
    job = Job("a", settings.model_dump(), planned.hashes, "runs", 1, str(workplace))
    elsewhere = replace(job, hashes={**planned.hashes, "hardware": "cuda fp32"})
    others = replace(job, hashes={**planned.hashes, "data": "0"})

    refuse_another_machine(job)
    with pytest.raises(HeadstartError, match="the runs were planned for cuda fp32"):
        refuse_another_machine(elsewhere)
    with pytest.raises(HeadstartError, match=r"its digits in .*data holds other images"):
        refuse_another_machine(others)


def test_hardware_is_asked_in_a_process_of_its_own(workplace: Path) -> None:
    (planned,) = plan(tiny())

    assert hardware("auto", "auto") == planned.hashes["hardware"]
    assert "device is 'cuda'" in hardware("cuda", "auto") or hardware("cuda", "fp32") == "cuda fp32"


def test_worker_of_another_kind_says_so_in_the_run_that_was_sent_to_it(workplace: Path) -> None:
    (planned,) = plan(tiny())
    job = replace(job_of(planned, threads=1), planned_elsewhere=True)
    there = replace(job, hashes={**planned.hashes, "hardware": "cuda fp32"})

    said = run_in_process(there, lambda event: None)

    assert said == f"it computes on {planned.hashes['hardware']}, the runs were planned for cuda fp32"
    assert not job.final.exists()


def test_run_that_is_sent_replaces_an_earlier_failed_one(workplace: Path) -> None:
    job = Job("a", {}, {}, str(workplace / "runs"), 1, str(workplace))
    (workplace / "there/a").mkdir(parents=True)
    (workplace / "there/a/record.json").write_text("whole")
    job.final.mkdir(parents=True)
    (job.final / "record.json").write_text("failed")

    receive(returned(workplace / "there/a"), job)

    assert (job.final / "record.json").read_text() == "whole"
    assert [path.name for path in Path("runs").iterdir()] == ["a"]
