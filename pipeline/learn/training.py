"""Training: one ``fit`` for every model and mode."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pandas as pd
import torch
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from torch import nn

from pipeline.experiment import RunSettings
from pipeline.learn import checkpoint, energy
from pipeline.learn.features import FeatureData, evaluation_batch
from pipeline.learn.hardware import Hardware
from pipeline.learn.trainer import Progress, Trainer
from pipeline.record import RunFolder

if TYPE_CHECKING:
    from pipeline.learn.data.images import ImageData

PREPARED_WITH = 2000  # training images that a network may look at before the first step


@dataclass(frozen=True)
class FitResult:
    """What training did; the network it trained now holds the weights of ``best_epoch``.

    ``history`` has a row per epoch, columns ``records.HISTORY_COLUMNS`` and ``images_per_second``;
    fine-tuning begins with the epochs of the head alone. The best epoch, from 1, has the lowest val
    loss. ``train_seconds`` holds all epochs with their val passes, and ``feature_seconds``.
    """

    history: pd.DataFrame
    best_epoch: int
    stop_reason: str
    train_seconds: float
    feature_seconds: float = 0.0
    energy_joules: float | None = None  # of all parts of the run; None where no counter told
    energy_note: str = ""


def fit(
    network: nn.Module, images: "ImageData", settings: RunSettings, run: RunFolder, hardware: Hardware
) -> FitResult:
    """Train a network in place, in the settings' mode, and leave it with its best epoch's weights.

    Writes a checkpoint after each epoch and goes on from it when there is one. Raises RunError when
    the loss is not finite or memory runs out.
    """
    hardware.place(network)
    with hardware.explaining_memory(settings):
        return _Fit(network, images, settings, run, hardware).result()


class _Fit:
    """One run's training: a single stage, or two for fine-tuning."""

    def __init__(self, network: Any, images: Any, settings: RunSettings, run: RunFolder, hardware: Hardware):
        self.network, self.images = network, images
        self.settings, self.run, self.hardware = settings, run, hardware
        self.key = checkpoint.key(settings, images.info.fingerprint, hardware.precision)
        self.saved = checkpoint.read(run.checkpoint_path, self.key, hardware.device)

    def result(self) -> FitResult:
        trainer = self._trainer()
        reason, progress = trainer.train(self.key), trainer.progress
        history = pd.DataFrame(progress.rows).astype({"epoch": int})
        return FitResult(
            history=history,
            best_epoch=progress.best_epoch,
            stop_reason=reason,
            train_seconds=progress.seconds,
            feature_seconds=progress.feature_seconds,
            energy_joules=progress.energy_joules,
            energy_note=energy.note(self.hardware.device, progress.energy_joules),
        )

    def _trainer(self) -> Trainer:
        if self.settings.mode == "linear_probe":
            return self._going_on(self._head_trainer(self.settings))
        head_is_done = self.saved is not None and not self.saved["epochs_to_come"]
        if self.settings.mode == "fine_tune" and self.settings.head_epochs and not head_is_done:
            return self._stage(self.network, self.images, self.settings, self._train_head())
        if hasattr(self.network, "prepare") and self.saved is None:
            self.network.prepare(self._some_images())
        return self._going_on(self._stage(self.network, self.images, self.settings, Progress()))

    def _going_on(self, trainer: Trainer) -> Trainer:
        """Return the trainer of the stage that the checkpoint is of, at the epoch that it holds."""
        if self.saved is not None:
            trainer.load_state(self.saved)
            print(f"Going on after epoch {trainer.progress.epoch}, from the checkpoint.")
            self.saved = None
        return trainer

    def _head_trainer(self, settings: RunSettings) -> Trainer:
        """Return a trainer of the head alone, on the features of the frozen backbone."""
        self.network.freeze_backbone()
        features = FeatureData(self.network, self.images, settings, self.hardware, self.run.report_progress)
        done = Progress(feature_seconds=features.compute(), energy_joules=features.joules)
        return self._stage(self.network.head, features, settings, done)

    def _train_head(self) -> Progress:
        """Train the head alone, so that the first steps of the backbone follow a sensible head."""
        settings = self.settings.model_copy(
            update={"epochs": self.settings.head_epochs, "patience": None, "feature_views": 1}
        )
        trainer = self._going_on(self._head_trainer(settings))
        trainer.train(self.key, epochs_to_come=self.settings.epochs)
        self.network.unfreeze_backbone()
        trainer.progress.keep_weights(self.network)
        return trainer.progress

    def _stage(self, module: Any, examples: Any, settings: RunSettings, done: Progress) -> Trainer:
        groups = self.network.parameter_groups(settings)
        val_batch = evaluation_batch(self.images, self.hardware)
        return Trainer(module, groups, examples, settings, self.run, self.hardware, done, val_batch)

    def _some_images(self) -> torch.Tensor:
        """Return some random training images float [N, 3, S, S], as the network sees them."""
        found: list[torch.Tensor] = []
        for batch, _ in self.images.train_batches(self.settings.seed, 0, self.settings):
            found.append(batch)
            if sum(len(b) for b in found) >= PREPARED_WITH:
                break
        return torch.cat(found)[:PREPARED_WITH]


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
