"""A scaled loss: without it small gradients vanish in fp16 (Micikevicius et al. 2018, arXiv 1710.03740)."""

from typing import Any

import torch
from torch import Tensor, nn

from pipeline.learn.device import Hardware
from pipeline.learn.optimizers import AnyOptimizer

GROWTH_STEPS = 2000  # steps with finite gradients before the scale is doubled


class LossScale:
    """PyTorch's ``GradScaler`` over all parameters of a network, whatever optimizers share them.

    In fp16 the loss is multiplied before the backward pass and the gradients are divided after it. A step
    whose gradients are not finite is left out, and the scale halved. In other precisions nothing is
    scaled and no step left out.
    """

    def __init__(self, network: nn.Module, optimizer: AnyOptimizer, hardware: Hardware):
        self.scaler = torch.amp.GradScaler(
            hardware.device.type, growth_interval=GROWTH_STEPS, enabled=hardware.precision == "fp16"
        )
        # What the scaler takes for an optimizer: Muon's own groups hold other views of the filters.
        self.param_groups = [{"params": list(network.parameters())}]
        self.step = optimizer.step

    def backward(self, loss: Tensor) -> None:
        """Leave the gradients of a loss [] in the parameters, unscaled."""
        self.scaler.scale(loss).backward()
        self.scaler.unscale_(self)  # type: ignore[arg-type]

    def take_step(self) -> None:
        """Take a step of the optimizer, unless a gradient is not finite."""
        self.scaler.step(self)  # type: ignore[arg-type]
        self.scaler.update()

    def state_dict(self) -> dict[str, Any]:
        return self.scaler.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.scaler.load_state_dict(state)
