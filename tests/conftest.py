"""What every test shares: the project's root, and a folder of its own to run in."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


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


@pytest.fixture
def root() -> Path:
    """The project's root folder."""
    return ROOT


@pytest.fixture
def workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder, made the current one, so that runs and caches land there."""
    monkeypatch.chdir(tmp_path)
    return tmp_path
