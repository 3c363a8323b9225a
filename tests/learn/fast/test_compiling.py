"""torch.compile, where it is asked for."""

from pathlib import Path

import pytest
import torch

from pipeline.learn import train
from pipeline.learn.fast import compiling
from tests.learn import tiny


def test_not_asked_for_it_is_the_network_itself() -> None:
    network = tiny.network(tiny.settings())
    assert compiling.forward(network, tiny.settings(), tiny.CPU) is network


def test_missing_compiler_is_said_and_not_an_error(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(compiling.shutil, "which", lambda name: None)
    network = tiny.network(tiny.settings())
    assert compiling.forward(network, tiny.settings(compile=True), tiny.CPU) is network
    assert "needs a C++ compiler" in capsys.readouterr().out


def test_failure_to_compile_is_said_and_not_an_error(
    workplace: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(x: torch.Tensor) -> None:
        raise RuntimeError("the compiler crashed")

    monkeypatch.setattr(torch, "compile", lambda module, dynamic: fail)
    chosen = tiny.settings(compile=True, epochs=1)
    train.fit(tiny.network(chosen), tiny.images(chosen), chosen, tiny.run(workplace), tiny.CPU)
    assert capsys.readouterr().out.count("torch.compile is not used: it failed (RuntimeError)") == 1


@pytest.mark.slow
@pytest.mark.filterwarnings("default")  # of the compiler's own making
def test_compiled_training_follows_plain_training(
    workplace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    losses = []
    for compile in (False, True):
        chosen = tiny.settings(compile=compile, epochs=2)
        run = tiny.run(workplace, str(compile))
        fitted = train.fit(tiny.network(chosen), tiny.images(chosen), chosen, run, tiny.CPU)
        losses.append(fitted.history["train_loss"].tolist())
    assert losses[0] == pytest.approx(losses[1], rel=1e-3)
    assert "torch.compile is used" in capsys.readouterr().out
