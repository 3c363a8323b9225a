"""Convolutions with gradients in fp32 are the same convolutions."""

import copy

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from pipeline.learn import depthwise
from tests.learn import tiny

CHANNELS = 12
SHAPES = [(3, 1), (3, 2), (5, 1), (5, 2)]  # kernel side, stride


def gradients(convolution: nn.Module, x: torch.Tensor, autocast: bool) -> tuple[torch.Tensor, ...]:
    """Return the answer, and the gradients of its weighted sum for input and weight."""
    x = x.detach().requires_grad_()
    with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
        answer = convolution(x)
    weights = torch.linspace(-1, 1, answer.numel()).view(answer.shape)
    (answer.float() * weights).sum().backward()
    weight = next(convolution.parameters())
    assert x.grad is not None
    assert weight.grad is not None
    return answer, x.grad, weight.grad


@pytest.mark.parametrize(("kernel", "stride"), SHAPES)
@pytest.mark.parametrize("groups", [1, CHANNELS])
def test_gradients_are_those_of_fp32_within_the_rounding_of_bf16(
    kernel: int, stride: int, groups: int
) -> None:
    torch.manual_seed(0)
    plain = nn.Conv2d(CHANNELS, CHANNELS, kernel, stride, kernel // 2, groups=groups, bias=False)
    ours = nn.Sequential(copy.deepcopy(plain))
    depthwise.use_in(ours)
    x = torch.randn(4, CHANNELS, 11, 11)

    exact, found = gradients(plain, x, autocast=False), gradients(ours, x, autocast=True)

    assert found[0].dtype == torch.bfloat16
    for one, other in zip(exact, found, strict=True):
        assert torch.linalg.norm(one - other.float()) < 0.01 * torch.linalg.norm(one)


@pytest.mark.parametrize(("kernel", "stride"), SHAPES)
def test_without_autocast_nothing_changes(kernel: int, stride: int) -> None:
    plain = nn.Conv2d(CHANNELS, CHANNELS, kernel, stride, 1, groups=CHANNELS, bias=False)
    ours = nn.Sequential(copy.deepcopy(plain))
    depthwise.use_in(ours)
    x = torch.randn(2, CHANNELS, 9, 9)

    for one, other in zip(gradients(plain, x, False), gradients(ours, x, False), strict=True):
        assert torch.equal(one, other)


@pytest.mark.parametrize(
    ("kernel", "stride", "groups", "ours"),
    [(3, 1, CHANNELS, False), (3, 2, CHANNELS, True), (5, 1, CHANNELS, True), (5, 2, 1, False)],
)
def test_only_gradients_that_bf16_makes_slow_are_computed_otherwise(
    kernel: int, stride: int, groups: int, ours: bool
) -> None:
    x = torch.randn(2, CHANNELS, 9, 9, requires_grad=True)
    weight = torch.randn(CHANNELS, CHANNELS // groups, kernel, kernel, requires_grad=True)
    with torch.autocast("cpu", torch.bfloat16):
        answer = depthwise.conv2d(x, weight, None, stride, kernel // 2, 1, groups)
        plain = F.conv2d(x, weight, None, stride, kernel // 2, 1, groups)

    assert torch.equal(answer, plain)
    assert ("_Convolution" in type(answer.grad_fn).__name__) == ours


def test_network_keeps_its_parameters_and_what_is_no_plain_convolution() -> None:
    network = nn.Sequential(
        nn.Conv2d(3, 4, 3), nn.Conv2d(4, 4, 3, padding="same"), nn.Conv2d(4, 4, 3, padding_mode="reflect")
    )
    before = copy.deepcopy(network.state_dict())
    depthwise.use_in(network)

    assert [type(m) is depthwise.Conv2d for m in network] == [True, False, False]
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    assert network(torch.randn(1, 3, 9, 9)).shape == (1, 4, 5, 5)


def test_networks_are_prepared_where_bf16_runs_on_a_cpu() -> None:
    bf16 = tiny.Hardware(torch.device("cpu"), "bf16", threads=1, channels_last=True)

    assert type(bf16.place(nn.Sequential(nn.Conv2d(3, 4, 3)))[0]) is depthwise.Conv2d  # type: ignore[index]
    assert type(tiny.CPU.place(nn.Sequential(nn.Conv2d(3, 4, 3)))[0]) is nn.Conv2d  # type: ignore[index]
