"""Where a processor's own arithmetic is wrong: it is gone round, and ``wrong`` looks for more of it.

On CPUs with AMX, PyTorch 2.15 takes bf16 gradients of filters from memory that nobody wrote where a
convolution's input is narrower than its stride (3×3, stride 2, input 1×1: in 36 of 60 calls). Such
convolutions are computed in fp32 on every CPU: at one to three pixels that costs nothing.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import product
from typing import Any

import torch
from torch import Tensor, nn

KERNELS, STRIDES, CHANNELS = (1, 3, 5, 7), (1, 2, 3, 4), 16
GROUPS = (1, 2, CHANNELS)  # the last is depthwise
ROUNDING = 0.02  # bf16 keeps eight bits; of the length of all values together, its rounding is less
IMAGES = 4


class Safe:
    """Stands before a convolution's own class: its ``forward`` is in fp32 where bf16 is not to be trusted."""

    def forward(self: Any, x: Tensor) -> Tensor:
        narrow = x.shape[-2] < self.stride[0] or x.shape[-1] < self.stride[1]
        if not (narrow and x.device.type == "cpu" and torch.is_autocast_enabled("cpu")):
            return super().forward(x)  # type: ignore[misc]
        with torch.autocast("cpu", enabled=False):
            answer: Tensor = super().forward(x.float())  # type: ignore[misc]
        return answer.to(torch.get_autocast_dtype("cpu"))


@cache
def _safe(kind: Any) -> Any:
    return type(f"Safe{kind.__name__}", (Safe, kind), {})


def use_in(network: nn.Module) -> None:
    """Have the strided convolutions of a network compute in fp32 where bf16 is wrong, in place."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d) and max(module.stride) > 1 and not isinstance(module, Safe):
            kind: Any = type(module)  # a class is hashable, whatever its type says
            module.__class__ = _safe(kind)


@dataclass(frozen=True)
class Shape:
    """One convolution to try, of ``kernel`` by ``kernel`` on images of ``side`` by ``side`` pixels."""

    kernel: int
    stride: int
    groups: int
    side: int

    def __str__(self) -> str:
        size = f"{self.kernel}×{self.kernel}, stride {self.stride}"
        return f"{size}, {self.groups} groups, input {self.side}×{self.side}"


def wrong(sides: Sequence[int], kernels: Sequence[int] = KERNELS, guarded: bool = True) -> list[str]:
    """Return which convolutions differ, in bf16 on this CPU, from fp32 by more than rounding, and in what.

    ``guarded`` ones are as in a network of Headstart; others are PyTorch's own.
    """
    shapes = (Shape(*found) for found in product(kernels, STRIDES, GROUPS, sides))
    return [problem for shape in shapes for problem in _problems(shape, guarded)]


def _problems(shape: Shape, guarded: bool) -> Iterator[str]:
    expected, found = _computed(shape, False, guarded), _computed(shape, True, guarded)
    for what, right in expected.items():
        error = torch.linalg.norm(found[what].float() - right)
        if not bool(error <= ROUNDING * torch.linalg.norm(right)):  # what is no number is not less either
            yield f"{what} of {shape}"


def _computed(shape: Shape, in_bf16: bool, guarded: bool) -> dict[str, Tensor]:
    """Return a convolution's answer and its two gradients, all of values that bf16 holds exactly."""
    random = torch.Generator().manual_seed(0)
    layer = nn.Conv2d(
        CHANNELS, CHANNELS, shape.kernel, shape.stride, shape.kernel // 2, groups=shape.groups, bias=False
    ).to(memory_format=torch.channels_last)
    if guarded:
        use_in(layer)
    x = _values((IMAGES, CHANNELS, shape.side, shape.side), random).requires_grad_()
    with torch.no_grad():
        layer.weight.copy_(_values(layer.weight.shape, random))
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=in_bf16):
        answer = layer(x.to(memory_format=torch.channels_last))
    answer.backward(_values(answer.shape, random).to(answer.dtype))
    return {"forward pass": answer.detach(), "input gradient": x.grad, "filter gradient": layer.weight.grad}


