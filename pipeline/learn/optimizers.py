"""Optimizers, and the learning rate of each step."""

import math
from collections.abc import Iterable
from typing import Any

import torch
from torch import nn, optim

from pipeline.settings import RunSettings

RISE = 0.25  # one_cycle: share of the steps in which the learning rate rises
START = 0.1  # one_cycle: the first learning rate, as a share of the highest


def build(groups: Iterable[dict[str, Any]], settings: RunSettings, device: torch.device) -> optim.Optimizer:
    """Return the optimizer that the settings name, over a network's parameter groups.

    Each group brings its own highest ``lr`` and ``weight_decay``. One kernel updates all
    parameters (``fused``) where PyTorch has one.
    """
    groups = [{**group, "highest_lr": group["lr"]} for group in groups]
    fused = device.type in ("cpu", "cuda")
    if settings.optimizer == "sgd":
        nesterov = settings.nesterov and settings.momentum > 0
        return optim.SGD(groups, momentum=settings.momentum, nesterov=nesterov, fused=fused)
    kind = optim.Adam if settings.optimizer == "adam" else optim.AdamW
    return kind(groups, fused=fused)


def set_learning_rate(optimizer: optim.Optimizer, factor: float) -> None:
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
