"""Headstart's own training, called as ``notebooks/train.ipynb`` calls it."""

from contextlib import redirect_stdout
from dataclasses import dataclass
from functools import cache
from io import StringIO
from pathlib import Path
from typing import Any

from pipeline.experiment import RunSettings
from pipeline.learn import data, device, models, train
from pipeline.learn.device import Hardware
from pipeline.learn.train import FitResult
from pipeline.record import RunFolder


@dataclass(frozen=True)
class Loaded:
    """Images in memory, and what trains on them."""

    settings: RunSettings
    hardware: Hardware
    images: Any

    def fit(self, folder: Path, settings: RunSettings | None = None) -> tuple[Any, FitResult]:
        """Train a new network in an empty folder; return it, and how that went."""
        settings = settings or self.settings
        network = models.build(settings, self.images.classes, self.images.preprocessing)
        folder.mkdir(parents=True)
        with redirect_stdout(StringIO()):  # its progress, which a notebook would show
            fitted = train.fit(network, self.images, settings, RunFolder(folder), self.hardware)
        return network, fitted


@cache
def load(settings_json: str) -> Loaded:
    """Load the images that settings, given as JSON, ask for; a second time they are at hand."""
    settings = RunSettings.model_validate_json(settings_json)
    machine = device.tune(device.choose(settings))
    images = data.load(settings, models.preprocessing(settings), machine)
    return Loaded(settings, machine, images)


def images_per_second(settings_json: str, folder: Path) -> float:
    """Return the training rate of the last epoch of a new run.

    Timed: shuffling, fetching, augmenting, forward, backward, optimizer, and reading the loss at the
    end, which waits for the device. Not timed: loading, validation, checkpoints, earlier epochs.
    """
    _, fitted = load(settings_json).fit(folder)
    return float(fitted.history["images_per_second"].iloc[-1])
