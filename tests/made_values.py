"""Made-up results of a training run: predictions, history, sizes, timings, pictures, a notebook."""

import io
import json
import zlib
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image, ImageDraw

from pipeline import record
from pipeline.record import BaselineAnswers, DatasetInfo, Environment, ModelInfo, SplitPredictions, Timings

CIFAR_CLASSES = (
    "airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck",
)  # fmt: skip

SIZES = {  # total parameters, MACs, input size, train seconds, latency seconds
    "custom_cnn": (1_150_000, 38_000_000, 32, 95.0, 0.0011),
    "resnet18": (11_181_642, 37_000_000, 32, 260.0, 0.0029),
    "efficientnet_lite0": (3_384_558, 98_000_000, 128, 410.0, 0.0098),
    "vgg16": (134_301_514, 15_470_000_000, 224, 3900.0, 0.0900),
}


@dataclass(frozen=True)
class Made:
    """One model to make up. ``accuracy`` is the share of test images right, met to one image."""

    model: str = "custom_cnn"
    mode: str = "scratch"
    accuracy: float = 0.8
    seeds: tuple[int, ...] = (0,)
    learning: str = "healthy"  # or overfit, underfit, unfinished, stopped
    overconfidence: float = 1.6  # 1: calibrated
    failed_seeds: tuple[int, ...] = ()
    seed_step: float = 0.004  # seed 1 is so much worse than seed 0, seed 2 so much better
    val_accuracy: float | None = None  # None: a point below that on test
    input_size: int | None = None  # None: what SIZES says
    energy_joules: float | None = None
    settings: dict[str, object] = field(default_factory=dict)


@dataclass(frozen=True)
class MadeData:
    """The data set to make up."""

    classes: tuple[str, ...] = CIFAR_CLASSES
    train: int = 4500
    val: int = 500
    test: int = 2000
    near_duplicates: int = 20
    label_errors: int = 4  # test images whose label is wrong and whose models say so
    balanced: bool = True
    baselines: dict[str, float] = field(default_factory=dict)  # name → accuracy


def predictions(data: MadeData, split: str, accuracy: float, made: Made, seed: int) -> SplitPredictions:
    """Make up predictions with exactly ``round(accuracy * n)`` right ones, errors at the hard images."""
    n, classes = getattr(data, split), len(data.classes)
    shared = np.random.default_rng(_number(split, n, classes))
    target = _targets(shared, n, classes, data.balanced)
    hardness = shared.normal(size=n) + 0.3 * np.sin(target)
    own = np.random.default_rng(_number(split, made.model, made.mode, seed))
    score = 0.8 * hardness + 0.6 * own.normal(size=n)
    wrong = np.zeros(n, bool)
    wrong[np.argsort(-score, kind="stable")[: n - round(min(accuracy, 1) * n)]] = True
    guess = np.where(wrong, _wrong_guess(own, target, classes), target)
    probability = _probabilities(own, guess, score, wrong, classes, made.overconfidence)
    if split == "test":
        _mislabel(probability, target, wrong, hardness, data.label_errors)
    return SplitPredictions(np.arange(n), target, probability.astype(np.float32))


def _targets(rng: np.random.Generator, n: int, classes: int, balanced: bool) -> np.ndarray:
    share = np.ones(classes) if balanced else np.linspace(3, 1, classes)
    target = rng.choice(classes, size=n, p=share / share.sum())
    target[:classes] = np.arange(classes)
    return target


def _wrong_guess(rng: np.random.Generator, target: np.ndarray, classes: int) -> np.ndarray:
    near = rng.random(len(target)) < 0.6
    step = np.where(near | (classes == 2), 1, rng.integers(1, max(classes, 2), size=len(target)))
    return (target + step) % classes


def _probabilities(
    rng: np.random.Generator,
    guess: np.ndarray,
    score: np.ndarray,
    wrong: np.ndarray,
    classes: int,
    overconfidence: float,
) -> np.ndarray:
    logits = 0.5 * rng.normal(size=(len(guess), classes))
    rows = np.arange(len(guess))
    ease = np.where(wrong, 0.8, 3.2 - score)
    logits[rows, guess] = logits.max(axis=1) + np.maximum(0.05, ease + 0.4 * rng.normal(size=len(guess)))
    logits *= overconfidence
    exponent = np.exp(logits - logits.max(axis=1, keepdims=True))
    return exponent / exponent.sum(axis=1, keepdims=True)


