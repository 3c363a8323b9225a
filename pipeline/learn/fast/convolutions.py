"""Convolutions whose gradients are computed another way, where PyTorch's own way in bf16 is slow on a CPU.

Depthwise convolutions get some of their gradients in fp32, because PyTorch computes those in bf16 by
code that is not vectorised. Measured with PyTorch 2.15 on two cores with AVX512-BF16, batch 64, bf16
against fp32: with respect to the input, at stride 2, 111 ms against 23 (96 channels, 48×48) and 71
against 0.8 (240 channels, 12×12); with respect to a 5×5 kernel, 30 against 9 (672 channels, 6×6). At
3×3 and stride 1 bf16 is the faster one.

Depthwise convolutions of images smaller than their filter get both gradients one place of the filter
after the other, because PyTorch has only unvectorised code for them. Measured with PyTorch 2.15 in fp32
on two cores with AVX2, batch 64, PyTorch's way against this one: 38 ms against 0.3 (1,152 channels, 5×5,
image 1×1), 45 against 2.5 (672 channels, 5×5, image 2×2), 20 against 1.5 (480 channels, 3×3, image 2×2).
A step of
EfficientNet-Lite0 takes 0.48 of its time at 32 px and 0.7 at 64.

On CPUs with AMX, convolutions of narrow images get the gradient of their filters from several images
laid side by side: AMX multiplies whole tiles of pixels, and rows of a few leave them nearly empty.
Measured with PyTorch 2.15 on two such cores, 3×3, each image alone against side by side: 34 ms against
7.5 (512 channels, 4×4, batch 128), 5.8 against 1.4 (256 channels, 3×3, batch 128), 22.6 against 8.8
(512 channels, 7×7, batch 64), 2.8 against 1.9 (256 channels, 8×8, batch 32).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

Sides = int | Sequence[int]

NARROW = 8  # pixels; from about ten on, laying images side by side costs what it saves
ROW = 48  # pixels that images side by side may come to


@dataclass(frozen=True)
class How:
    """The arguments of a convolution, for height and width."""

    stride: tuple[int, int]
    padding: tuple[int, int]
    dilation: tuple[int, int]
    groups: int

    def answer(self, x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
        return F.conv2d(x, weight, bias, self.stride, self.padding, self.dilation, self.groups)

    def gradients(
        self, gradient: Tensor, x: Tensor, weight: Tensor, wanted: Sequence[bool]
    ) -> tuple[Tensor | None, Tensor | None]:
        """Return PyTorch's own gradients of input and weight, those that are wanted."""
        stride, padding, dilation = list(self.stride), list(self.padding), list(self.dilation)
        of_x, of_weight, _ = torch.ops.aten.convolution_backward(
            gradient, x, weight, None, stride, padding, dilation, False, [0, 0], self.groups, [*wanted, False]
        )
        return of_x, of_weight


def conv2d(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    stride: Sides,
    padding: Sides,
    dilation: Sides,
    groups: int,
    amx: bool = False,
) -> Tensor:
    """As ``torch.nn.functional.conv2d``, its gradients computed another way where that is faster."""
    how = How(_pair(stride), _pair(padding), _pair(dilation), groups)
    computes_gradients = bias is None and torch.is_grad_enabled()
    if computes_gradients and x.device.type == "cpu":
        in_bf16 = torch.is_autocast_enabled("cpu")
        if _is_depthwise(x, weight, how) and (
            _is_small(x, weight, how) or (in_bf16 and _is_slow(weight, how))
        ):
            return _Depthwise.apply(x, weight, how)
        if in_bf16 and amx and _is_narrow(x, weight, how):
            return _Narrow.apply(x, weight, how)
    return how.answer(x, weight, bias)


def _pair(sides: Sides) -> tuple[int, int]:
    return (sides, sides) if isinstance(sides, int) else (sides[0], sides[1])


def _is_depthwise(x: Tensor, weight: Tensor, how: How) -> bool:
    return 1 < how.groups == x.shape[1] == weight.shape[0]


def _is_small(x: Tensor, weight: Tensor, how: How) -> bool:
    return how.stride == (1, 1) and x.shape[2] < weight.shape[2] and x.shape[3] < weight.shape[3]


def _is_slow(weight: Tensor, how: How) -> bool:
    return max(how.stride) > 1 or max(weight.shape[2:]) > 3


def _is_narrow(x: Tensor, weight: Tensor, how: How) -> bool:
    plain = how.groups == 1 and how.stride == how.dilation == (1, 1)
    keeps_width = 1 < weight.shape[3] == 2 * how.padding[1] + 1
    return plain and keeps_width and x.shape[3] <= NARROW


def use_in(network: nn.Module, amx: bool = False) -> None:
    """Have the convolutions of a network call ``conv2d`` of this module, in place.

    Plain ones, and those of timm that pad as TensorFlow does; the same parameters under the same names.
    """
    for module in network.modules():
        if type(module) is nn.Conv2d and module.padding_mode == "zeros" and module.padding != "same":
            module.__class__ = Conv2d
            cast(Conv2d, module).amx = amx
        elif type(module).__name__ == "Conv2dSame":  # importing timm for its type alone takes a second
            module.__class__ = SameConv2d


