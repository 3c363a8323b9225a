"""The command as users start it, with one of its processes ended, or its disk full."""

import os
import re
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import psutil
import pytest

from pipeline import job as jobs
from pipeline.experiment import Experiment
from pipeline.job import end_leftovers, record_death
from pipeline.plan import plan, reasons
from pipeline.record import RUN_FOLDER_VARIABLE, RunRecord
from pipeline.run import Options, job_of, run
from tests.conftest import ROOT
from tests.faults.runs import Driver
from tests.test_run import TINY, started, wait_for

UNCHANGED = ["epoch", "train_loss", "train_accuracy", "val_loss", "val_accuracy", "learning_rate"]
LONG = "precision: fp32\ncompile: 'off'\n" + TINY.replace("epochs: 2", "epochs: 15")
TWO = LONG + "  - {model: custom_cnn, widths: [4], depth: 1, epochs: 2}\n"


def write(text: str) -> Experiment:
    Path("x.yaml").write_text(text, encoding="utf-8")
    return Experiment.from_yaml("x.yaml")


def processes(parent: int, words: str) -> list[psutil.Process]:
    """Return the processes below a parent whose command line holds some words."""
    below = psutil.Process(parent).children(recursive=True)
    return [process for process in below if words in " ".join(process.cmdline())]


def forks(parent: int) -> list[psutil.Process]:
    """Return the jobs and kernels below a parent, the oldest first."""
    forkers = {process.pid for process in processes(parent, "pipeline.forker")}
    found = [process for process in processes(parent, "pipeline.forker") if process.ppid() in forkers]
    return sorted(found, key=psutil.Process.create_time)


def holds(process: psutil.Process, run_id: str = "") -> bool:
    """Whether a process has the lock of a run: a job has, a kernel has not."""
    return any(file.path.endswith(f"{run_id}.lock") for file in process.open_files())


@pytest.fixture(scope="module")
def expected(forked_runs: None, tmp_path_factory: pytest.TempPathFactory) -> RunRecord:
    """The run that was never stopped."""
    folder = tmp_path_factory.mktemp("whole")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        (record,) = run(write(LONG))
    return RunRecord.read(folder / record.folder)


def assert_same(record: RunRecord, expected: RunRecord) -> None:
    assert record.complete
    np.testing.assert_array_equal(record.predictions, expected.predictions)
    np.testing.assert_array_equal(record.history[UNCHANGED], expected.history[UNCHANGED])


def said_by(process: "subprocess.Popen[bytes]") -> str:
    said = process.communicate(timeout=300)[1].decode()
    assert "Traceback" not in said
    return said


@pytest.mark.slow
def test_killed_kernel_is_a_failed_run_that_goes_on(workplace: Path, expected: RunRecord) -> None:
    experiment = write(LONG)
    with started(workplace, "x.yaml", warm=False) as process:
        wait_for(workplace, "runs/.*.partial/checkpoint.pt")
        (kernel,) = (fork for fork in forks(os.getpid()) if not holds(fork))
        kernel.kill()
        said = said_by(process)

    assert process.returncode == 1
    assert re.search(r"headstart: Run custom_cnn-scratch-s0-\w{8} failed in cell \d+ \(fit\): ", said)
    assert "was ended by the system, as it is when memory runs out. Try a smaller batch_size" in said
    (reason,) = reasons(experiment)
    assert reason.state == "failed"
    (folder,) = Path("runs").glob("custom_cnn*")
    assert (folder / "train.ipynb").is_file()
    assert (folder / "checkpoint.pt").is_file()

    (record,) = run(experiment)

    assert_same(record, expected)
    assert "Going on after epoch" in (record.folder / "train.ipynb").read_text(encoding="utf-8")