def _mislabel(
    probability: np.ndarray, target: np.ndarray, wrong: np.ndarray, hardness: np.ndarray, count: int
) -> None:
    """Make all models sure of the same wrong answer at the hardest images."""
    classes = probability.shape[1]
    for row in np.argsort(-hardness)[:count]:
        if wrong[row]:
            probability[row] = 0.01 / (classes - 1)
            probability[row, (target[row] + 1) % classes] = 0.99


def made_history(learning: str, accuracy: float, seed: int) -> pd.DataFrame:
    """Make up a training history whose shape shows what ``learning`` says."""
    epochs = np.arange(1, 13)
    rng = np.random.default_rng(seed)
    rise = 1 - np.exp(-epochs / {"unfinished": 5.0}.get(learning, 1.2))
    val_accuracy = accuracy * rise
    val_loss = 2.3 - (2.3 - 1.6 * (1 - accuracy) - 0.15) * rise
    gap = {"overfit": 0.16, "underfit": -0.02, "stopped": 0.03, "healthy": 0.015, "unfinished": 0.01}[
        learning
    ]
    train_accuracy = np.minimum(0.999, val_accuracy + gap * rise)
    train_loss = np.maximum(0.01, val_loss - 2.5 * gap * rise)
    climb = {"overfit": 0.05, "stopped": 0.006}.get(learning, 0.0)
    val_loss = val_loss + climb * np.maximum(0, epochs - 8)
    return pd.DataFrame(
        {
            "epoch": epochs,
            "train_loss": train_loss,
            "train_accuracy": train_accuracy,
            "val_loss": val_loss + 0.0005 * rng.normal(size=len(epochs)),
            "val_accuracy": val_accuracy,
            "learning_rate": 1e-3 * (1 - (epochs - 1) / len(epochs)),
            "epoch_seconds": 8 + 0.2 * rng.random(len(epochs)),
        },
        columns=list(record.HISTORY_COLUMNS),
    )


def baselines(data: MadeData) -> list[BaselineAnswers]:
    """Make up what simple answers say: each right as often as ``data`` asks."""
    found = []
    for name, accuracy in data.baselines.items():
        made = Made(name, accuracy=accuracy)
        answers = {split: predictions(data, split, accuracy, made, 0) for split in ("val", "test")}
        predicted = {split: answer.predicted.tolist() for split, answer in answers.items()}
        found.append(BaselineAnswers(name=name, predicted=predicted, seconds=0.5))
    return found


def dataset_info(data: MadeData) -> DatasetInfo:
    classes = len(data.classes)
    counts = {}
    for split in ("train", "val", "test"):
        n = getattr(data, split)
        rng = np.random.default_rng(_number(split, n, classes))
        counts[split] = np.bincount(_targets(rng, n, classes, data.balanced), minlength=classes).tolist()
    return DatasetInfo(
        name="made",
        fingerprint="0" * 64,
        source="made up for tests",
        split_sizes={split: getattr(data, split) for split in counts},
        class_counts=counts,
        native_size=[32, 32],
        split_note="val: 10 % of train, stratified, seed 0; test: as published",
        near_duplicates=list(range(0, data.test, 3 if 3 * data.near_duplicates <= data.test else 1))[
            : data.near_duplicates
        ],
        near_duplicates_note="found by comparing 64-bit perceptual hashes of train and test",
    )


