"""Optimizers, and the learning rate of each step."""

from itertools import pairwise

import pytest
import torch
from torch import nn

from pipeline.learn import optimizers
from tests.learn import tiny

STEPS, PER_EPOCH = 100, 10


def rates(**changes: object) -> list[float]:
    chosen = tiny.settings(**changes)
    return [optimizers.schedule(chosen, step, STEPS, PER_EPOCH) for step in range(STEPS)]


@pytest.mark.parametrize("schedule", ["constant", "cosine", "one_cycle"])
@pytest.mark.parametrize("warmup", [0.0, 2.5])
def test_learning_rate_stays_within_its_highest(schedule: str, warmup: float) -> None:
    assert all(0 < rate <= 1 for rate in rates(schedule=schedule, warmup_epochs=warmup))


def test_one_cycle_rises_for_a_quarter_and_falls_to_nearly_zero() -> None:
    found = rates(schedule="one_cycle")
    top = found.index(max(found))
    assert top == 24
    assert found[: top + 1] == sorted(found[: top + 1])
    assert found[top:] == sorted(found[top:], reverse=True)
    assert found[0] < 0.2
    assert found[-1] < 0.02


def test_cosine_falls_along_half_a_wave() -> None:
    found = rates(schedule="cosine")
    assert found[0] == 1
    assert found[50] == pytest.approx(0.5)
    assert found[-1] < 0.001


def test_constant_stays() -> None:
    assert set(rates(schedule="constant")) == {1.0}


@pytest.mark.parametrize("schedule", ["constant", "cosine"])
def test_warm_up_rises_in_a_line_over_its_epochs(schedule: str) -> None:
    found = rates(schedule=schedule, warmup_epochs=2.0)
    steps = [b - a for a, b in pairwise(found[:20])]
    assert found[:20] == sorted(found[:20])
    assert steps == pytest.approx([steps[0]] * 19)
    assert found[20] == 1


def test_one_step_in_all_is_enough_for_every_schedule() -> None:
    for schedule in ("constant", "cosine", "one_cycle"):
        assert 0 < optimizers.schedule(tiny.settings(schedule=schedule), 0, 1, 1) <= 1


@pytest.mark.parametrize(
    ("name", "kind"), [("sgd", torch.optim.SGD), ("adam", torch.optim.Adam), ("adamw", torch.optim.AdamW)]
)
def test_optimizer_is_the_one_named(name: str, kind: type) -> None:
    chosen = tiny.settings(optimizer=name)
    groups = tiny.network(chosen).parameter_groups(chosen)
    built = optimizers.build(groups, chosen, torch.device("cpu"))
    assert type(built) is kind
    assert [g["weight_decay"] for g in built.param_groups] == [chosen.weight_decay, 0.0]


def test_each_group_keeps_its_share_of_the_learning_rate() -> None:
    groups = [
        {"params": [nn.Parameter(torch.ones(1))], "lr": rate, "weight_decay": 0.0} for rate in (1.0, 0.1)
    ]
    built = optimizers.build(groups, tiny.settings(optimizer="sgd"), torch.device("cpu"))
    optimizers.set_learning_rate(built, 0.5)
    assert [g["lr"] for g in built.param_groups] == [0.5, 0.05]


def test_clipping_bounds_the_norm_of_all_gradients() -> None:
    layer = nn.Linear(4, 4)
    (1000 * layer(torch.ones(2, 4))).sum().backward()
    optimizers.clip(layer, tiny.settings(gradient_clip=1.0))
    norm = torch.cat([p.grad.flatten() for p in layer.parameters() if p.grad is not None]).norm()
    assert norm.item() == pytest.approx(1.0, rel=1e-4)
