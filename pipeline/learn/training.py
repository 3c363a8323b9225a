"""Training: one ``fit`` for every model and mode."""

import time
from dataclasses import dataclass, field
from typing import Any

import pandas as pd
import torch
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from pipeline.errors import RunError
from pipeline.learn import checkpoint, loop, optimizers
from pipeline.learn.hardware import Hardware
from pipeline.records import RunFolder
from pipeline.settings import RunSettings

AVERAGE_EVERY = 5  # steps between two updates of the average of the weights
AVERAGE_WINDOW = 0.05  # the average looks back over about this share of all steps
VAL_BATCH = 1000


@dataclass(frozen=True)
class FitResult:
    """What training did; the network it trained holds the weights of ``best_epoch``.

    ``history`` has a row per epoch, columns ``records.HISTORY_COLUMNS`` and ``images_per_second``.
    The best epoch (from 1) is the one with the lowest val loss: the same rule as early stopping's.
    """

    history: pd.DataFrame
    best_epoch: int
    stop_reason: str
    train_seconds: float
    feature_seconds: float = 0.0


@dataclass
class _Progress:
    """Everything that changes from epoch to epoch besides the network and its optimizer."""

    rows: list[dict[str, float]] = field(default_factory=list)
    best_epoch: int = 0
    best_weights: dict[str, torch.Tensor] = field(default_factory=dict)

    @property
    def epoch(self) -> int:
        return len(self.rows)

    @property
    def seconds(self) -> float:
        return sum(row["epoch_seconds"] for row in self.rows)

    def add(self, row: dict[str, float], network: nn.Module) -> None:
        """Note an epoch, and the network's weights if its val loss is the lowest so far."""
        self.rows.append(row)
        best = self.rows[self.best_epoch - 1]["val_loss"] if self.best_epoch else float("inf")
        if row["val_loss"] < best:
            self.best_epoch = self.epoch
            self.best_weights = {k: v.detach().clone() for k, v in network.state_dict().items()}

    def stop_reason(self, settings: RunSettings) -> str | None:
        """Return why training is over, or None while it is not."""
        if self.epoch >= settings.epochs:
            return "all epochs done"
        if settings.patience is not None and self.epoch - self.best_epoch >= settings.patience:
            epochs = "epoch" if settings.patience == 1 else "epochs"
            return f"val loss did not fall for {settings.patience} {epochs}"
        return None


class _Trainer:
    """Trains one network to the end; ``progress`` and the state of all parts can be checkpointed."""

    def __init__(
        self, network: nn.Module, images: Any, settings: RunSettings, run: RunFolder, hardware: Hardware
    ):
        self.network, self.images = network, images
        self.settings, self.run, self.hardware = settings, run, hardware
        self.progress = _Progress()
        self.steps_per_epoch = images.steps_per_epoch(settings.batch_size)
        groups = network.parameter_groups(settings)  # type: ignore[operator]
        self.optimizer = optimizers.build(groups, settings, hardware.device)
        self.average = self._start_average() if settings.weight_averaging else None
        self.key = checkpoint.key(settings, images.info.fingerprint, hardware.precision)

    def _start_average(self) -> AveragedModel:
        window = AVERAGE_WINDOW * self.settings.epochs * self.steps_per_epoch / AVERAGE_EVERY
        average = get_ema_multi_avg_fn(1 - 1 / max(2.0, window))
        return AveragedModel(self.network, multi_avg_fn=average, use_buffers=True)

    @property
    def evaluated(self) -> nn.Module:
        """The network whose answers count: the average of the weights when there is one."""
        return self.network if self.average is None else self.average.module

    def train(self) -> str:
        """Train until the last epoch or until patience is over; return which."""
        while (reason := self.progress.stop_reason(self.settings)) is None:
            self._train_epoch()
            self._write_checkpoint()
        self.network.load_state_dict(self.progress.best_weights)
        return reason

    def _train_epoch(self) -> None:
        epoch, settings = self.progress.epoch, self.settings
        # Seeding each epoch makes it a function of seed and epoch: a resumed run draws the same.
        torch.manual_seed(settings.seed * 100_003 + epoch)
        started = time.perf_counter()
        steps = loop.Pass(self.network, self.network, self.optimizer, self._learning_rate, self._after_step)
        batches = self.images.train_batches(settings.seed, epoch, settings)
        train = loop.train_one_epoch(steps, batches, epoch * self.steps_per_epoch, settings, self.hardware)
        trained = time.perf_counter()
        val = loop.evaluate(self.evaluated, self.images.batches("val", VAL_BATCH), self.hardware)
        if not val.loss < float("inf"):
            raise RunError(
                f"the val loss of epoch {epoch + 1} is {val.loss}: the weights diverged. "
                "Try a lower learning_rate or gradient_clip."
            )
        row = {
            "epoch": epoch + 1,
            "train_loss": train.loss,
            "train_accuracy": train.accuracy,
            "val_loss": val.loss,
            "val_accuracy": val.accuracy,
            "learning_rate": self.optimizer.param_groups[0]["lr"],
            "epoch_seconds": time.perf_counter() - started,
            "images_per_second": train.images / (trained - started),
        }
        self.progress.add(row, self.evaluated)
        report(row, self.settings.epochs, self.progress.seconds, self.run)

    def _learning_rate(self, step: int) -> float:
        steps = self.settings.epochs * self.steps_per_epoch
        return optimizers.schedule(self.settings, step, steps, self.steps_per_epoch)

    def _after_step(self, step: int) -> None:
        if self.average is not None and (step + 1) % AVERAGE_EVERY == 0:
            self.average.update_parameters(self.network)

    def _write_checkpoint(self) -> None:
        state = {
            "network": self.network.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "average": None if self.average is None else self.average.state_dict(),
            "progress": vars(self.progress),
        }
        checkpoint.write(self.run.checkpoint_path, self.key, state)

    def resume(self) -> bool:
        """Go on from the run's checkpoint, if it has one; return whether it had."""
        state = checkpoint.read(self.run.checkpoint_path, self.key, self.hardware.device)
        if state is None:
            return False
        self.network.load_state_dict(state["network"])
        self.optimizer.load_state_dict(state["optimizer"])
        if self.average is not None:
            self.average.load_state_dict(state["average"])
        self.progress = _Progress(**state["progress"])
        print(f"Going on after epoch {self.progress.epoch}, from {self.run.checkpoint_path.name}.")
        return True


