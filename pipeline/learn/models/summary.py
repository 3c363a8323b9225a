"""What a network is made of and what it costs: parameters, multiply-adds, and a short table of stages."""

# No result depends on this module: it is no part of a run's identity.

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import reduce
from itertools import groupby, pairwise
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

MIN_ROWS, MAX_ROWS = 5, 12
Shapes = dict[nn.Module, tuple[int, ...]]
MAX_PARTS = 8
JOINT = " to "
SILENT = ("Identity", "Flatten", "Dropout")
WORDS = {
    "Conv2d": "convolution", "MaxPool2d": "max pooling", "AvgPool2d": "mean pooling",
    "AdaptiveAvgPool2d": "global mean", "AdaptiveMaxPool2d": "global max", "BatchNorm2d": "BatchNorm",
    "Stem": "whitened patches, GELU",
}  # fmt: skip
OWN = "own parameters"  # as a class token, which belongs to no layer


@contextmanager
def _in_eval_mode(network: nn.Module) -> Iterator[None]:
    training = {module: module.training for module in network.modules()}
    network.eval()
    try:
        yield
    finally:
        for module, mode in training.items():
            module.training = mode


def trial_output(network: nn.Module, image_size: int) -> Tensor:
    """Return what a network makes of one black image, on the device where it is."""
    device = next(network.parameters()).device
    image = torch.zeros(1, 3, image_size, image_size, device=device)
    # Fused attention would be invisible to whoever counts operations.
    with _in_eval_mode(network), torch.no_grad(), _plain_attention():
        output: Tensor = network(image)
    return output


@contextmanager
def _plain_attention() -> Iterator[None]:
    before = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        with sdpa_kernel(SDPBackend.MATH):
            yield
    finally:
        torch.backends.mha.set_fastpath_enabled(before)


def summarise(network: nn.Module, image_size: int) -> tuple[int, list[dict[str, Any]]]:
    """Return the multiply-adds for one image and a table of the network's stages.

    Multiply-adds are those of convolutions, matrix products and attention. PyTorch's own counter
    counts each as two operations; papers and torchvision count it once, and so does this.
    The table has at most ``MAX_ROWS`` rows, from input to output. Each has name, kind, output shape
    and parameters, which add up to the network's. The largest part is opened until there are enough
    to see; then neighbours at one resolution become one row.
    """
    with _output_shapes(network) as shapes, FlopCounterMode(display=False) as counter:
        trial_output(network, image_size)
    return int(counter.get_total_flops()) // 2, [row.as_row() for row in _stages(network, shapes)]


def count_parameters(network: nn.Module) -> int:
    return sum(p.numel() for p in network.parameters())


@dataclass
class Stage:
    """One row of a network's table: a module, or neighbours that work at the same resolution."""

    name: str
    kind: str
    output: tuple[int, ...]  # channels × height × width, or features; () when it did not run
    parameters: int
    parts: tuple[str, ...] = ()  # its layers, as "3×3 convolution"; equal ones in a row counted
    trained: int = 0  # parameters that training may change

    def joined(self, other: "Stage") -> "Stage":
        """Return the row for this stage and the one after it."""
        kinds = dict.fromkeys((*self.kind.split(", "), *other.kind.split(", ")))
        first = self.name.partition(JOINT)[0]
        output = other.output or self.output
        parameters, trained = self.parameters + other.parameters, self.trained + other.trained
        parts = tuple(dict.fromkeys((*self.parts, *other.parts)))
        return Stage(f"{first}{JOINT}{other.name}", ", ".join(kinds), output, parameters, parts, trained)

    @property
    def resolution(self) -> object:
        """What neighbours must have in common to be one row."""
        return self.output[1:] or self.name

    def as_row(self) -> dict[str, Any]:
        unseen = "" if self.kind == OWN else "in training only"
        output = " × ".join(f"{side:,}" for side in self.output) or unseen
        return {
            "name": self.name,
            "kind": self.kind,
            "output": output,
            "parameters": self.parameters,
            "parts": list(self.parts[:MAX_PARTS]) + ["…"] * (len(self.parts) > MAX_PARTS),
            "trained": self.trained,
        }


def _stages(network: nn.Module, shapes: Shapes) -> list[Stage]:
    parts: list[tuple[str, nn.Module]] = list(network.named_children())
    while _row_count(parts) < MIN_ROWS and (opened := _open_largest(parts, shapes)) is not None:
        parts = opened
    seen: set[nn.Parameter] = set()  # some networks use one layer in several places
    rows = [_stage(name, module, shapes, seen) for name, module in parts]
    return _joined([row for row in rows if row.parameters])


