"""How training goes: scores of a pass, a row per epoch with the best weights, and what is said of it."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from pipeline.record import RunFolder

SECONDS_BETWEEN_EVENTS = 5.0  # within an epoch
TOLD = ("train_loss", "val_loss", "val_accuracy", "images_per_second")

Row = dict[str, Any]  # numbers, and what kind of epoch it was: record.STAGE_COLUMNS


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
        """Count one batch: its mean loss [], logits [B, classes], targets [B] or shares [B, classes]."""
        targets = targets if targets.ndim == 1 else targets.argmax(dim=1)
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


@dataclass
class History:
    """What training has come to: a row per epoch, and the weights of the best one.

    The best epoch (from 1; 0 before the first) has the lowest val loss. Early stopping waits for
    the same number to fall, so the epoch that is kept and the one that stops training agree. Between
    epochs of one training loss tells more than accuracy, which jumps by whole images; between models
    it does not compare, as label smoothing and confidence move it: those are chosen by val accuracy.
    """

    rows: list[Row] = field(default_factory=list)
    best_epoch: int = 0
    best_weights: dict[str, Tensor] = field(default_factory=dict)
    feature_seconds: float = 0.0  # what the features cost that the epochs saw instead of images
    energy_joules: float | None = 0.0  # of epochs and features, all parts; None when one is not known

    @property
    def epoch(self) -> int:
        """How many epochs are done."""
        return len(self.rows)

    @property
    def seconds(self) -> float:
        """How long they and the features took, over all parts of an interrupted run."""
        return self.feature_seconds + sum(row["epoch_seconds"] for row in self.rows)

    def add(self, row: Row, network: nn.Module) -> None:
        """Note an epoch, and the network's weights if its val loss is the lowest so far."""
        self.rows.append(row)
        best = self.rows[self.best_epoch - 1]["val_loss"] if self.best_epoch else float("inf")
        if row["val_loss"] < best:
            self.best_epoch = self.epoch
            self.keep_weights(network)

    def keep_weights(self, network: nn.Module) -> None:
        """Take a network's weights as the best ones."""
        self.best_weights = {k: v.detach().clone() for k, v in network.state_dict().items()}


class Reporter:
    """Prints a line per epoch here, and tells the process that started the run; ``epochs`` are all."""

    def __init__(self, run: RunFolder, epochs: int):
        self.run, self.epochs = run, epochs
        self._told = time.perf_counter()

    def step(self, epoch: int, images: int, done: float, started: float) -> None:
        """Tell how far a long epoch (from 1) has come: ``images`` seen, a share ``done`` of it."""
        now = time.perf_counter()
        if now - self._told < SECONDS_BETWEEN_EVENTS:
            return
        self._told, seconds = now, now - started
        left = seconds / done * (self.epochs - epoch + 1 - done)
        rate = images / seconds
        self.run.report_progress(
            stage="train", epoch=epoch, epochs=self.epochs, images_per_second=rate, eta_seconds=left
        )

    def epoch(self, row: Mapping[str, Any]) -> None:
        """Print an epoch in one line, and tell it."""
        epoch, digits = int(row["epoch"]), len(str(self.epochs))
        left = row["epoch_seconds"] * (self.epochs - epoch)
        print(
            f"epoch {epoch:>{digits}}/{self.epochs}"
            f"  train loss {row['train_loss']:.4f} accuracy {row['train_accuracy']:6.2%}"
            f"  val loss {row['val_loss']:.4f} accuracy {row['val_accuracy']:6.2%}"
            f"  lr {row['learning_rate']:.2e}"
            f"  {row['images_per_second']:,.0f} images/s  ETA {clock(left)}",
            flush=True,
        )
        self._told = time.perf_counter()
        shown = {key: row[key] for key in TOLD}
        self.run.report_progress(stage="train", epoch=epoch, epochs=self.epochs, eta_seconds=left, **shown)


def clock(seconds: float) -> str:
    """Return seconds as m:ss or h:mm:ss."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