def fit(
    network: nn.Module, images: Any, settings: RunSettings, run: RunFolder, hardware: Hardware
) -> FitResult:
    """Train a network in place, in the settings' mode, and leave it with its best epoch's weights.

    Writes a checkpoint after each epoch and goes on from it when there is one. Raises RunError when
    the loss is not finite or memory runs out.
    """
    hardware.place(network)
    with hardware.explaining_memory(settings):
        if hasattr(network, "prepare"):
            network.prepare(_some_images(images, settings))  # type: ignore[operator]
        trainer = _Trainer(network, images, settings, run, hardware)
        trainer.resume()
        reason = trainer.train()
    history = pd.DataFrame(trainer.progress.rows).astype({"epoch": int})
    return FitResult(history, trainer.progress.best_epoch, reason, trainer.progress.seconds)


def _some_images(images: Any, settings: RunSettings, count: int = 2000) -> torch.Tensor:
    """Return about ``count`` random training images float [N, 3, S, S], as the network sees them."""
    found: list[torch.Tensor] = []
    for batch, _ in images.train_batches(settings.seed, 0, settings):
        found.append(batch)
        if sum(len(b) for b in found) >= count:
            break
    return torch.cat(found)[:count]


def report(row: dict[str, float], epochs: int, seconds: float, run: RunFolder) -> None:
    """Print an epoch in one line, and tell the process that started the run."""
    epoch = int(row["epoch"])
    eta = seconds / epoch * (epochs - epoch)
    print(
        f"epoch {epoch:>{len(str(epochs))}}/{epochs}"
        f"  train loss {row['train_loss']:.4f} accuracy {row['train_accuracy']:6.2%}"
        f"  val loss {row['val_loss']:.4f} accuracy {row['val_accuracy']:6.2%}"
        f"  lr {row['learning_rate']:.2e}"
        f"  {row['images_per_second']:,.0f} images/s  ETA {_clock(eta)}",
        flush=True,
    )
    told = ("train_loss", "val_loss", "val_accuracy", "images_per_second")
    run.report_progress(
        stage="train", epoch=epoch, epochs=epochs, eta_seconds=eta, **{key: row[key] for key in told}
    )


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def show_curves(history: pd.DataFrame) -> Figure:
    """Draw loss and accuracy over the epochs, on train and on val."""
    figure = Figure(figsize=(9, 3.2), layout="constrained")
    for axis, name in zip(figure.subplots(1, 2), ("loss", "accuracy"), strict=True):
        for split in ("train", "val"):
            axis.plot(history["epoch"], history[f"{split}_{name}"], marker=".", label=split)
        axis.set(xlabel="epoch", ylabel=name)
        axis.xaxis.set_major_locator(MaxNLocator(integer=True))
        axis.legend()
    return figure
