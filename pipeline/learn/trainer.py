"""The trainer: epochs, best weights, early stopping, checkpoints and progress of one network."""

import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, fields
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from pipeline.experiment import RunSettings
from pipeline.learn import checkpoint, compiling, energy, loop, optimizers
from pipeline.learn.hardware import Hardware
from pipeline.learn.reporting import Reporter
from pipeline.record import RunFolder

AVERAGE_EVERY = 5  # steps between two updates of the average of the weights
AVERAGE_WINDOW = 0.05  # the average looks back over about this share of all steps

Row = dict[str, float]


class Examples(Protocol):
    """What a network learns from: ``data.ImageData``, or ``features.FeatureData`` for a head alone."""

    def steps_per_epoch(self, batch_size: int) -> int: ...

    def train_batches(
        self, seed: int, epoch: int, settings: RunSettings
    ) -> Iterator[tuple[Tensor, Tensor]]: ...

    def batches(self, split_name: Any, batch_size: int) -> Iterator[tuple[Tensor, Tensor]]: ...


@dataclass
class Progress:
    """What training has come to: a row per epoch, and the weights of the best one.

    The best epoch (from 1; 0 before the first) has the lowest val loss. Early stopping waits for
    the same number to fall, so the epoch that is kept and the one that stops training agree.
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


class Trainer:
    """Trains one module on examples: a whole network on images, or a head on features.

    ``progress`` may hold epochs of an earlier stage; this one adds ``settings.epochs`` more at most.
    """

    def __init__(
        self,
        module: nn.Module,
        groups: Iterable[dict[str, Any]],
        examples: Examples,
        settings: RunSettings,
        run: RunFolder,
        hardware: Hardware,
        progress: Progress,
        val_batch: int = 1024,
    ):
        self.module, self.examples = module, examples
        self.settings, self.run, self.hardware = settings, run, hardware
        self.progress, self.first_epoch, self.val_batch = progress, progress.epoch, val_batch
        self.steps_per_epoch = examples.steps_per_epoch(settings.batch_size)
        self.optimizer = optimizers.build(groups, settings, hardware)
        self.average = self._start_average() if settings.weight_averaging else None
        self.forward = compiling.forward(module, settings, hardware)

    def _start_average(self) -> AveragedModel:
        window = AVERAGE_WINDOW * self.settings.epochs * self.steps_per_epoch / AVERAGE_EVERY
        average = get_ema_multi_avg_fn(1 - 1 / max(2.0, window))
        return AveragedModel(self.module, multi_avg_fn=average, use_buffers=True)

    @property
    def last_epoch(self) -> int:
        return self.first_epoch + self.settings.epochs

    @property
    def evaluated(self) -> nn.Module:
        """The network whose answers count: the average of the weights when there is one."""
        return self.module if self.average is None else self.average.module

    def train(self, checkpoint_key: str, epochs_to_come: int = 0) -> str:
        """Train to the end, leave the module with its best weights, and say why that was the end.

        Writes a checkpoint after each epoch. ``epochs_to_come`` are those of another stage, after this.
        """
        reporter = Reporter(self.run, self.last_epoch + epochs_to_come)
        while (reason := self._stop_reason()) is None:
            with energy.Meter(self.hardware.device) as meter:
                row = self._train_epoch(self.progress.epoch, reporter)
            self.progress.add(row, self.evaluated)
            self.progress.energy_joules = energy.total([self.progress.energy_joules, meter.joules])
            reporter.epoch(row)
            state = {"epochs_to_come": epochs_to_come, **self.state()}
            checkpoint.write(self.run.checkpoint_path, checkpoint_key, state)
        self.module.load_state_dict(self.progress.best_weights)
        return reason

    def _stop_reason(self) -> str | None:
        patience = self.settings.patience
        if self.progress.epoch >= self.last_epoch:
            return "all epochs done"
        waited = self.progress.epoch - max(self.first_epoch, self.progress.best_epoch)
        if patience is not None and waited >= patience:
            return f"val loss did not fall for {patience} {'epoch' if patience == 1 else 'epochs'}"
        return None

    def _train_epoch(self, epoch: int, reporter: Reporter) -> Row:
        """Train and validate once; ``epoch`` counts from 0."""
        # Seeded by epoch, dropout draws the same in a run that was killed and went on.
        torch.manual_seed(self.settings.seed * 100_003 + epoch)
        started = time.perf_counter()
        train = self._train_pass(epoch, reporter)
        trained = time.perf_counter()
        batches = self.examples.batches("val", self.val_batch)
        val = loop.evaluate(self.evaluated, batches, self.settings, self.hardware)
        loop.refuse_divergence("val", val.loss, f"in epoch {epoch + 1}", self.optimizer)
        return {
            "epoch": epoch + 1,
            "train_loss": train.loss,
            "train_accuracy": train.accuracy,
            "val_loss": val.loss,
            "val_accuracy": val.accuracy,
            "learning_rate": self._learning_rate(),
            "epoch_seconds": time.perf_counter() - started,
            "images_per_second": train.images / (trained - started),
        }

    def _train_pass(self, epoch: int, reporter: Reporter) -> loop.Scores:
        batches = self.examples.train_batches(self.settings.seed, epoch, self.settings)
        tally, started = loop.Tally(self.hardware.device), time.perf_counter()
        self.module.train()
        for step, (images, targets) in enumerate(batches):
            self._set_learning_rate(epoch, step)
            loss, logits = loop.training_loss(self.forward, images, targets, self.settings, self.hardware)
            self.optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizers.clip(self.module, self.settings)
            self.optimizer.step()
            self._average_weights(step)
            tally.add(loss, logits, targets)
            reporter.steps(epoch + 1, tally.images, (step + 1) / self.steps_per_epoch, started)
            if step % loop.CHECK_EVERY == 0:  # on a GPU each look at the loss waits for it
                where = f"in epoch {epoch + 1} by step {step + 1}"
                loop.refuse_divergence("training", tally.loss, where, self.optimizer)
        loop.refuse_divergence("training", tally.loss, f"in epoch {epoch + 1}", self.optimizer)
        return tally.scores()

    def _set_learning_rate(self, epoch: int, step: int) -> None:
        steps = self.settings.epochs * self.steps_per_epoch
        done = (epoch - self.first_epoch) * self.steps_per_epoch + step
        factor = optimizers.schedule(self.settings, done, steps, self.steps_per_epoch)
        optimizers.set_learning_rate(self.optimizer, factor)

    def _learning_rate(self) -> float:
        """Return the rate of the last step, before any group's own factor."""
        group = self.optimizer.param_groups[0]
        return self.settings.learning_rate * float(group["lr"]) / float(group["highest_lr"])

    def _average_weights(self, step: int) -> None:
        if self.average is not None and step % AVERAGE_EVERY == 0:
            self.average.update_parameters(self.module)

    def state(self) -> dict[str, Any]:
        """Return all that a resumed run needs, as ``checkpoint.write`` takes it."""
        return {
            "module": self.module.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "average": None if self.average is None else self.average.state_dict(),
            "first_epoch": self.first_epoch,
            **vars(self.progress),
        }

    def load_state(self, state: dict[str, Any]) -> None:
        """Go on from a checkpoint's state."""
        self.module.load_state_dict(state["module"])
        self.optimizer.load_state_dict(state["optimizer"])
        if self.average is not None:
            self.average.load_state_dict(state["average"])
        self.progress = Progress(**{f.name: state[f.name] for f in fields(Progress)})
        self.first_epoch = state["first_epoch"]