def _row_count(parts: list[tuple[str, nn.Module]]) -> int:
    return sum(count_parameters(module) > 0 for _, module in parts)


def _open_largest(parts: list[tuple[str, nn.Module]], shapes: Shapes) -> list[tuple[str, nn.Module]] | None:
    """Return the parts with the largest that is worth opening replaced by its own, or None."""
    closed = [part for part in parts if _is_worth_opening(part[1], shapes)]
    if not closed:
        return None
    name, module = max(closed, key=lambda part: count_parameters(part[1]))
    place = parts.index((name, module))
    own = nn.ParameterList(module.parameters(recurse=False))
    children = [(f"{name}.{child}", part) for child, part in module.named_children()]
    return [*parts[:place], (name, own), *children, *parts[place + 1 :]]


def _is_worth_opening(module: nn.Module, shapes: Shapes) -> bool:
    """Whether a module has different parts: many blocks at one resolution say no more than their sum."""
    children = [part for part in module.children() if count_parameters(part) > 0]
    resolutions = {shapes.get(part, ())[1:] for part in children}
    return len(children) > 0 and (len(children) <= MAX_ROWS or len(resolutions) > 1)


def _stage(name: str, module: nn.Module, shapes: Shapes, seen: set[nn.Parameter]) -> Stage:
    kind = OWN if isinstance(module, nn.ParameterList) else type(module).__name__
    new = set(module.parameters()) - seen
    seen |= new
    parameters = sum(p.numel() for p in new)
    trained = sum(p.numel() for p in new if p.requires_grad)
    parts = tuple(_parts(module))
    return Stage(name.removeprefix("backbone."), kind, shapes.get(module, ()), parameters, parts, trained)


def _parts(module: nn.Module) -> Iterator[str]:
    """Yield the layers of a module in words, in their order; the same ones again in a row are counted."""
    layers = [words for layer in module.modules() if (words := _layer(layer))]
    period = next((n for n in range(1, len(layers) + 1) if layers == layers[:n] * (len(layers) // n)), 1)
    times = len(layers) // period if layers else 1
    yield from layers[:period]
    if times > 1:
        yield f"{times} times"


def _layer(layer: nn.Module) -> str:
    """Return "3×3 convolution, stride 2" for a layer that has no layers of its own; "" for any other."""
    if list(layer.children()):
        return ""
    name = WORDS.get(type(layer).__name__, type(layer).__name__)
    kernel, stride = (
        getattr(layer, "kernel_size", getattr(layer, "kernel", None)),
        getattr(layer, "stride", 1),
    )
    if kernel is None and isinstance(layer, nn.Linear):
        return "fully connected"
    size = (
        f"{kernel[0]}×{kernel[-1]} " if isinstance(kernel, tuple) else f"{kernel}×{kernel} " if kernel else ""
    )
    step = stride[0] if isinstance(stride, tuple) else stride
    skips = f", stride {step}" if isinstance(step, int) and step > 1 and "pool" not in name else ""
    return "" if name in SILENT else f"{size}{name}{skips}"


def _joined(rows: list[Stage]) -> list[Stage]:
    """Join neighbours at one resolution, then the smallest neighbours, until the rows are few enough."""
    *body, head = rows
    if len(rows) > MAX_ROWS:
        body = [reduce(Stage.joined, group) for _, group in groupby(body, key=lambda row: row.resolution)]
    while len(body) >= MAX_ROWS:
        sizes = [a.parameters + b.parameters for a, b in pairwise(body)]
        place = sizes.index(min(sizes))
        body = [*body[:place], body[place].joined(body[place + 1]), *body[place + 2 :]]
    return [*body, head]


@contextmanager
def _output_shapes(network: nn.Module) -> Iterator[Shapes]:
    """Collect the shape of what each module gives, without the batch, while the network runs."""
    shapes: Shapes = {}

    def remember(module: nn.Module, _inputs: Any, output: Any) -> None:
        if isinstance(output, Tensor):
            shapes[module] = tuple(output.shape[1:])

    handles = [module.register_forward_hook(remember) for module in network.modules()]
    try:
        yield shapes
    finally:
        for handle in handles:
            handle.remove()
