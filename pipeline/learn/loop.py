"""The parts of a pass over the images: the loss of a batch, the count of right answers, val passes."""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from pipeline.errors import RunError
from pipeline.experiment import RunSettings
from pipeline.learn.hardware import Hardware
from pipeline.learn.optimizers import AnyOptimizer

CHECK_EVERY = 100  # steps between two looks at the training loss
IMAGES_NDIM = 4
AUXILIARY_WEIGHT = 0.4  # of an auxiliary head's loss (Szegedy et al. 2016, arXiv 1512.00567)

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
        self._loss = torch.zeros((), device=device)
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
        """The mean loss so far; reading it waits for the device."""
        return float(self._loss) / max(1, self.images)

    def scores(self) -> Scores:
        """Return the means; reading them waits for the device."""
        return Scores(self.loss, float(self._correct) / max(1, self.images), self.images)


def training_loss(
    network: Callable[[Tensor], Any],
    images: Tensor,
    targets: Tensor,
    settings: RunSettings,
    hardware: Hardware,
) -> tuple[Tensor, Tensor]:
    """Return the mean training loss [] and the logits [B, classes] of a batch.

    A network that answers ``(logits, auxiliary logits, ...)`` learns from all of them.
    """
    with hardware.autocast():
        output = network(images)
    logits, *auxiliary = output if isinstance(output, tuple) else (output,)
    loss = F.cross_entropy(logits.float(), targets, label_smoothing=settings.label_smoothing)
    for extra in auxiliary:
        also = F.cross_entropy(extra.float(), targets, label_smoothing=settings.label_smoothing)
        loss = loss + AUXILIARY_WEIGHT * also
    return loss, logits


def refuse_divergence(split: str, loss: float, where: str, optimizer: AnyOptimizer) -> None:
    """Raise RunError if a loss is not finite."""
    if not math.isfinite(loss):
        rate = max(float(group["lr"]) for group in optimizer.param_groups)
        raise RunError(
            f"the {split} loss became {loss} {where}, at learning rate {rate:.3g}. "
            "Try a lower learning_rate, a warm-up (warmup_epochs) or gradient_clip."
        )


@torch.inference_mode()
def log_probabilities(network: nn.Module, x: Tensor, settings: RunSettings, hardware: Hardware) -> Tensor:
    """Return the logarithms float32 [B, classes] of the probabilities that a network gives.

    ``x`` are images [B, 3, S, S], or features [B, F] for a head alone, which have no mirror. With
    ``flip_at_test`` the probabilities are the mean over an image and its mirror. The softmax is
    computed in fp32 whatever the precision, so that the probabilities of an image sum to 1.
    """
    mirrored = settings.flip_at_test and x.ndim == IMAGES_NDIM
    with hardware.autocast():
        logits = [network(view) for view in ((x, x.flip(3)) if mirrored else (x,))]
    answers = torch.stack([answer.float().log_softmax(dim=1) for answer in logits])
    return answers.logsumexp(dim=0) - math.log(len(answers)) if mirrored else answers[0]


def evaluate(network: nn.Module, batches: Batches, settings: RunSettings, hardware: Hardware) -> Scores:
    """Return the scores of a network on batches of images, asked as in the end, without label smoothing."""
    tally = Tally(hardware.device)
    network.eval()
    for images, targets in batches:
        answers = log_probabilities(network, images, settings, hardware)
        tally.add(F.nll_loss(answers, targets), answers, targets)
    return tally.scores()
