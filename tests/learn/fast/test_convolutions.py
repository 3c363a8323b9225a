"""Convolutions whose gradients are computed another way are the same convolutions."""

import copy

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from pipeline.learn import device
from pipeline.learn.fast import convolutions
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
    convolutions.use_in(ours)
    x = torch.randn(4, CHANNELS, 11, 11)

    exact, found = gradients(plain, x, autocast=False), gradients(ours, x, autocast=True)

    assert found[0].dtype == torch.bfloat16
    for one, other in zip(exact, found, strict=True):
        assert torch.linalg.norm(one - other.float()) < 0.01 * torch.linalg.norm(one)


@pytest.mark.parametrize(
    ("sides", "padding", "dilation"),
    [((1, 1), (2, 2), 1), ((2, 2), (2, 2), 1), ((4, 3), (1, 2), 1), ((4, 4), (4, 3), 2), ((3, 4), (4, 3), 2)],
)
def test_gradients_by_place_are_those_of_small_images(
    sides: tuple[int, int], padding: tuple[int, int], dilation: int
) -> None:
    torch.manual_seed(0)
    plain = nn.Conv2d(CHANNELS, CHANNELS, 5, padding=padding, dilation=dilation, groups=CHANNELS, bias=False)
    ours = nn.Sequential(copy.deepcopy(plain))
    convolutions.use_in(ours)
    x = torch.randn(7, CHANNELS, *sides)

    exact, found = gradients(plain, x, autocast=False), gradients(ours, x, autocast=False)

    assert "_Depthwise" in type(found[0].grad_fn).__name__
    for one, other in zip(exact, found, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(("kernel", "stride"), SHAPES)
def test_without_autocast_nothing_changes_for_larger_images(kernel: int, stride: int) -> None:
    plain = nn.Conv2d(CHANNELS, CHANNELS, kernel, stride, 1, groups=CHANNELS, bias=False)
    ours = nn.Sequential(copy.deepcopy(plain))
    convolutions.use_in(ours)
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
        answer = convolutions.conv2d(x, weight, None, stride, kernel // 2, 1, groups)
        plain = F.conv2d(x, weight, None, stride, kernel // 2, 1, groups)

    assert torch.equal(answer, plain)
    assert ("_Depthwise" in type(answer.grad_fn).__name__) == ours


@pytest.mark.parametrize("padding", [(1, 1), (0, 1), (2, 1), (1, 2)])
@pytest.mark.parametrize("width", [1, 2, 5, 8])
@pytest.mark.parametrize("batch", [1, 7, 12])
def test_gradients_of_narrow_images_side_by_side_are_theirs(
    batch: int, width: int, padding: tuple[int, int]
) -> None:
    torch.manual_seed(0)
    plain = nn.Conv2d(CHANNELS, 8, (3, 2 * padding[1] + 1), padding=padding, bias=False)
    ours = nn.Sequential(copy.deepcopy(plain))
    convolutions.use_in(ours, amx=True)
    x = torch.randn(batch, CHANNELS, 6, width)

    exact, found = gradients(plain, x, autocast=False), gradients(ours, x, autocast=True)

    assert "_Narrow" in type(found[0].grad_fn).__name__
    assert [part.dtype for part in found] == [torch.bfloat16, torch.float32, torch.float32]
    for one, other in zip(exact, found, strict=True):
        assert torch.linalg.norm(one - other.float()) < 0.01 * torch.linalg.norm(one)


@pytest.mark.parametrize(
    ("amx", "width", "options"),
    [
        (False, 8, {}),
        (True, 9, {}),
        (True, 8, {"stride": 2}),
        (True, 8, {"dilation": 2}),
        (True, 8, {"groups": 2}),
        (True, 8, {"padding": 0}),
    ],
)
def test_other_images_are_not_laid_side_by_side(amx: bool, width: int, options: dict[str, int]) -> None:
    network = nn.Sequential(nn.Conv2d(4, 4, 3, **{"padding": 1, "bias": False, **options}))
    convolutions.use_in(network, amx)
    with torch.autocast("cpu", torch.bfloat16):
        answer = network(torch.randn(2, 4, 8, width))

    assert "_Narrow" not in type(answer.grad_fn).__name__


@pytest.mark.parametrize(("count", "per_row"), [(12, 12), (13, 13), (34, 17), (46, 23), (29, 1), (48, 24)])
def test_images_lie_side_by_side_with_gaps_of_zeros(count: int, per_row: int) -> None:
    images = torch.arange(count * 2.0).view(count, 2, 1, 1) + 1

    torch.use_deterministic_algorithms(True)  # what is not written is then NaN
    try:
        rows = convolutions.side_by_side(images, gap=1)
    finally:
        torch.use_deterministic_algorithms(False)

    assert rows.shape == (count // per_row, 2, 1, 2 * per_row)
    assert torch.equal(rows[..., ::2].permute(0, 3, 1, 2).flatten(0, 1), images[..., 0])
    assert not rows[..., 1::2].any()


def test_network_keeps_its_parameters_and_what_is_no_plain_convolution() -> None:
    network = nn.Sequential(
        nn.Conv2d(3, 4, 3), nn.Conv2d(4, 4, 3, padding="same"), nn.Conv2d(4, 4, 3, padding_mode="reflect")
    )
    before = copy.deepcopy(network.state_dict())
    convolutions.use_in(network)

    assert [type(m) is convolutions.Conv2d for m in network] == [True, False, False]
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    assert network(torch.randn(1, 3, 9, 9)).shape == (1, 4, 5, 5)


def test_networks_are_prepared_on_a_cpu() -> None:
    bf16 = tiny.Hardware(torch.device("cpu"), "bf16", threads=1, channels_last=True)

    assert type(bf16.place(nn.Sequential(nn.Conv2d(3, 4, 3)))[0]) is convolutions.Conv2d  # type: ignore[index]
    placed = bf16.place(nn.Sequential(nn.Conv2d(3, 4, 3)))[0]  # type: ignore[index]
    assert placed.amx == device.has_amx()
    assert type(tiny.CPU.place(nn.Sequential(nn.Conv2d(3, 4, 3)))[0]) is convolutions.Conv2d  # type: ignore[index]


@pytest.mark.parametrize("side", [8, 9])
@pytest.mark.parametrize("kernel", [3, 5])
def test_convolutions_that_pad_as_tensorflow_does_are_made_quicker_too(side: int, kernel: int) -> None:
    from timm.layers import Conv2dSame

    torch.manual_seed(0)
    plain = Conv2dSame(CHANNELS, CHANNELS, kernel, 2, groups=CHANNELS, bias=False)
    ours = nn.Sequential(copy.deepcopy(plain))
    convolutions.use_in(ours)
    assert type(ours[0]) is convolutions.SameConv2d
    x = torch.randn(2, CHANNELS, side, side)

    for one, other in zip(gradients(plain, x, False), gradients(ours, x, False), strict=True):
        assert torch.equal(one, other)
    exact, found = gradients(plain, x, autocast=False), gradients(ours, x, autocast=True)
    for one, other in zip(exact, found, strict=True):
        assert torch.linalg.norm(one - other.float()) < 0.01 * torch.linalg.norm(one)
