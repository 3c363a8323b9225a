"""A linear probe: features kept after one pass, against forwarding every image in every epoch."""

import time
from collections.abc import Iterator
from contextlib import chdir
from pathlib import Path
from typing import Any

import torch
from torch.nn import functional as F

from bench import images, ours, workload
from bench.measuring import Options, Result, Target, apart, in_turn, synchronize
from pipeline.experiment import RunSettings
from pipeline.learn import models, optimizers, train
from pipeline.learn.features import evaluation_batch

KEYS = ("probe_vs_every_epoch", "probe_vs_forward", "probe_four_sizes_vs_one")
EPOCHS = 10
SHARES = (8, 4, 2)  # of the training images: an eighth, a quarter, half; and all of them


def compare(options: Options) -> Iterator[Result]:
    """Measure probe, every-epoch training and one bare pass in turn, in one process."""
    settings = workload.settings(
        data_dir=str(images.for_options(options)),
        model="efficientnet_lite0",
        mode="linear_probe",
        image_size=96 if options.quick else 128,
        max_train_images=700 if options.quick else 2_000,
        augmentation=[],
        epochs=EPOCHS,
        optimizer="adamw",
        learning_rate=0.01,
    )
    with apart(seconds) as measure:
        for name in ("forward", "probe"):  # for the first time: imports, and kernels chosen by size
            measure(name, settings.model_dump_json(), options.folder / f"warm-up-{name}")
        contenders = {
            name: _contender(measure, name, settings, options.folder)
            for name in ("probe", "four_sizes", "every_epoch", "forward")
        }
        rounds = list(in_turn(options.rounds, contenders))
    yield from _results(rounds, settings)


def _contender(measure: Any, name: str, settings: RunSettings, folder: Path) -> Any:
    places = iter(folder / f"{name}-{number}" for number in range(100))
    return lambda: measure(name, settings.model_dump_json(), next(places))


def _results(rounds: list[dict[str, float]], settings: RunSettings) -> Iterator[Result]:
    details = {
        "network": f"efficientnet_lite0 at {settings.image_size} pixels, {EPOCHS} epochs of the head",
        "train_images": settings.max_train_images,
        "seconds": rounds,
    }
    yield Result(
        "probe_vs_every_epoch",
        "seconds of the same training with every image forwarded in every epoch / seconds of ours",
        "ours: features of train and val computed, hashed, kept on disk, then all epochs with val "
        "passes; the other: all epochs with val passes, same batches, precision and optimizer",
        Target("at least", 8),
        [r["every_epoch"] / r["probe"] for r in rounds],
        details=details,
    )
    yield Result(
        "probe_vs_forward",
        "seconds of our linear probe as a whole / seconds of one forward pass of its images",
        "ours: as above; the pass: train and val images once through the backbone, nothing kept",
        Target("at most", 1.15),
        [r["probe"] / r["forward"] for r in rounds],
        details=details,
    )
    yield Result(
        "probe_four_sizes_vs_one",
        "seconds of our linear probe at four training sizes / seconds of the one at all images",
        "features of train and val once, and all epochs with val passes at each size, as many steps each",
        Target("at most", 1.2),
        [r["four_sizes"] / r["probe"] for r in rounds],
        details=details,
    )


def seconds(contender: str, settings_json: str, folder: Path) -> float:
    """Return what one contender takes, the images being in memory and no features on disk."""
    loaded = ours.load(settings_json)
    every = _sizes(loaded.settings) if contender == "four_sizes" else []
    smaller = [ours.load(settings.model_dump_json()) for settings in every]
    work = {
        "probe": _probe,
        "four_sizes": lambda loaded: [_probe(one) for one in (*smaller, loaded)],
        "every_epoch": _every_epoch,
        "forward": _forward,
    }[contender]
    folder.mkdir()
    with chdir(folder):  # features are kept in the current folder: here there are none yet
        synchronize()
        started = time.perf_counter()
        work(loaded)
        synchronize()
        return time.perf_counter() - started


def _sizes(settings: RunSettings) -> list[RunSettings]:
    assert settings.max_train_images is not None
    return [settings.model_copy(update={"train_size": settings.max_train_images // n}) for n in SHARES]


def _probe(loaded: ours.Loaded) -> None:
    loaded.fit(Path(f"run-{loaded.settings.train_size or 'all'}"))


def _network(loaded: ours.Loaded) -> Any:
    network = models.build(loaded.settings, loaded.images.classes, loaded.images.preprocessing)
    return loaded.hardware.place(network)


@torch.no_grad()
def _forward(loaded: ours.Loaded) -> None:
    network = _network(loaded).eval()
    for split in ("train", "val"):
        for x, _ in loaded.images.batches(split, evaluation_batch(loaded.images, loaded.hardware)):
            with loaded.hardware.autocast():
                network.features(x)


def _every_epoch(loaded: ours.Loaded) -> None:
    network, settings = _network(loaded), loaded.settings
    optimizer = optimizers.build(network.parameter_groups(settings), settings, loaded.hardware)
    for epoch in range(EPOCHS):
        network.train()
        for x, y in loaded.images.train_batches(settings.seed, epoch, settings):
            with loaded.hardware.autocast():
                loss = F.cross_entropy(network(x).float(), y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        batch = evaluation_batch(loaded.images, loaded.hardware)
        train.evaluate(network, loaded.images.batches("val", batch), settings, loaded.hardware)
