"""Training: one ``fit`` for every model and mode, to be read from top to bottom.

``fit`` takes a run through its stages, ``_train`` a stage through its epochs, ``train_one_epoch`` an
epoch through its batches; ``evaluate`` scores the network on val after each.
"""

import math
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pandas as pd
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from pipeline.errors import RunError
from pipeline.experiment import RunSettings
from pipeline.learn import checkpoint, energy, optimizers, stages
from pipeline.learn.device import Hardware
from pipeline.learn.history import History, Reporter, Row, Scores, Tally
from pipeline.learn.stages import Stage
from pipeline.record import RunFolder

if TYPE_CHECKING:
    from pipeline.learn.data import ImageData

CHECK_EVERY = 100  # steps between two looks at the training loss
AUXILIARY_WEIGHT = 0.4  # of an auxiliary head's loss (Szegedy et al. 2016, arXiv 1512.00567)
IMAGES_NDIM = 4
PRUNED = "pruned: its val accuracy fell behind that of earlier trials"

Batches = Iterable[tuple[Tensor, Tensor]]


@dataclass(frozen=True)
class FitResult:
    """What training did; the network it trained now holds the weights of ``best_epoch``.

    ``history`` has a row per epoch, columns ``record.HISTORY_COLUMNS``, ``record.STAGE_COLUMNS``,
    ``images_per_second`` and ``threads``; fine-tuning begins with the epochs of the head alone. The best
    epoch, from 1, has the lowest val loss. ``train_seconds`` is as in ``record.Timings``.
    """

    history: pd.DataFrame
    best_epoch: int
    best_stage: str
    stop_reason: str
    train_seconds: float
    feature_seconds: float = 0.0
    energy_joules: float | None = None  # of all parts of the run; None where no counter told
    energy_note: str = ""


def fit(
    network: nn.Module, images: "ImageData", settings: RunSettings, run: RunFolder, hardware: Hardware
) -> FitResult:
    """Train a network in place, in the settings' mode, and leave it with its best epoch's weights.

    Writes checkpoints after epochs and goes on from the last when there is one. Raises RunError when
    the loss is not finite or memory runs out.
    """
    hardware.place(network)
    history, reason = History(), ""
    key = checkpoint.key(settings, images.info.fingerprint, hardware.precision)
    saved = checkpoint.read(run.checkpoint_path, key, hardware.device)
    keeper = checkpoint.Keeper(run.checkpoint_path, key)
    reporter = Reporter(run, sum(epochs for _, epochs in stages.of(settings)))
    with hardware.explaining_limits(settings):
        for name, _ in stages.of(settings):
            if saved is not None and saved["stage"] != name:
                continue  # the checkpoint is of a later stage
            stage = stages.begin(name, network, images, settings, run, hardware, history, saved)
            history, saved = stage.history, None
            reason = _train(stage, reporter, keeper)
            if reason == PRUNED:
                break
    return _result(history, reason, hardware)


def _train(stage: Stage, reporter: Reporter, keeper: checkpoint.Keeper) -> str:
    """Train to the end of a stage, leave its best weights in place, and say why that was the end."""
    history = stage.history
    while (reason := _stop_reason(stage)) is None:
        with energy.Meter(stage.hardware.device) as meter:
            row = _one_epoch(stage, history.epoch, reporter)
        history.add(row, stage.evaluated)
        history.energy_joules = energy.total([history.energy_joules, meter.joules])
        reporter.epoch(row)
        keeper.keep(stage.state)
    stage.module.load_state_dict(history.best_weights)
    return reason


def _stop_reason(stage: Stage) -> str | None:
    history, patience = stage.history, stage.settings.effective().get("patience")
    if stage.epoch >= stage.settings.epochs:
        return "all epochs done"
    if _falls_behind(history, stage.settings.prune_below):
        return PRUNED
    waited = history.epoch - max(stage.first_epoch, history.best_epoch)
    if patience is not None and waited >= patience:
        return f"val loss did not fall for {patience} {'epoch' if patience == 1 else 'epochs'}"
    return None


def _falls_behind(history: History, below: Sequence[float]) -> bool:
    """Whether the best val accuracy so far is below what earlier trials of a search had by this epoch."""
    if not 0 < history.epoch <= len(below):
        return False
    return max(row["val_accuracy"] for row in history.rows) < below[history.epoch - 1]


def _one_epoch(stage: Stage, epoch: int, reporter: Reporter) -> Row:
    """Train and validate once; ``epoch`` counts from 0, over all stages."""
    # Seeded by epoch, dropout draws the same in a run that was killed and went on.
    torch.manual_seed(stage.settings.seed * 100_003 + epoch)
    started = time.perf_counter()
    train = train_one_epoch(stage, epoch, reporter)
    trained = time.perf_counter()
    batches = stage.examples.batches("val", stage.val_batch)
    val = evaluate(stage.evaluated, batches, stage.settings, stage.hardware, stage.val_weights)
    refuse_divergence("val", val.loss, f"in epoch {epoch + 1}", stage.optimizer)
    return {
        "epoch": epoch + 1,
        "train_loss": train.loss,
        "train_accuracy": train.accuracy,
        "val_loss": val.loss,
        "val_accuracy": val.accuracy,
        "learning_rate": optimizers.learning_rate(stage.optimizer, stage.settings),
        "epoch_seconds": time.perf_counter() - started,
        "images_per_second": train.images / (trained - started),
        "threads": stage.hardware.threads_used(),
        **stage.kind_of_epoch,
    }


