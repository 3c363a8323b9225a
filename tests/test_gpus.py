"""Which job gets which GPU."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from queue import SimpleQueue
from typing import Any

import pytest

from pipeline import forker, gpus, limits, process, run
from pipeline.forker import LEARNING, REPORTING, WITH_PYTORCH, warm_processes
from pipeline.job import Job
from tests.learn import tiny


@pytest.mark.parametrize(
    ("visible", "expected"),
    [(None, ["0", "1"]), ("3,5", ["3", "5"]), ("GPU-8a1c, MIG-77", ["GPU-8a1c", "MIG-77"])],
)
def test_gpus_that_the_user_made_visible_keep_their_names(
    monkeypatch: pytest.MonkeyPatch, visible: str | None, expected: list[str]
) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if visible is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    monkeypatch.setattr(gpus, "may_be_there", lambda: True)
    monkeypatch.setattr("torch.cuda.device_count", lambda: 2)

    assert gpus.visible() == expected


@pytest.mark.parametrize(("hip", "expected"), [("6.4", ["2", "3"]), (None, ["4", "5"])])
def test_gpus_have_the_names_of_the_variable_that_decides(
    monkeypatch: pytest.MonkeyPatch, hip: str | None, expected: list[str]
) -> None:
    monkeypatch.setenv("HIP_VISIBLE_DEVICES", "2,3")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,5")
    monkeypatch.setattr("torch.version.hip", hip)
    monkeypatch.setattr(gpus, "may_be_there", lambda: True)
    monkeypatch.setattr("torch.cuda.device_count", lambda: 2)

    assert gpus.visible() == expected


def test_a_job_sees_its_gpu_alone_whatever_was_visible(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HIP_VISIBLE_DEVICES", "2,3")  # on AMD's, it wins over CUDA_VISIBLE_DEVICES

    told = process._environment(replace(job("cuda"), gpu="3"))

    assert (told["HIP_VISIBLE_DEVICES"], told["CUDA_VISIBLE_DEVICES"]) == ("3", "3")


def test_each_job_gets_the_least_busy_gpu() -> None:
    shared = gpus.Shared(["a", "b"])
    with ExitStack() as all_jobs:
        first, second = ExitStack(), all_jobs
        assert first.enter_context(shared.one()) == "a"
        assert [second.enter_context(shared.one()) for _ in range(4)] == ["b", "a", "b", "a"]
        first.close()
        assert shared.jobs == {"a": 2, "b": 2}
        assert second.enter_context(shared.one()) == "a"
    assert shared.jobs == {"a": 0, "b": 0}


def test_without_a_gpu_no_job_gets_one() -> None:
    with gpus.Shared([]).one() as gpu:
        assert gpu is None


def job(device: str) -> Job:
    return Job("r", tiny.settings(device=device).model_dump(), {}, "runs", threads=1, folder=".")


def test_a_job_on_the_cpu_takes_no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    given: SimpleQueue[str | None] = SimpleQueue()
    monkeypatch.setattr(run, "run_in_process", lambda job, _: given.put(job.gpu) or "")
    shared = gpus.Shared(["7"])
    for device in ("cpu", "mps", "auto", "cuda"):
        run._run_with_gpu(job(device), shared, print)

    assert [given.get() for _ in range(4)] == [None, None, "7", "7"]


@pytest.fixture
def forked(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Any]]:
    """The modules of each process that kernels would be forked from."""
    started: list[Any] = []

    class Process:
        def __init__(self, command: list[str], **_: object):
            started.append(tuple(command[4:]))

        def communicate(self) -> None: ...

    monkeypatch.setattr(forker.subprocess, "Popen", Process)
    monkeypatch.delenv(forker.SWITCH, raising=False)
    monkeypatch.setattr(forker.sys, "platform", "linux")
    return started


@pytest.mark.parametrize("there", [True, False])
def test_nothing_is_forked_from_pytorch_where_there_may_be_a_gpu(
    forked: list[Any], monkeypatch: pytest.MonkeyPatch, there: bool
) -> None:
    monkeypatch.setattr(gpus, "may_be_there", lambda: there)
    for modules in (LEARNING, REPORTING):
        with warm_processes(modules):
            pass

    assert forked[0] == (tuple(name for name in LEARNING if name not in WITH_PYTORCH) if there else LEARNING)
    assert forked[1] == REPORTING


def test_what_is_imported_beside_pytorch_does_not_import_it() -> None:
    names = {*LEARNING, *REPORTING} - {*WITH_PYTORCH}
    code = f"import sys, {', '.join(sorted(names))}; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout == "False\n"


@pytest.mark.parametrize(("jobs", "together"), [(1, 1), (2, 1), (3, 2), (4, 2)])
def test_a_trial_has_the_share_of_a_gpu_that_a_job_will_have(
    monkeypatch: pytest.MonkeyPatch, workplace: object, jobs: int, together: int
) -> None:
    class Gpu:
        device = type("device", (), {"type": "cuda"})
        precision = "fp32"

    shares: list[int] = []
    monkeypatch.setattr("pipeline.learn.device.choose", lambda _: Gpu)
    monkeypatch.setattr(gpus, "visible", lambda: ["0", "1"])
    monkeypatch.setattr(limits, "try_batches", lambda _, together: shares.append(together))
    limits.check([tiny.settings()], workplace / "runs", jobs)  # type: ignore[operator]

    assert shares == [together]
