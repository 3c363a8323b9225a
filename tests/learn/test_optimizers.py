"""Optimizers, and the learning rate of each step."""

import copy
from dataclasses import replace
from itertools import pairwise

import pytest
import torch
from torch import nn

from pipeline.learn import optimizers
from pipeline.learn.device import Hardware
from tests.learn import tiny

STEPS, PER_EPOCH = 100, 10
BF16 = replace(tiny.CPU, precision="bf16")


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
    built = optimizers.build(groups, chosen, tiny.CPU)
    assert type(built) is kind
    assert [g["weight_decay"] for g in built.param_groups] == [chosen.weight_decay, 0.0]


def muon(layer: nn.Module, machine: Hardware = tiny.CPU, **changes: object) -> optimizers.Together:
    chosen = tiny.settings(optimizer="muon", **{"momentum": 0.6, "learning_rate": 0.1, **changes})
    group = {"params": [*layer.parameters()], "lr": chosen.learning_rate, "weight_decay": 0.1}
    built = optimizers.build([group], chosen, machine)
    assert isinstance(built, optimizers.Together)
    return built


@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("kernel", [1, 3])
def test_muon_steps_as_pytorchs_own_does_on_matrices(memory_format: torch.memory_format, kernel: int) -> None:
    torch.manual_seed(0)
    layer = nn.Conv2d(6, 8, kernel, bias=False).to(memory_format=memory_format)
    plain = nn.Parameter(layer.weight.detach().clone(memory_format=torch.contiguous_format).flatten(1))
    before, own = plain.detach().clone(), muon(layer, BF16)
    options = {"momentum": 0.6, "nesterov": True, "adjust_lr_fn": "match_rms_adamw"}
    reference = torch.optim.Muon(
        [plain], lr=0.1, weight_decay=0.1, ns_steps=optimizers.ORTHOGONALISING_STEPS, **options
    )
    for _ in range(3):
        x = torch.randn(4, 6, 5, 5)
        own.zero_grad()
        layer(x).square().sum().backward()
        assert layer.weight.grad is not None
        plain.grad = layer.weight.grad.clone(memory_format=torch.contiguous_format).flatten(1)
        own.step()
        reference.step()
    # It orthogonalises in bf16, where another order of columns rounds differently.
    assert torch.allclose(layer.weight.flatten(1), plain, atol=0.01)
    assert (plain.detach() - before).abs().mean() > 0.02


@pytest.mark.parametrize("machine", [BF16, tiny.CPU], ids=["bf16", "fp32"])
def test_muon_computes_in_the_precision_of_the_run(machine: Hardware) -> None:
    layer = nn.Conv2d(25, 4, 1, bias=False)  # of 25 columns: its updates are not scaled
    nn.init.zeros_(layer.weight)
    own = muon(layer, machine, learning_rate=1.0)
    torch.manual_seed(0)
    layer.weight.grad = torch.randn_like(layer.weight)
    own.step()
    in_bf16 = torch.equal(layer.weight, layer.weight.bfloat16().float())
    assert in_bf16 == (machine is BF16)
    sizes = torch.linalg.svdvals(layer.weight.detach().flatten(1))
    assert ((sizes > 0.5) & (sizes < 1.3)).all()  # 1 if exact, which its few iterations are not


def test_muon_makes_updates_orthogonal_and_leaves_the_rest_to_adamw() -> None:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(8, 4, 3), nn.Flatten(), nn.Linear(4, 2))
    before = {name: p.detach().clone() for name, p in network.named_parameters()}
    built = muon(network, learning_rate=1.0)
    assert [type(part) for part in built.optimizers] == [optimizers.ConvolutionMuon, torch.optim.AdamW]
    network(torch.randn(5, 8, 3, 3)).square().sum().backward()
    built.step()
    change = (network[0].weight - before["0.weight"] * 0.9).flatten(1)
    gradient = network[0].weight.grad
    assert gradient is not None
    # Two answers push in two directions, of which one is by far the stronger.
    strengths, sizes = torch.linalg.svdvals(gradient.flatten(1))[:2], torch.linalg.svdvals(change)[:2]
    assert strengths[0] > 3 * strengths[1]
    assert sizes[0] < 1.5 * sizes[1]
    assert all(not torch.equal(p, before[name]) for name, p in network.named_parameters())


def test_muon_without_convolutions_is_adamw() -> None:
    (only,) = muon(nn.Linear(3, 2)).optimizers
    assert type(only) is torch.optim.AdamW


def test_muon_forgets_gradients_and_goes_on_from_its_state() -> None:
    layers = [nn.Conv2d(3, 4, 3) for _ in range(2)]
    layers[1].load_state_dict(layers[0].state_dict())
    first, second = (muon(layer) for layer in layers)
    x = torch.randn(2, 3, 4, 4)
    for _ in range(2):
        first.zero_grad()
        assert all(p.grad is None for p in layers[0].parameters())
        layers[0](x).square().sum().backward()
        first.step()
    layers[1].load_state_dict(layers[0].state_dict())
    second.load_state_dict(copy.deepcopy(first.state_dict()))
    for layer, built in zip(layers, (first, second), strict=True):
        built.zero_grad()
        layer(x).square().sum().backward()
        built.step()
    assert torch.equal(layers[0].weight, layers[1].weight)
    assert torch.equal(layers[0].bias, layers[1].bias)


def test_each_group_keeps_its_share_of_the_learning_rate() -> None:
    groups = [
        {"params": [nn.Parameter(torch.ones(1))], "lr": rate, "weight_decay": 0.0} for rate in (1.0, 0.1)
    ]
    built = optimizers.build(groups, tiny.settings(optimizer="sgd"), tiny.CPU)
    optimizers.set_learning_rate(built, 0.5)
    assert [g["lr"] for g in built.param_groups] == [0.5, 0.05]


def test_clipping_bounds_the_norm_of_all_gradients() -> None:
    layer = nn.Linear(4, 4)
    (1000 * layer(torch.ones(2, 4))).sum().backward()
    optimizers.clip(layer, tiny.settings(gradient_clip=1.0))
    norm = torch.cat([p.grad.flatten() for p in layer.parameters() if p.grad is not None]).norm()
    assert norm.item() == pytest.approx(1.0, rel=1e-4)
