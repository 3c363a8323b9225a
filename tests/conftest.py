"""What every test shares: the project's root, and a folder of its own to run in."""

from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


@pytest.fixture
def root() -> Path:
    """The project's root folder."""
    return ROOT


@pytest.fixture
def workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder, made the current one, so that runs and caches land there."""
    monkeypatch.chdir(tmp_path)
    return tmp_path
