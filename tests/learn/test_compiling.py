"""torch.compile, where it pays."""

from pathlib import Path

import pytest
import torch

from pipeline.learn import compiling, training
from tests.learn import tiny

BF16 = tiny.Hardware(torch.device("cpu"), "bf16", threads=1, channels_last=True)
MANY = compiling.LEAST_IMAGES


@pytest.mark.parametrize(
    ("pays", "changes", "machine", "images"),
    [
        (True, {}, BF16, MANY),
        (False, {}, BF16, MANY - 1),
        (False, {}, tiny.CPU, MANY),
        (False, {"widths": [64, 256]}, BF16, MANY),
        (False, {"model": "resnet18"}, BF16, MANY),
    ],
)
def test_auto_compiles_only_what_was_seen_to_pay(
    pays: bool, changes: dict[str, object], machine: tiny.Hardware, images: int
) -> None:
    assert compiling.pays(tiny.settings(**changes), machine, images) is pays


def test_off_is_the_network_itself() -> None:
    network = tiny.network(tiny.settings())
    assert compiling.forward(network, tiny.settings(compile="off"), BF16, MANY) is network


def test_missing_compiler_is_said_and_not_an_error(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(compiling.shutil, "which", lambda name: None)
    network = tiny.network(tiny.settings())
    assert compiling.forward(network, tiny.settings(compile="on"), tiny.CPU, 1) is network
    assert "needs a C++ compiler" in capsys.readouterr().out


def test_failure_to_compile_is_said_and_not_an_error(
    workplace: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(x: torch.Tensor) -> None:
        raise RuntimeError("the compiler crashed")

    monkeypatch.setattr(torch, "compile", lambda module, dynamic: fail)
    chosen = tiny.settings(compile="on", epochs=1)
    training.fit(tiny.network(chosen), tiny.images(chosen), chosen, tiny.run(workplace), tiny.CPU)
    assert capsys.readouterr().out.count("torch.compile is not used: it failed (RuntimeError)") == 1


@pytest.mark.slow
@pytest.mark.filterwarnings("default")  # of the compiler's own making
def test_compiled_training_follows_plain_training(
    workplace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    losses = []
    for compile in ("off", "on"):
        chosen = tiny.settings(compile=compile, epochs=2)
        run = tiny.run(workplace, compile)
        fitted = training.fit(tiny.network(chosen), tiny.images(chosen), chosen, run, tiny.CPU)
        losses.append(fitted.history["train_loss"].tolist())
    assert losses[0] == pytest.approx(losses[1], rel=1e-3)
    assert "torch.compile is used" in capsys.readouterr().out
