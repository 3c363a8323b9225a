"""Training in fp16: the loss is scaled, steps with infinite gradients are left out."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn

from pipeline.learn import optimizers, train
from pipeline.learn.loss_scale import LossScale
from tests.learn import tiny

FP16 = replace(tiny.CPU, precision="fp16")
OPTIMIZERS = ["sgd", "adam", "adamw", "muon"]


def one_step(
    optimizer: str, machine: train.Hardware, loss_factor: float = 1.0
) -> tuple[nn.Module, LossScale]:
    """Return a network after one step by the same small gradients, and what scaled them."""
    chosen = tiny.settings(optimizer=optimizer)
    network = machine.place(tiny.network(chosen))
    built = optimizers.build(network.parameter_groups(chosen), chosen, machine)
    scale = LossScale(network, built, machine)
    scale.backward(loss_factor * sum(p.pow(2).sum() for p in network.parameters()))
    scale.take_step()
    return network, scale


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_a_scaled_step_is_the_step_that_would_be_taken_without_a_scale(optimizer: str) -> None:
    scaled, scale = one_step(optimizer, FP16)
    plain, none = one_step(optimizer, tiny.CPU)

    assert scale.scaler.get_scale() > 1
    assert not none.scaler.is_enabled()
    for (name, found), expected in zip(scaled.named_parameters(), plain.parameters(), strict=True):
        torch.testing.assert_close(found, expected, rtol=2e-4, atol=1e-6, msg=name)


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_a_step_with_an_infinite_gradient_is_left_out_and_the_scale_halved(optimizer: str) -> None:
    network, scale = one_step(optimizer, FP16, loss_factor=float("inf"))
    before = tiny.network(tiny.settings())

    assert scale.scaler.get_scale() == 2.0**15
    for found, expected in zip(network.parameters(), before.parameters(), strict=True):
        assert torch.equal(found, expected)


def test_gradients_are_clipped_as_they_are_not_as_they_were_scaled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(optimizers.optim.SGD, "step", lambda self: None)
    network, _ = one_step("sgd", FP16)
    for parameter in filter(lambda p: p.requires_grad, network.parameters()):
        torch.testing.assert_close(parameter.grad, 2 * parameter.detach())


def fit(name: str, **changes: object) -> tuple[nn.Module, train.FitResult]:
    chosen = tiny.settings(precision="fp16", **changes)
    network = tiny.network(chosen)
    return network, train.fit(network, tiny.images(chosen, FP16), chosen, tiny.run(Path.cwd(), name), FP16)


@pytest.mark.usefixtures("workplace")
def test_fp16_learns_as_fp32_does() -> None:
    _, half = fit("half", epochs=6)
    chosen = tiny.settings(epochs=6)
    whole = train.fit(tiny.network(chosen), tiny.images(chosen), chosen, tiny.run(Path.cwd()), tiny.CPU)

    assert half.history["train_loss"].iloc[-1] == pytest.approx(whole.history["train_loss"].iloc[-1], rel=0.1)


@pytest.mark.usefixtures("workplace")
def test_a_killed_run_goes_on_with_the_scale_that_it_had(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipeline.learn.loss_scale.GROWTH_STEPS", 3)
    whole, _ = fit("whole")
    once = train.train_one_epoch

    def killed(stage: train.Stage, epoch: int, reporter: train.Reporter) -> train.Scores:
        if epoch == 2:
            raise KeyboardInterrupt
        return once(stage, epoch, reporter)

    with monkeypatch.context() as patched:
        patched.setattr(train, "train_one_epoch", killed)
        with pytest.raises(KeyboardInterrupt):
            fit("killed")
    scales: list[float] = []

    def noted(stage: train.Stage, epoch: int, reporter: train.Reporter) -> train.Scores:
        scales.append(stage.loss_scale.scaler.get_scale())
        return once(stage, epoch, reporter)

    monkeypatch.setattr(train, "train_one_epoch", noted)
    resumed, _ = fit("killed")

    assert scales != [2.0**16]  # 8 steps, of which each third doubles it
    for found, expected in zip(resumed.parameters(), whole.parameters(), strict=True):
        assert torch.equal(found, expected)
