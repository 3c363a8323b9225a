"""What every test shares: the project's root, and a folder of its own to run in."""

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from pathlib import Path

import pytest
from filelock import FileLock

from pipeline.forker import LEARNING, warm_processes

ROOT = Path(__file__).parent.parent
# The files that take longest begin first, in this order, so that two workers end at about the same time.
LONGEST = (
    "faults/test_killed.py",
    "test_run.py",
    "report/page/test_browser.py",
    "report/render/test_golden.py",
    "inference/test_export.py",
    "report/chapters/test_chapters.py",
    "faults/test_processes.py",
    "learn/data/test_dataset.py",
    "learn/test_real_photographs.py",
    "bench/test_growth.py",
    "learn/fast/test_compiling.py",
    "test_colab.py",
    "test_init.py",
    "report/page/test_parts.py",
    "report/page/test_fuzzed.py",
    "test_dask.py",
    "test_hostile.py",
    "test_other_systems.py",
    "learn/test_train.py",
    "report/render/test_execute.py",
    "test_bad_input.py",
    "test_forker.py",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let the longest files begin; the order within a file stays."""
    places = {ROOT / "tests" / name: place for place, name in enumerate(LONGEST)}
    items.sort(key=lambda item: places.get(item.path, len(places)))


def made_once(factory: pytest.TempPathFactory, name: str, make: Callable[[Path], object]) -> Path:
    """Return a folder that ``make`` has filled, for all workers that run tests side by side."""
    own = factory.getbasetemp()
    folder = (own.parent if "PYTEST_XDIST_WORKER" in os.environ else own) / name
    with FileLock(f"{folder}.lock"):
        if not Path(f"{folder}.made").exists():
            folder.mkdir()
            make(folder)
            Path(f"{folder}.made").touch()
    return folder


def interruptible() -> None:
    """Let a child process be ended by SIGINT, also where these tests ignore it, as in the background."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@pytest.fixture(autouse=True)
def own_variables() -> Iterator[None]:
    """Undo what a command says to its child processes through the environment, as with --offline."""
    before = {name: value for name, value in os.environ.items() if name.startswith("HEADSTART_")}
    yield
    for name in [name for name in os.environ if name.startswith("HEADSTART_")]:
        del os.environ[name]
    os.environ.update(before)


@pytest.fixture(scope="module")
def forked_runs() -> Iterator[None]:
    """Fork all runs of a file's own process from one that has imported PyTorch once, not once a command."""
    with warm_processes((*LEARNING, "tests.quick_speed")), pytest.MonkeyPatch.context() as patch:
        patch.setattr("pipeline.run.warm_processes", lambda _: nullcontext())
        yield


@pytest.fixture
def root() -> Path:
    """The project's root folder."""
    return ROOT


@pytest.fixture
def workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder, made the current one, so that runs and caches land there."""
    monkeypatch.chdir(tmp_path)
    return tmp_path
