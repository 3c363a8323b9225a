"""The stages of a run: the new head alone on features of the frozen backbone, or the whole network."""

from collections.abc import Iterator
from dataclasses import fields
from typing import TYPE_CHECKING, Any, Protocol

import torch
from torch import Tensor, nn

from pipeline.experiment import RunSettings
from pipeline.learn import optimizers
from pipeline.learn.data import balance
from pipeline.learn.device import Hardware
from pipeline.learn.fast import compiling
from pipeline.learn.features import FeatureData, evaluation_batch
from pipeline.learn.history import History
from pipeline.learn.loss_scale import LossScale
from pipeline.record import RunFolder

if TYPE_CHECKING:
    from pipeline.learn.data import ImageData

PREPARED_WITH = 2000  # training images that a network may look at before the first step


def of(settings: RunSettings) -> list[tuple[str, int]]:
    """Return what is trained, the head or the whole network, and for how many epochs at most.

    Fine-tuning begins with the head, so that the first steps of the backbone follow a sensible one.
    """
    if settings.mode == "linear_probe":
        return [("head", settings.epochs)]
    if settings.mode == "fine_tune" and settings.head_epochs:
        return [("head", settings.head_epochs), ("network", settings.epochs)]
    return [("network", settings.epochs)]


class Examples(Protocol):
    """What a network learns from: ``ImageData``, or ``features.FeatureData`` for a head alone."""

    train: Any
    val: Any
    classes: list[str]

    def steps_per_epoch(self, batch_size: int) -> int: ...

    def train_batches(
        self, seed: int, epoch: int, settings: RunSettings
    ) -> Iterator[tuple[Tensor, Tensor]]: ...

    def batches(self, split_name: Any, batch_size: int) -> Iterator[tuple[Tensor, Tensor]]: ...


class Stage:
    """One stage of a run: a whole network that learns from images, or its new head from features.

    ``history`` may hold epochs of an earlier stage; this one adds ``settings.epochs`` more at most.
    """

    def __init__(
        self,
        name: str,
        network: Any,
        examples: Examples,
        settings: RunSettings,
        hardware: Hardware,
        history: History,
        val_batch: int,
    ):
        self.name, self.network, self.examples = name, network, examples
        self.settings, self.hardware, self.val_batch = settings, hardware, val_batch
        self.history, self.first_epoch = history, history.epoch
        self.module: nn.Module = network.head if name == "head" else network
        self.steps_per_epoch = examples.steps_per_epoch(settings.batch_size)
        self.optimizer = optimizers.build(network.parameter_groups(settings), settings, hardware)
        self.loss_scale = LossScale(self.module, self.optimizer, hardware)
        self.average = optimizers.average(self.module, settings, settings.epochs * self.steps_per_epoch)
        self.forward = compiling.forward(self.module, settings, hardware)
        # What is shown equally often needs no weights; val, which nobody samples, needs them either way.
        self.class_weights = self._weights("train") if settings.class_weights else None
        self.val_weights = self._weights("val") if settings.class_weights or settings.sampler else None

    def _weights(self, split_name: str) -> Tensor:
        """Return what the images of each class weigh in a split's loss, float [classes]."""
        return balance.weights(getattr(self.examples, split_name).targets, len(self.examples.classes))

    @property
    def evaluated(self) -> nn.Module:
        """The network whose answers count: the average of the weights when there is one."""
        return self.module if self.average is None else self.average.module

    @property
    def epoch(self) -> int:
        """How many epochs of this stage are done."""
        return self.history.epoch - self.first_epoch

    @property
    def kind_of_epoch(self) -> dict[str, Any]:
        """What an epoch of this stage is, by ``record.STAGE_COLUMNS``."""
        cached = self.name == "head"
        shown = not cached or self.settings.feature_views > 1
        augmented = shown and bool(self.settings.augmentation)
        return {"stage": self.name, "augmented": augmented, "cached_features": cached}

    def state(self) -> dict[str, Any]:
        """Return all that a resumed run needs, as ``checkpoint.write`` takes it."""
        return {
            "stage": self.name,
            "module": self.module.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "loss_scale": self.loss_scale.state_dict(),
            "average": None if self.average is None else self.average.state_dict(),
            "first_epoch": self.first_epoch,
            **vars(self.history),
        }

    def load_state(self, state: dict[str, Any]) -> None:
        """Go on from a checkpoint's state."""
        self.module.load_state_dict(state["module"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.loss_scale.load_state_dict(state["loss_scale"])
        if self.average is not None:
            self.average.load_state_dict(state["average"])
        self.history = History(**{f.name: state[f.name] for f in fields(History)})
        self.first_epoch = state["first_epoch"]
        print(f"Going on after epoch {self.history.epoch}, from the checkpoint.")


def begin(
    name: str,
    network: Any,
    images: "ImageData",
    settings: RunSettings,
    run: RunFolder,
    hardware: Hardware,
    done: History,
    saved: dict[str, Any] | None,
) -> Stage:
    """Return a stage, ready for its first epoch or for the one after its checkpoint."""
    examples: Any = images
    if name == "head":
        if settings.mode == "fine_tune":
            settings = settings.model_copy(
                update={"epochs": settings.head_epochs, "patience": None, "feature_views": 1}
            )
        network.freeze_backbone()
        examples = FeatureData(network, images, settings, hardware, run.report_progress)
        done = History(feature_seconds=examples.compute(), energy_joules=examples.joules)
    elif done.epoch:
        network.unfreeze_backbone()
        done.keep_weights(network)
    elif hasattr(network, "prepare") and saved is None:
        network.prepare(_some_images(images, settings))
    stage = Stage(name, network, examples, settings, hardware, done, evaluation_batch(images, hardware))
    if saved is not None:
        stage.load_state(saved)
    return stage


def _some_images(images: "ImageData", settings: RunSettings) -> Tensor:
    """Return some random training images float [N, 3, S, S], as the network sees them."""
    found: list[Tensor] = []
    for batch, _ in images.train_batches(settings.seed, 0, settings):
        found.append(batch)
        if sum(len(b) for b in found) >= PREPARED_WITH:
            break
    return torch.cat(found)[:PREPARED_WITH]