def train_one_epoch(stage: Stage, epoch: int, reporter: Reporter) -> Scores:
    """Show each training image once, and take one step of the optimizer for each batch.

    With ``budget: steps`` a subset is shown again, for as many steps as all images would take.
    """
    settings, hardware, optimizer = stage.settings, stage.hardware, stage.optimizer
    steps, tally, started = stage.steps_per_epoch, Tally(hardware.device), time.perf_counter()
    stage.module.train()
    for step, (images, targets) in enumerate(stage.examples.train_batches(settings.seed, epoch, settings)):
        factor = optimizers.schedule(settings, stage.epoch * steps + step, settings.epochs * steps, steps)
        optimizers.set_learning_rate(optimizer, factor)
        weights = stage.class_weights
        loss, logits = training_loss(stage.forward, images, targets, settings, hardware, weights)
        optimizer.zero_grad(set_to_none=True)
        stage.loss_scale.backward(loss)
        optimizers.clip(stage.module, settings)
        stage.loss_scale.take_step()
        optimizers.update_average(stage.average, stage.module, step)
        tally.add(loss, logits, targets)
        reporter.step(epoch + 1, tally.images, (step + 1) / steps, started)
        if step % CHECK_EVERY == 0:  # on a GPU each look at the loss waits for it
            refuse_divergence("training", tally.loss, f"in epoch {epoch + 1} by step {step + 1}", optimizer)
    refuse_divergence("training", tally.loss, f"in epoch {epoch + 1}", optimizer)
    return tally.scores()


def training_loss(
    network: Callable[[Tensor], Any],
    images: Tensor,
    targets: Tensor,
    settings: RunSettings,
    hardware: Hardware,
    weights: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """Return the mean training loss [] and the logits [B, classes] of a batch.

    ``weights`` float [classes] say how much an image of each class counts; None: all alike.
    A network that answers ``(logits, auxiliary logits, ...)`` learns from all of them.
    """
    hardware.step()
    with hardware.autocast():
        output = network(images)
    answers = output if isinstance(output, tuple) else (output,)
    first, *others = (
        F.cross_entropy(answer.float(), targets, weights, label_smoothing=settings.label_smoothing)
        for answer in answers
    )
    return sum((AUXILIARY_WEIGHT * other for other in others), start=first), answers[0]


def refuse_divergence(split: str, loss: float, where: str, optimizer: optimizers.AnyOptimizer) -> None:
    """Raise RunError if a loss is not finite."""
    if not math.isfinite(loss):
        rate = max(float(group["lr"]) for group in optimizer.param_groups)
        raise RunError(
            f"the {split} loss became {loss} {where}, at learning rate {rate:.3g}. "
            "Try a lower learning_rate, a warm-up (warmup_epochs) or gradient_clip."
        )


def evaluate(
    network: nn.Module,
    batches: Batches,
    settings: RunSettings,
    hardware: Hardware,
    weights: Tensor | None = None,
) -> Scores:
    """Return the scores of a network on batches of images, asked as in the end, without label smoothing.

    The loss counts an image of each class by ``weights`` float [classes], where they are given.
    """
    tally = Tally(hardware.device)
    network.eval()
    for images, targets in batches:
        answers = log_probabilities(network, images, settings, hardware)
        loss = F.nll_loss(answers, targets, weights, reduction="sum") / len(targets)
        tally.add(loss, answers, targets)
    return tally.scores()


@torch.inference_mode()
def log_probabilities(network: nn.Module, x: Tensor, settings: RunSettings, hardware: Hardware) -> Tensor:
    """Return the logarithms float32 [B, classes] of the probabilities that a network gives.

    ``x`` are images [B, 3, S, S], or for a head alone features of their views [B, views, F]. With
    ``flip_at_test`` the probabilities are the mean over an image and its mirror. The softmax is
    computed in fp32 whatever the precision, so that the probabilities of an image sum to 1.
    """
    hardware.step()
    with hardware.autocast():
        logits = [network(view) for view in _views(x, settings)]
    answers = torch.stack([answer.float().log_softmax(dim=1) for answer in logits])
    return answers.logsumexp(dim=0) - math.log(len(answers)) if len(answers) > 1 else answers[0]


def _views(x: Tensor, settings: RunSettings) -> tuple[Tensor, ...]:
    if x.ndim != IMAGES_NDIM:
        return x.unbind(1)
    return (x, x.flip(3)) if settings.flip_at_test else (x,)


def _result(history: History, reason: str, hardware: Hardware) -> FitResult:
    return FitResult(
        history=pd.DataFrame(history.rows).astype({"epoch": int}),
        best_epoch=history.best_epoch,
        best_stage=str(history.rows[history.best_epoch - 1]["stage"]),
        stop_reason=reason,
        train_seconds=history.seconds,
        feature_seconds=history.feature_seconds,
        energy_joules=history.energy_joules,
        energy_note=energy.note(hardware.device, history.energy_joules),
    )
