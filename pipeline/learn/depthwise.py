"""Depthwise convolutions with gradients in fp32, on CPUs that train in bf16.

In bf16 PyTorch computes some of these gradients on a CPU by code that is not vectorised. Measured with
PyTorch 2.15 on two cores with AVX512-BF16, batch 64, bf16 against fp32: with respect to the input, at
stride 2, 111 ms against 23 (96 channels, 48×48) and 71 against 0.8 (240 channels, 12×12); with respect
to a 5×5 kernel, 30 against 9 (672 channels, 6×6). At 3×3 and stride 1 bf16 is the faster one.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

Sides = int | Sequence[int]


def conv2d(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    stride: Sides,
    padding: Sides,
    dilation: Sides,
    groups: int,
) -> Tensor:
    """As ``torch.nn.functional.conv2d``, with gradients in fp32 where those in bf16 are slow."""
    if bias is None and torch.is_grad_enabled() and _is_slow(x, weight, stride, groups):
        answer: Tensor = _Convolution.apply(x, weight, *map(_pair, (stride, padding, dilation)), groups)
        return answer
    return F.conv2d(x, weight, bias, stride, padding, dilation, groups)


def _is_slow(x: Tensor, weight: Tensor, stride: Sides, groups: int) -> bool:
    if x.device.type != "cpu" or not torch.is_autocast_enabled("cpu"):
        return False
    depthwise = 1 < groups == x.shape[1] == weight.shape[0]
    return depthwise and (max(_pair(stride)) > 1 or max(weight.shape[2:]) > 3)


def _pair(sides: Sides) -> tuple[int, int]:
    return (sides, sides) if isinstance(sides, int) else (sides[0], sides[1])


def use_in(network: nn.Module) -> None:
    """Have the plain convolutions of a network call ``conv2d`` of this module, in place."""
    for module in network.modules():
        if (
            type(module) is nn.Conv2d
            and module.padding_mode == "zeros"
            and not isinstance(module.padding, str)
        ):
            module.__class__ = Conv2d  # the same parameters under the same names


class Conv2d(nn.Conv2d):
    """``torch.nn.Conv2d``, but for how gradients are computed."""

    def forward(self, x: Tensor) -> Tensor:
        padding = (int(self.padding[0]), int(self.padding[1]))
        return conv2d(x, self.weight, self.bias, self.stride, padding, self.dilation, self.groups)


class _Convolution(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, *how: Any) -> Tensor:
        ctx.save_for_backward(x, weight)
        ctx.how = how
        return F.conv2d(x, weight, None, *how)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        x, weight = ctx.saved_tensors
        stride, padding, dilation, groups = ctx.how
        wanted = [*ctx.needs_input_grad[:2], False]
        of_x, of_weight, _ = torch.ops.aten.convolution_backward(
            gradient.float(),
            x.float(),
            weight.float(),
            None,
            stride,
            padding,
            dilation,
            False,
            [0, 0],
            groups,
            wanted,
        )
        return of_x if of_x is None else of_x.to(x.dtype), of_weight, None, None, None, None
