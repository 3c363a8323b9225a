"""How a run learned, by rule, from its history: over- or underfitting, and where it stopped.

Accuracy on train is measured while training, with augmentation and dropout, so it understates what
the network knows of its training images: a gap that shows all the same is real.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd

from pipeline.record import RunRecord
from pipeline.report.evidence.interval import wilson

GAP = 0.05  # train minus val accuracy, at the chosen epoch, from which a run overfits
RISE = 0.05  # by which the val loss must have risen after its best epoch, as a share of it ...
BY_HEART = 0.10  # train minus val accuracy at the end, after a better epoch, that only memory explains
LASTING = 2  # ... in each of so many last epochs: a single one may be a chance
STILL_FALLING = 0.01  # val loss over the last three epochs, as a share, that says "not done yet"
STEPS = 2  # so many last steps of the val loss must each have fallen for that
KNOWN = 0.10  # half the interval of a val accuracy, above which nobody can say that it is like another
LOW = 0.90  # train accuracy below which a model without a gap may lack capacity or freedom

Fit = Literal["overfitting", "unfinished", "underfitting", "balanced", "unknown"]


@dataclass(frozen=True)
class Learning:
    """What the curves of one run show. Accuracies are fractions, at the chosen epoch; losses nats."""

    fit: Fit
    best_epoch: int
    last_epoch: int
    planned_epochs: int
    stopped_early: bool
    train_accuracy: float
    val_accuracy: float
    best_val_loss: float
    last_val_loss: float
    last_val_accuracy: float
    last_train_accuracy: float
    best_stage: str | None  # head or network: what learned in the kept epoch; None where nothing tells
    val_noise: float  # half the 95 % interval of the val accuracy

    @property
    def gap(self) -> float:
        """Train minus val accuracy at the chosen epoch."""
        return self.train_accuracy - self.val_accuracy

    @property
    def ahead_on_train(self) -> bool:
        """Whether train is ahead of val by more than val images can show by chance."""
        return self.gap > max(GAP, self.val_noise)

    @property
    def last_gap(self) -> float:
        """Train minus val accuracy at the last epoch."""
        return self.last_train_accuracy - self.last_val_accuracy

    @property
    def rise(self) -> float:
        """How far the val loss rose after its best epoch, as a share of it."""
        return self.last_val_loss / self.best_val_loss - 1 if self.best_val_loss > 0 else 0.0


def learning(record: RunRecord) -> Learning | None:
    """Read the curves of a whole run; None when it has no epochs."""
    history = record.history
    if history.empty:
        return None
    chosen = history["epoch"] == record.details.best_epoch
    best = history[chosen].iloc[-1] if chosen.any() else history.iloc[int(history["val_loss"].argmin())]
    noise = _noise(float(best["val_accuracy"]), len(record.split("val").index))
    return Learning(
        fit=_fit(history, best, noise, _chance_loss(record)),
        best_epoch=int(best["epoch"]),
        last_epoch=int(history["epoch"].max()),
        planned_epochs=record.settings.epochs,
        stopped_early=stopped_early(record),
        train_accuracy=float(best["train_accuracy"]),
        val_accuracy=float(best["val_accuracy"]),
        best_val_loss=float(best["val_loss"]),
        last_val_loss=float(history["val_loss"].iloc[-1]),
        last_val_accuracy=float(history["val_accuracy"].iloc[-1]),
        last_train_accuracy=float(history["train_accuracy"].iloc[-1]),
        best_stage=_stage(record),
        val_noise=noise,
    )


def _noise(val_accuracy: float, val_images: int) -> float:
    low, high = wilson(val_accuracy * val_images, max(val_images, 1))
    return float(high - low) / 2


def _chance_loss(record: RunRecord) -> float:
    """Return the loss of always answering with the shares of the classes among the val images, nats."""
    shares = np.bincount(record.split("val").target) / max(1, len(record.split("val").target))
    return float(-sum(share * np.log(share) for share in shares if share > 0))


def _stage(record: RunRecord) -> str | None:
    """Return what learned in the kept epoch, as recorded, or as planned where no epoch was left out."""
    recorded: str | None = getattr(record.details, "best_stage", None)
    settings, best = record.settings, record.details.best_epoch
    if recorded or settings.mode != "fine_tune" or best is None:
        return recorded
    if len(record.history) != settings.head_epochs + settings.epochs:
        return None
    return "head" if best <= settings.head_epochs else "network"


def stopped_early(record: RunRecord) -> bool:
    """Whether a run ended before its planned epochs, because the val loss no longer fell."""
    return "val loss" in (record.details.stop_reason or "")


def seconds_to(record: RunRecord, level: float) -> float:
    """Return the seconds of training after which a run's val accuracy first reached ``level``.

    Features of a frozen backbone count with it. Infinity where it never did.
    """
    history, timings = record.history, record.details.timings
    reached = (history["val_accuracy"] >= level).to_numpy()
    if not reached.any():
        return float("inf")
    epochs = history["epoch_seconds"].to_numpy()[: int(reached.argmax()) + 1]
    return float(epochs.sum()) + (timings.feature_seconds if timings else 0.0)


def _fit(history: pd.DataFrame, best: pd.Series, noise: float, chance_loss: float) -> Fit:
    """Apply the rules in order: the first that holds names the run.

    overfitting: train is ahead of val by 5 points and by more than val images can show by chance, or
    each of the last two epochs, after the best one, lies 5 % above it in val loss while the train loss
    fell, or by the end train is ahead by 10 points and by more than chance, and the val loss was lower
    before. unfinished: the best epoch is the last one, and the val loss, below that of chance, fell in each
    of the last two steps. unknown: val images do not tell accuracy to 10 points. underfitting: train and val
    within 5 points of each other, and train accuracy itself below 90 %.
    """
    gap = best["train_accuracy"] - best["val_accuracy"]
    if gap > max(GAP, noise) or _diverged(history, best) or _by_heart(history, best, noise):
        return "overfitting"
    if best["epoch"] == history["epoch"].max() and _still_falling(history, chance_loss):
        return "unfinished"
    if noise > KNOWN:
        return "unknown"
    alike = abs(gap) < GAP
    return "underfitting" if best["train_accuracy"] < LOW and alike else "balanced"


def _diverged(history: pd.DataFrame, best: pd.Series) -> bool:
    since = history[history["epoch"] > best["epoch"]].tail(LASTING)
    risen = (since["val_loss"] > (1 + RISE) * best["val_loss"]).all()
    return bool(len(since) == LASTING and risen and since["train_loss"].iloc[-1] < best["train_loss"])


def _by_heart(history: pd.DataFrame, best: pd.Series, noise: float) -> bool:
    last = history.iloc[-1]
    ahead = last["train_accuracy"] - last["val_accuracy"] > max(BY_HEART, noise)
    return bool(ahead and last["val_loss"] > best["val_loss"])


def _still_falling(history: pd.DataFrame, chance_loss: float) -> bool:
    losses = history["val_loss"].to_numpy()[-(STEPS + 1) :]
    if len(losses) <= STEPS or not np.all(np.isfinite(losses)) or losses[-1] >= chance_loss:
        return False
    return bool(np.all(np.diff(losses) < 0) and losses[-1] < (1 - STILL_FALLING) * losses[0])
