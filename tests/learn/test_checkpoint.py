"""Checkpoints are written as often as they cost little."""

from pathlib import Path
from typing import Any

import pytest

from pipeline.learn import checkpoint


class Clock:
    """Time that passes only while something is done."""

    def __init__(self) -> None:
        self.now = 100.0

    def monotonic(self) -> float:
        return self.now


def test_checkpoints_take_a_twentieth_of_the_time_at_most(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock, written = Clock(), []

    def write(path: Path, key: str, state: dict[str, Any]) -> None:
        clock.now += 0.5
        written.append(state["epoch"])

    monkeypatch.setattr(checkpoint.time, "monotonic", clock.monotonic)
    monkeypatch.setattr(checkpoint, "write", write)
    keeper = checkpoint.Keeper(tmp_path / "checkpoint.pt", "key")
    for epoch in range(1, 41):
        clock.now += 1.0
        keeper.keep(lambda epoch=epoch: {"epoch": epoch})
    assert written == [1, 11, 21, 31]  # half a second each, so ten seconds apart


def test_every_long_epoch_has_its_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock, path = Clock(), tmp_path / "checkpoint.pt"
    monkeypatch.setattr(checkpoint.time, "monotonic", clock.monotonic)
    keeper = checkpoint.Keeper(path, "key")
    for epoch in range(1, 4):
        clock.now += 60.0
        keeper.keep(lambda epoch=epoch: {"epoch": epoch})
        assert checkpoint.read(path, "key", "cpu")["epoch"] == epoch
