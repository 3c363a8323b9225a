"""The number of threads follows the cores that other processes leave free, unless it is fixed."""

import subprocess
import sys
import time
from collections.abc import Iterator

import pytest
import torch

from pipeline.experiment import RunSettings
from pipeline.learn import device
from pipeline.learn.fast import threads
from pipeline.learn.fast.threads import Threads, fitting


@pytest.fixture(autouse=True)
def same_threads_afterwards() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize(
    ("most", "cores", "others", "expected"),
    [
        (2, 2, 0.0, 2),
        (2, 2, 0.3, 2),
        (2, 2, 0.5, 1),
        (2, 2, 1.0, 1),
        (2, 2, 2.0, 1),
        (8, 8, 1.0, 7),
        (8, 8, 3.5, 4),
        (4, 8, 3.0, 4),
        (1, 8, 8.0, 1),
    ],
)
def test_threads_that_fit_beside_others(most: int, cores: int, others: float, expected: int) -> None:
    assert fitting(most, cores, others) == expected


class Cores(Threads):
    """Threads that are told how busy two cores are, one look after the other."""

    def __init__(self, looks: list[tuple[float, float, float]]):
        self.looks = iter(looks)
        super().__init__(2, follows=True)

    def _look(self) -> tuple[float, float, float]:
        return next(self.looks)


def test_threads_follow_nobody_where_the_system_shows_no_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    def hidden(percpu: bool) -> None:
        raise PermissionError(13, "Permission denied", "/proc/stat")

    monkeypatch.setattr(threads.psutil, "cpu_times", hidden)
    monkeypatch.setattr(threads, "SECONDS_BETWEEN_LOOKS", 0.0)
    cores = Threads(2, follows=True)
    cores.step()

    assert cores.used() == 2


def test_threads_follow_others_that_come_and_go(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threads, "_cores", lambda: [0, 1])
    # seconds, worked by all, worked by this process: alone, beside a busy one, alone again
    cores = Cores([(0, 0, 0), (1, 2, 2), (2, 4, 3.2), (3, 6, 4.2), (4, 7, 5.2)])
    found = []
    for _ in range(4):
        cores._follow()
        cores._steps[cores.now] += 1
        found.append((cores.now, torch.get_num_threads()))

    assert found == [(2, 2), (1, 1), (1, 1), (2, 2)]
    assert cores.used() in (1, 2)
    assert cores.used() == 2  # nothing since: as many as now


def test_threads_that_most_steps_had_are_noted() -> None:
    cores = Threads(2, follows=False)
    cores.step()
    cores.set(1)
    cores.step()
    cores.step()

    assert cores.used() == 1


def test_busy_process_is_seen_and_fixed_threads_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threads, "SECONDS_BETWEEN_LOOKS", 0.5)
    count = len(threads._cores())
    busy = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(count)]
    try:
        following, fixed = Threads(count, follows=True), Threads(count, follows=False)
        end = time.monotonic() + 3
        while time.monotonic() < end:
            following.step()
            fixed.step()
            time.sleep(0.01)
    finally:
        for process in busy:
            process.kill()
            process.wait()

    assert following.now <= max(1, count // 2)
    assert fixed.now == count


@pytest.mark.parametrize(
    ("environment", "wanted", "follows"),
    [
        ({}, None, True),
        ({}, 2, False),
        ({"HEADSTART_THREADS": "2", "OMP_NUM_THREADS": "2"}, None, True),  # both set by the parent
        ({"HEADSTART_THREADS": "2", "HEADSTART_THREADS_FIXED": "1"}, None, False),
        ({"OMP_NUM_THREADS": "2"}, None, False),
    ],
)
def test_what_fixes_the_threads(
    monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], wanted: int | None, follows: bool
) -> None:
    for name in ("HEADSTART_THREADS", "HEADSTART_THREADS_FIXED", "OMP_NUM_THREADS"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(device, "cpu_count", lambda: 2)
    settings = RunSettings(device="cpu", threads=wanted)

    tuned = device.tune(device.choose(settings), settings.threads)

    assert tuned.threads == 2
    assert tuned.cores is not None
    assert tuned.cores.follows == follows
