"""Optimizers, and the learning rate of each step."""

import math
from collections.abc import Iterable
from contextlib import nullcontext
from typing import Any

import torch
from torch import Tensor, nn, optim
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from torch.overrides import TorchFunctionMode

from pipeline.experiment import RunSettings
from pipeline.learn.device import Hardware

RISE = 0.25  # one_cycle: share of the steps in which the learning rate rises
START = 0.1  # one_cycle: the first learning rate, as a share of the highest
# Muon: iterations that make an update orthogonal. The language models it was made for take five.
ORTHOGONALISING_STEPS = 3
FILTERS_NDIM = 4
AVERAGE_EVERY = 5  # steps between two updates of the average of the weights
AVERAGE_WINDOW = 0.05  # the average looks back over about this share of all steps


class ConvolutionMuon(optim.Muon):
    """Muon for the filters of convolutions: each update is made orthogonal before it is applied.

    From Jordan et al. 2024 (kellerjordan.github.io/posts/muon), who set CIFAR-10's speed record with
    it. Filters [out, in, k, k] count as matrices [out, in·k²], which share their memory. Updates
    are as large as AdamW's (Liu et al. 2025, arXiv 2502.16982), so one learning rate suits both.
    """

    def __init__(self, groups: list[dict[str, Any]], settings: RunSettings, hardware: Hardware):
        self.in_bf16 = hardware.precision == "bf16"
        self.filters = [p for group in groups for p in group["params"]]
        as_matrices = [
            {**group, "params": [_matrix(p.detach(), p) for p in group["params"]]} for group in groups
        ]
        super().__init__(
            as_matrices,
            momentum=settings.momentum,
            nesterov=settings.nesterov,
            ns_steps=ORTHOGONALISING_STEPS,
            adjust_lr_fn="match_rms_adamw",
        )

    @torch.no_grad()
    def step(self, closure: Any = None) -> Any:
        """Make one step with the gradients of the filters."""
        matrices = [p for group in self.param_groups for p in group["params"]]
        for filters, matrix in zip(self.filters, matrices, strict=True):
            matrix.grad = None if filters.grad is None else _matrix(filters.grad, filters)
        with nullcontext() if self.in_bf16 else _InFp32():
            return super().step(closure)

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget the gradients of the filters."""
        for filters in self.filters:
            filters.grad = None
        super().zero_grad(set_to_none)


class _InFp32(TorchFunctionMode):
    """Keeps in fp32 what PyTorch's Muon turns into bf16.

    A CPU that has to imitate bf16 took 2.1 s for the updates of one step, and 0.05 s where it has it.
    """

    def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        named = dict(kwargs or {})
        if function is Tensor.to and named.get("dtype") is torch.bfloat16:
            named["dtype"] = torch.float32
        return function(*args, **named)


def _matrix(tensor: Tensor, filters: Tensor) -> Tensor:
    """Return a tensor of filters' shape [out, in, k, k] as [out, in·k²], in the order of their memory."""
    if filters.is_contiguous(memory_format=torch.channels_last):
        tensor = tensor.permute(0, 2, 3, 1)
    return tensor.flatten(1)


class Together:
    """Several optimizers that are used as one."""

    def __init__(self, *optimizers: optim.Optimizer):
        self.optimizers = optimizers

    @property
    def param_groups(self) -> list[dict[str, Any]]:
        return [group for optimizer in self.optimizers for group in optimizer.param_groups]

    def step(self) -> None:
        for optimizer in self.optimizers:
            optimizer.step()

    def zero_grad(self, set_to_none: bool = True) -> None:
        for optimizer in self.optimizers:
            optimizer.zero_grad(set_to_none)

    def state_dict(self) -> dict[str, Any]:
        return {"optimizers": [optimizer.state_dict() for optimizer in self.optimizers]}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        for optimizer, own in zip(self.optimizers, state["optimizers"], strict=True):
            optimizer.load_state_dict(own)


AnyOptimizer = optim.Optimizer | Together


