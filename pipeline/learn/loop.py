"""One pass over the images: with gradients (``train_one_epoch``) and without (``evaluate``)."""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn, optim
from torch.nn import functional as F

from pipeline.errors import RunError
from pipeline.learn import optimizers
from pipeline.learn.hardware import Hardware
from pipeline.settings import RunSettings

CHECK_EVERY = 100  # steps between two looks at the loss: on a GPU each look waits for it
AUXILIARY_WEIGHT = 0.4  # of an auxiliary head's loss (Szegedy et al. 2015, arXiv 1409.4842)

Batches = Iterable[tuple[Tensor, Tensor]]


@dataclass(frozen=True)
class Scores:
    """Mean cross-entropy (nats), share of right answers, and over how many images."""

    loss: float
    accuracy: float
    images: int


class Tally:
    """Sums up losses and right answers on the device, without waiting for it at each step."""

    def __init__(self, device: torch.device):
        self._loss = torch.zeros((), device=device, dtype=torch.float64 if device.type == "cpu" else None)
        self._correct = torch.zeros((), device=device, dtype=torch.int64)
        self.images = 0

    @torch.no_grad()
    def add(self, loss: Tensor, logits: Tensor, targets: Tensor) -> None:
        """Count one batch: its mean loss [], logits [B, classes], targets [B]."""
        self._loss += loss * len(targets)
        self._correct += (logits.argmax(dim=1) == targets).sum()
        self.images += len(targets)

    @property
    def loss(self) -> float:
        return float(self._loss) / max(1, self.images)

    def scores(self) -> Scores:
        return Scores(self.loss, float(self._correct) / max(1, self.images), self.images)


@dataclass
class Pass:
    """What ``train_one_epoch`` needs besides the batches.

    ``learning_rate`` maps a step of the whole run to a share of the highest rate; ``after_step`` is
    called with that step.
    """

    network: nn.Module | Callable[[Tensor], Any]
    module: nn.Module  # the same network, as a module with parameters
    optimizer: optim.Optimizer
    learning_rate: Callable[[int], float]
    after_step: Callable[[int], None] = lambda step: None


def train_one_epoch(
    training: Pass, batches: Batches, first_step: int, settings: RunSettings, hardware: Hardware
) -> Scores:
    """Train on each batch once; scores are of the augmented images, as the network saw them.

    Raises RunError when the loss is not finite.
    """
    tally = Tally(hardware.device)
    training.module.train()
    for step, (images, targets) in enumerate(batches, start=first_step):
        optimizers.set_learning_rate(training.optimizer, training.learning_rate(step))
        with hardware.autocast():
            loss, logits = _loss(training.network(images), targets, settings.label_smoothing)
        training.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizers.clip(training.module, settings)
        training.optimizer.step()
        training.after_step(step)
        tally.add(loss, logits, targets)
        if (step - first_step) % CHECK_EVERY == 0:
            _refuse_divergence(tally.loss, step, training.optimizer)
    _refuse_divergence(tally.loss, first_step + tally.images // settings.batch_size, training.optimizer)
    return tally.scores()


def _loss(output: Any, targets: Tensor, smoothing: float) -> tuple[Tensor, Tensor]:
    """Return the loss and the logits of an output: logits, or (logits, auxiliary logits, ...)."""
    logits, *auxiliary = output if isinstance(output, tuple) else (output,)
    loss = F.cross_entropy(logits.float(), targets, label_smoothing=smoothing)
    for extra in auxiliary:
        loss = loss + AUXILIARY_WEIGHT * F.cross_entropy(extra.float(), targets, label_smoothing=smoothing)
    return loss, logits


def _refuse_divergence(loss: float, step: int, optimizer: optim.Optimizer) -> None:
    if not math.isfinite(loss):
        rate = optimizer.param_groups[0]["lr"]
        raise RunError(
            f"the training loss became {loss} by step {step + 1}, at learning rate {rate:.3g}. "
            "Try a lower learning_rate, a warm-up (warmup_epochs) or gradient_clip."
        )


@torch.inference_mode()
def evaluate(network: nn.Module, batches: Batches, hardware: Hardware) -> Scores:
    """Return the scores of a network on batches of images, as they are (no label smoothing)."""
    tally = Tally(hardware.device)
    network.eval()
    for images, targets in batches:
        with hardware.autocast():
            logits = network(images).float()
        tally.add(F.cross_entropy(logits, targets), logits, targets)
    return tally.scores()