class Conv2d(nn.Conv2d):
    """``torch.nn.Conv2d``, but for how gradients are computed."""

    amx = False

    def forward(self, x: Tensor) -> Tensor:
        padding = (int(self.padding[0]), int(self.padding[1]))
        how = (self.stride, padding, self.dilation, self.groups)
        return conv2d(x, self.weight, self.bias, *how, amx=self.amx)


class SameConv2d(nn.Conv2d):
    """timm's ``Conv2dSame``: the output's side is the input's divided by the stride, rounded up."""

    def forward(self, x: Tensor) -> Tensor:
        from timm.layers import pad_same

        padded = pad_same(x, list(self.kernel_size), list(self.stride), list(self.dilation))
        return conv2d(padded, self.weight, self.bias, self.stride, 0, self.dilation, self.groups)


class _Depthwise(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, how: How) -> Tensor:
        ctx.save_for_backward(x, weight)
        ctx.how = how
        return how.answer(x, weight)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        x, weight = ctx.saved_tensors
        wanted = ctx.needs_input_grad[:2]
        gradients = by_place if _is_small(x, weight, ctx.how) else How.gradients
        of_x, of_weight = gradients(ctx.how, gradient.float(), x.float(), weight.float(), wanted)
        return of_x if of_x is None else of_x.to(x.dtype), of_weight, None


def by_place(
    how: How, gradient: Tensor, x: Tensor, weight: Tensor, wanted: Sequence[bool]
) -> tuple[Tensor | None, Tensor | None]:
    """Return the gradients of input and weight of a depthwise convolution, those that are wanted.

    One place of the filter after the other: where the image is small, few of them meet it at all.
    """
    of_x = torch.zeros_like(x) if wanted[0] else None
    of_weight = torch.zeros_like(weight) if wanted[1] else None
    rows, columns = (_meetings(how, x, weight, gradient, side) for side in (0, 1))
    for (i, top, down), (j, left, across) in product(rows, columns):
        answered = gradient[:, :, top, left]
        if of_weight is not None:
            of_weight[:, 0, i, j] = (answered * x[:, :, down, across]).sum((0, 2, 3))
        if of_x is not None:
            of_x[:, :, down, across] += answered * weight[:, 0, i, j, None, None]
    return of_x, of_weight


def _meetings(
    how: How, x: Tensor, weight: Tensor, gradient: Tensor, side: int
) -> list[tuple[int, slice, slice]]:
    """Return each place of the filter along a side, the answers that it is part of, the pixels it meets."""
    stride, size, answers = how.stride[side], x.shape[2 + side], gradient.shape[2 + side]
    meetings = []
    for place in range(weight.shape[2 + side]):
        offset = place * how.dilation[side] - how.padding[side]
        first = max(0, -(offset // stride))
        last = min(answers - 1, (size - 1 - offset) // stride)
        if first <= last:
            pixels = slice(first * stride + offset, last * stride + offset + 1, stride)
            meetings.append((place, slice(first, last + 1), pixels))
    return meetings


class _Narrow(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, how: How) -> Tensor:
        number_format = torch.get_autocast_dtype("cpu")
        x, weight = x.to(number_format), weight.to(number_format)
        ctx.save_for_backward(x, weight)
        ctx.how = how
        return how.answer(x, weight)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        x, weight = ctx.saved_tensors
        how, (x_wanted, weight_wanted, _) = ctx.how, ctx.needs_input_grad
        of_x = of_weight = None
        if x_wanted:
            of_x, _ = how.gradients(gradient, x, weight, (True, False))
        if weight_wanted:
            rows = (side_by_side(images, how.padding[1]) for images in (gradient, x))
            _, of_weight = how.gradients(*rows, weight, (False, True))
        return of_x, of_weight, None  # autograd turns them into the number formats of x and weight


def side_by_side(images: Tensor, gap: int) -> Tensor:
    """Lay several images in a row, ``gap`` zero pixels after each.

    From [B, C, H, W] to [B / k, C, H, k * (W + gap)], channels last; k divides B. With a gap as wide as
    the padding of a convolution, no filter sees two images at once.
    """
    count, channels, height, width = images.shape
    per_row = next(k for k in range(max(1, ROW // (width + gap)), 0, -1) if count % k == 0)
    rows = images.new_empty(count // per_row, height, per_row, width + gap, channels)
    pixels = images.permute(0, 2, 3, 1).unflatten(0, (-1, per_row))  # [B / k, k, H, W, C]
    rows[:, :, :, :width].copy_(pixels.transpose(1, 2))
    rows[:, :, :, width:].zero_()
    return rows.flatten(2, 3).permute(0, 3, 1, 2)