def model_info(made: Made, classes: int) -> ModelInfo:
    total, macs, size, _, _ = SIZES.get(made.model, SIZES["vgg16"])
    head = 512 * classes + classes
    return ModelInfo(
        name=made.model,
        mode=made.mode,
        total_parameters=total,
        trainable_parameters=head if made.mode == "linear_probe" else total,
        macs=macs,
        input_size=made.input_size or size,
        weights_name=None if made.mode == "scratch" else "IMAGENET1K_V1",
        weights_hash=None if made.mode == "scratch" else "f" * 64,
        description="Convolutions, pooling and one fully connected layer.",
        layers=[
            {"name": "stem", "kind": "Conv2d", "output": [64, 32, 32], "parameters": 1_792},
            {"name": "stages", "kind": "Sequential", "output": [256, 4, 4], "parameters": total - head},
            {"name": "head", "kind": "Linear", "output": [classes], "parameters": head},
        ],
    )


def timings(made: Made, seed: int) -> Timings:
    _, _, _, train, latency = SIZES.get(made.model, SIZES["vgg16"])
    factor = 0.15 if made.mode == "linear_probe" else 1.0
    return Timings(
        train_seconds=train * factor + seed,
        feature_seconds=40.0 if made.mode == "linear_probe" else 0.0,
        load_seconds=2.1,
        evaluate_seconds=4.0,
        latency_seconds_p10=latency * 0.95,
        latency_seconds=latency,
        latency_seconds_p90=latency * 1.2,
        throughput_images_per_second=3.0 / latency,
        throughput_batch_size=128,
        peak_memory_bytes=900_000_000 + seed,
        energy_joules=made.energy_joules,
        energy_note="" if made.energy_joules is None else "by the counters of processor",
        papermill_seconds=train * factor + 25.0,
    )


def environment() -> Environment:
    return Environment(
        git_commit="0123456789abcdef0123456789abcdef01234567",
        git_dirty=False,
        packages={"torch": "2.15.0", "torchvision": "0.29.2", "headstart": "0.1.0"},
        python="3.11.7",
        platform="Linux x86_64",
        device="cpu",
        cpu="A Processor With 2 Cores",
        threads=2,
        precision="fp32",
    )


def gallery(data: MadeData, test: SplitPredictions) -> pd.DataFrame:
    rows = []
    for target in range(min(len(data.classes), 10)):
        for copy in range(5):
            index = 5 * target + copy
            rows.append(("sample", "train", index, target))
            if copy == 0:
                rows += [("augmented", "train", index, target)] * 4
    rows += [("error", "test", int(i), int(test.target[i])) for i in np.flatnonzero(~test.correct)[:300]]
    table = [
        (*row, f"{row[1]}/{row[2]:05d}.png", _png(row[3], number % 8)) for number, row in enumerate(rows)
    ]
    return pd.DataFrame(table, columns=list(record.GALLERY_COLUMNS))


@cache
def _png(target: int, shape: int) -> bytes:
    """Draw a small picture whose colour is its class and whose shape varies."""
    hue = (37 * target + 11) % 256
    picture = Image.new("RGB", (32, 32), (hue, 255 - hue, (90 * target) % 256))
    side = 6 + shape
    ImageDraw.Draw(picture).ellipse((side, side, 32 - side, 32 - side), fill=(250, 250, 240))
    buffer = io.BytesIO()
    picture.save(buffer, "PNG")
    return buffer.getvalue()


def write_notebook(path: Path, made: Made, seed: int, failed: bool) -> None:
    """Write the stub of an executed notebook, as Papermill leaves it."""
    papermill = {"parameters": {"model": made.model, "mode": made.mode, "seed": seed}, "exception": failed}
    output = [{"name": "stdout", "output_type": "stream", "text": ["epoch 1/12 ...\n"]}]
    notebook = {
        "cells": [
            {"cell_type": "markdown", "id": "intro", "metadata": {}, "source": ["# Train one model"]},
            {
                "cell_type": "code",
                "execution_count": 1,
                "id": "fit",
                "metadata": {"tags": []},
                "outputs": output,
                "source": ["history = learn.training.fit(network, images, settings, run, hardware)"],
            },
        ],
        "metadata": {
            "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
            "papermill": papermill,
        },
        "nbformat": 4,
        "nbformat_minor": 5,
    }
    path.write_text(json.dumps(notebook, indent=1), encoding="utf-8")


def _number(*parts: object) -> int:
    """Return the same seed for the same parts in every process."""
    return zlib.crc32(repr(parts).encode())
