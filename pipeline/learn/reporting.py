"""What training says while it runs: a line per epoch here, and events to the process that started it."""

import time
from collections.abc import Mapping

from pipeline.record import RunFolder

SECONDS_BETWEEN_EVENTS = 5.0  # within an epoch
TOLD = ("train_loss", "val_loss", "val_accuracy", "images_per_second")


class Reporter:
    """Reports one stage of training, whose last epoch is ``epochs``."""

    def __init__(self, run: RunFolder, epochs: int):
        self.run, self.epochs = run, epochs
        self._told = time.perf_counter()

    def steps(self, epoch: int, images: int, done: float, started: float) -> None:
        """Tell how far a long epoch (from 1) has come: ``images`` seen, a share ``done`` of it."""
        now = time.perf_counter()
        if now - self._told < SECONDS_BETWEEN_EVENTS:
            return
        self._told, seconds = now, now - started
        left = seconds / done * (self.epochs - epoch + 1 - done)
        self.run.report_progress(
            stage="train",
            epoch=epoch,
            epochs=self.epochs,
            images_per_second=images / seconds,
            eta_seconds=left,
        )

    def epoch(self, row: Mapping[str, float]) -> None:
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