@pytest.mark.slow
def test_killed_worker_of_the_pool_leaves_the_others_alone_and_is_retried_alone(
    forked_runs: None, workplace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    two_at_once = Options(jobs=2)  # each with half of the threads, also when tried again
    Path("whole").mkdir()
    with monkeypatch.context() as patch:
        patch.chdir("whole")
        expected, _ = run(write(TWO), two_at_once)
        expected = RunRecord.read(expected.folder.absolute())
    experiment = write(TWO)
    with started(workplace, "x.yaml", "--jobs", "2", warm=False) as process:
        wait_for(workplace, f"runs/.{expected.run_id}.partial/checkpoint.pt")
        all_forks = forks(os.getpid())
        (worker,) = (fork for fork in all_forks if holds(fork, expected.run_id))
        worker.kill()
        said = said_by(process)

    assert process.returncode == 1
    assert f"headstart: Run {expected.run_id} failed: its process was ended by SIGKILL" in said
    assert not psutil.wait_procs(all_forks, timeout=20)[1]
    other = next(p for p in plan(experiment) if p.run_id != expected.run_id)
    whole = other.record()
    assert whole is not None
    assert whole.complete
    written = (other.folder / "record.json").stat().st_mtime_ns

    first, _ = run(experiment, two_at_once)

    assert_same(first, expected)
    assert (other.folder / "record.json").stat().st_mtime_ns == written


def test_lock_of_a_dead_process_is_free(workplace: Path) -> None:
    code = (
        "import sys, time; from pathlib import Path; from pipeline.job import run_lock\n"
        "lock = run_lock(Path('runs'), 'a'); lock.acquire(); print('held', flush=True); time.sleep(60)"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, env=environment) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        assert jobs.is_taken(Path("runs"), "a")
        holder.send_signal(signal.SIGKILL)
        holder.wait()

    assert Path("runs/.locks/a.lock").is_file()
    assert not jobs.is_taken(Path("runs"), "a")


def test_death_is_not_recorded_over_a_run_that_another_process_finished(
    workplace: Path, driver: Driver
) -> None:
    (planned,) = plan(write(TINY))
    job = job_of(planned, threads=1)
    assert driver.make(job) == 0

    record_death(job, "its process was ended by SIGKILL")

    assert RunRecord.read(planned.folder).complete


def test_leftover_kernel_of_a_dead_worker_is_ended_before_its_run_is_made(workplace: Path) -> None:
    (planned,) = plan(write(TINY))
    job = job_of(planned, threads=1)
    sleeping = [sys.executable, "-c", "import time; time.sleep(600)", "ipykernel_launcher"]
    environments = [{**os.environ, RUN_FOLDER_VARIABLE: folder} for folder in (str(job.partial), "other")]
    left, others = (subprocess.Popen(sleeping, env=environment) for environment in environments)
    try:
        end_leftovers(job)
        assert left.wait(timeout=20) == -signal.SIGKILL
        assert others.poll() is None
    finally:
        for process in (left, others):
            process.kill()
            process.wait()


@pytest.fixture
def small_disk(workplace: Path) -> Iterator[Callable[[str], None]]:
    """Mount a small disk of its own at ``runs``; return what gives it another size."""
    Path("runs").mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=200k", "tmpfs", "runs"]
    if not shutil.which("mount") or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("needs the right to mount a small disk")
    yield lambda size: subprocess.run(["mount", "-o", f"remount,size={size}", "runs"], check=True)
    subprocess.run(["umount", "-l", "runs"], check=True)


@pytest.mark.slow
def test_full_disk_is_said_in_one_line_and_the_run_goes_on_when_there_is_room(
    small_disk: Callable[[str], None], workplace: Path, expected: RunRecord
) -> None:
    experiment = write(LONG)
    with started(workplace, "x.yaml", warm=False) as process:
        said = said_by(process)
    assert process.returncode in (1, 2)
    assert "No space left on device" in said or "of disk are free" in said
    assert said.strip().splitlines()[-1].startswith("headstart: ")

    small_disk("100m")
    (record,) = run(experiment)

    assert_same(record, expected)


@pytest.mark.slow
def test_file_that_cannot_be_written_is_said_in_one_line_and_the_run_goes_on(
    workplace: Path, expected: RunRecord
) -> None:
    largest = 100_000  # bytes: enough for the checkpoints, not for the notebook
    experiment = write(LONG)
    done = subprocess.run(
        [sys.executable, "-m", "pipeline", "run", "x.yaml"],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (largest, largest)),
        check=False,
    )
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert "File too large" in done.stderr.splitlines()[-1]

    (record,) = run(experiment)

    assert_same(record, expected)


@pytest.mark.slow
def test_any_moment_of_the_whole_command_can_be_its_last(workplace: Path, expected: RunRecord) -> None:
    experiment = write(LONG)
    for seconds in (3.0, 7.0):
        with started(workplace, "x.yaml") as process:
            time.sleep(seconds)
            victims = [psutil.Process(process.pid), *psutil.Process(process.pid).children(recursive=True)]
            for victim in victims:
                victim.kill()
            process.communicate()

    (record,) = run(experiment)

    assert_same(record, expected)
    assert not list(Path("runs").glob(".*.partial"))