def build(groups: Iterable[dict[str, Any]], settings: RunSettings, hardware: Hardware) -> AnyOptimizer:
    """Return the optimizer that the settings name, over a network's parameter groups.

    Each group brings its own highest ``lr`` and ``weight_decay``. One kernel updates all
    parameters (``fused``) where PyTorch has one. ``muon`` leaves to AdamW what is no convolution.
    """
    groups = [{**group, "highest_lr": group["lr"]} for group in groups]
    fused = hardware.device.type in ("cpu", "cuda")
    if settings.optimizer == "sgd":
        nesterov = settings.nesterov and settings.momentum > 0
        return optim.SGD(groups, momentum=settings.momentum, nesterov=nesterov, fused=fused)
    if settings.optimizer == "muon":
        filters, others = _only(groups, True), _only(groups, False)
        parts = [ConvolutionMuon(filters, settings, hardware)] if filters else []
        return Together(*parts, *([optim.AdamW(others, fused=fused)] if others else []))
    kind = optim.Adam if settings.optimizer == "adam" else optim.AdamW
    return kind(groups, fused=fused)


def _only(groups: list[dict[str, Any]], filters: bool) -> list[dict[str, Any]]:
    """Return the groups with their filters of convolutions alone, or without them."""
    chosen = [
        {**group, "params": [p for p in group["params"] if (p.ndim == FILTERS_NDIM) == filters]}
        for group in groups
    ]
    return [group for group in chosen if group["params"]]


def average(network: nn.Module, settings: RunSettings, steps: int) -> AveragedModel | None:
    """Return a running average of a network's weights over late steps, if the settings ask for one."""
    if not settings.weight_averaging:
        return None
    window = AVERAGE_WINDOW * steps / AVERAGE_EVERY
    update = get_ema_multi_avg_fn(1 - 1 / max(2.0, window))
    return AveragedModel(network, multi_avg_fn=update, use_buffers=True)


def update_average(averaged: AveragedModel | None, network: nn.Module, step: int) -> None:
    """Take up the weights after some steps (from 0) of an epoch; others are too near to tell more."""
    if averaged is not None and step % AVERAGE_EVERY == 0:
        averaged.update_parameters(network)


def learning_rate(optimizer: AnyOptimizer, settings: RunSettings) -> float:
    """Return the rate of the last step, before any group's own factor."""
    group = optimizer.param_groups[0]
    return settings.learning_rate * float(group["lr"]) / float(group["highest_lr"])


def set_learning_rate(optimizer: AnyOptimizer, factor: float) -> None:
    """Set each group's learning rate to a share of its highest."""
    for group in optimizer.param_groups:
        group["lr"] = group["highest_lr"] * factor


def schedule(settings: RunSettings, step: int, steps: int, steps_per_epoch: int) -> float:
    """Return the learning rate of a step (from 0) of ``steps``, as a share of the highest.

    ``one_cycle`` rises for a quarter of the run and then falls to zero, in straight lines (Smith
    2018, arXiv 1803.09820); ``cosine`` falls along half a wave (Loshchilov & Hutter 2017, arXiv
    1608.03983). A function of the step alone: a resumed run needs no state for it.
    """
    if settings.schedule == "one_cycle":
        rise = START + (1 - START) * (step + 1) / (RISE * steps)
        fall = (1 - step / steps) / (1 - RISE)
        return min(1.0, rise, fall)
    warmup = settings.warmup_epochs * steps_per_epoch
    if step < warmup:
        return (step + 1) / (warmup + 1)
    if settings.schedule == "cosine":
        progress = (step - warmup) / max(1.0, steps - warmup)
        return 0.5 * (1 + math.cos(math.pi * progress))
    return 1.0


def clip(network: nn.Module, settings: RunSettings) -> None:
    """Scale gradients down to the norm that the settings allow, if they name one."""
    if settings.gradient_clip is not None:
        nn.utils.clip_grad_norm_(network.parameters(), settings.gradient_clip)