# What else networks are made of, on a small image: kernels without a middle, as in networks of patches, and
# with gaps, a bias, which sums over all pixels, norms that learn in bf16 beside weights in fp32, pools.
LAYERS: dict[str, Callable[[], nn.Module]] = {
    "2×2 convolution": lambda: nn.Conv2d(CHANNELS, CHANNELS, 2),
    "2×2 convolution, stride 2": lambda: nn.Conv2d(CHANNELS, CHANNELS, 2, 2),
    "4×4 convolution, stride 4": lambda: nn.Conv2d(CHANNELS, CHANNELS, 4, 4),
    "convolution with a bias": lambda: nn.Conv2d(CHANNELS, CHANNELS, 3, 1, 1),
    "convolution with gaps": lambda: nn.Conv2d(CHANNELS, CHANNELS, 3, 1, 2, dilation=2),
    "strided convolution with gaps": lambda: nn.Conv2d(CHANNELS, CHANNELS, 3, 2, 2, dilation=2),
    "batch norm": lambda: nn.BatchNorm2d(CHANNELS),
    "group norm": lambda: nn.GroupNorm(4, CHANNELS),
    "layer norm": lambda: nn.Sequential(nn.Flatten(2), nn.LazyLinear(32), nn.LayerNorm(32)),
    "linear layer": lambda: nn.Sequential(nn.Flatten(), nn.LazyLinear(10)),
    "largest of 3×3": lambda: nn.MaxPool2d(3, 2, 1),
    "mean of 2×2": lambda: nn.AvgPool2d(2, ceil_mode=True),
    "mean of all": lambda: nn.AdaptiveAvgPool2d(1),
    "GELU": nn.GELU,
    "SiLU": nn.SiLU,
}


LEAST = {"2×2 convolution": 2, "2×2 convolution, stride 2": 2, "4×4 convolution, stride 4": 4}  # pixels


def wrong_layers(sides: Sequence[int]) -> list[str]:
    """Return which other layers differ, in bf16 on this CPU, from fp32 by more than rounding, and in what."""
    return [
        f"{what} of {name}, input {side}×{side}"
        for name, layer in LAYERS.items()
        for side in sides
        if side >= LEAST.get(name, 1)
        for what in _differs(layer, side)
    ]


def _differs(make: Callable[[], nn.Module], side: int) -> list[str]:
    right, found = (_learned(make, side, in_bf16) for in_bf16 in (False, True))
    return [
        what
        for what in right
        if not bool(torch.linalg.norm(found[what] - right[what]) <= ROUNDING * torch.linalg.norm(right[what]))
    ]


def _learned(make: Callable[[], nn.Module], side: int, in_bf16: bool) -> dict[str, Tensor]:
    """Return a layer's answer and the gradients of its input and parameters, in fp32."""
    random = torch.Generator().manual_seed(0)
    x = _values((IMAGES, CHANNELS, side, side), random)
    layer = make()
    layer(x)  # a layer that is told its size by its first input
    layer.to(memory_format=torch.channels_last)
    use_in(layer)
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.copy_(_values(parameter.shape, random))
    x = (x.bfloat16() if in_bf16 else x).to(memory_format=torch.channels_last).requires_grad_()
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=in_bf16):
        answer = layer(x)
    answer.backward(_values(answer.shape, random).to(answer.dtype))
    gradients = {f"gradient of {name}": p.grad for name, p in layer.named_parameters()}
    found = {"forward pass": answer, "input gradient": x.grad, **gradients}
    return {what: value.detach().float() for what, value in found.items() if value is not None}


def difference(device: torch.device) -> float:
    """Return how far a device's answer and gradients for one batch are from the CPU's, in fp32.

    That is the largest difference's length, as a share of the length of what the CPU has; nan where the
    device makes no number.
    """
    right, found = _one_step(torch.device("cpu")), _one_step(device)
    pairs = zip(right, found, strict=True)
    shares = torch.stack([torch.linalg.norm(b - a) / torch.linalg.norm(a) for a, b in pairs])
    return float(shares.max())  # nan where one is


def _one_step(device: torch.device) -> list[Tensor]:
    """Return the answer of a small network for a made-up batch and its gradients, on the CPU."""
    random = torch.Generator().manual_seed(0)
    layers: tuple[nn.Module, ...] = (
        nn.Conv2d(3, 16, 3, 2, 1, bias=False),
        nn.BatchNorm2d(16),
        nn.GELU(),
        nn.Flatten(),
        nn.Linear(16 * 64, 10),
    )
    network = nn.Sequential(*layers)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.copy_(0.1 * _values(parameter.shape, random))
    x = _values((IMAGES, 3, 16, 16), random)
    answer = network.to(device)(x.to(device))
    answer.square().mean().backward()
    gradients = [p.grad.cpu() for p in network.parameters() if p.grad is not None]
    return [answer.detach().cpu(), *gradients]


def _values(shape: Sequence[int], random: torch.Generator) -> Tensor:
    return torch.randn(*shape, generator=random).bfloat16().float()
