"""Whole run folders with made-up results of chosen accuracy, for tests of the report.

``made_study(folder, kind)`` writes them under ``folder/runs`` and reads them back as a Study; the
kinds are in ``KINDS``. Models of one study share how hard each image is, as real models do.
"""

import io
import json
import zlib
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image, ImageDraw

from pipeline import records
from pipeline.records import (
    DatasetInfo,
    Environment,
    Failure,
    ModelInfo,
    RunDetails,
    RunFolder,
    RunRecord,
    SplitPredictions,
    Timings,
)
from pipeline.report.study import Study
from pipeline.settings import Experiment, RunSettings

CIFAR_CLASSES = (
    "airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck",
)  # fmt: skip
LONG_CLASSES = (
    "great crested newt (Triturus cristatus), adult male in breeding condition",
    "Rindfleischetikettierungsüberwachungsaufgabenübertragungsgesetz",
    "a photograph of something that nobody on the annotation team could agree about",
    "ミナミコアリクイ（Tamandua tetradactyla）",
    "x",
)
HOSTILE_CLASSES = (
    "<b>bold</b>",
    "$x^2$ and \\alpha",
    "@fig-curves",
    "a | b",
    "{{< include x >}}",
    "#set page(width: 1pt)",
    "`code` [link](http://example.com)",
    "*stars* _and_ ~tildes~",
    "<script>alert('1')</script>",
    "\\",
)
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


_SCRATCH = Made(accuracy=0.80, learning="overfit")
_RESNET = (
    Made("resnet18", "scratch", 0.74, learning="overfit"),
    Made("resnet18", "linear_probe", 0.79, learning="underfit"),
    Made("resnet18", "fine_tune", 0.88, learning="stopped"),
)
_LITE = Made("efficientnet_lite0", "fine_tune", 0.90, learning="stopped", overconfidence=1.2)
_SMALL = MadeData(test=400, val=200, train=1000)
_ALL = (_SCRATCH, *_RESNET, _LITE)


def _with(models: tuple[Made, ...], **changes: object) -> tuple[Made, ...]:
    return tuple(replace(made, **changes) for made in models)  # type: ignore[arg-type]


KINDS: dict[str, tuple[MadeData, tuple[Made, ...]]] = {
    "transfer_wins": (MadeData(), _with(_ALL, seeds=(0, 1, 2))),
    "scratch_wins": (
        MadeData(),
        _with((Made(accuracy=0.93), Made("resnet18", "linear_probe", 0.71), *_RESNET[2:]), seeds=(0, 1)),
    ),
    "tie": (_SMALL, (Made(accuracy=0.85), Made("resnet18", "fine_tune", 0.855))),
    "one_seed": (MadeData(), _ALL),
    "one_model": (_SMALL, (_SCRATCH,)),
    "one_transfer_model": (_SMALL, (_LITE,)),
    "no_transfer": (_SMALL, (_SCRATCH, _RESNET[0])),
    "no_scratch": (MadeData(), _RESNET[1:]),
    "no_custom": (MadeData(), _RESNET),
    "failed_run": (MadeData(), (_SCRATCH, replace(_RESNET[2], seeds=(0, 1), failed_seeds=(1,)),
                                replace(_LITE, failed_seeds=(0,)))),
    "all_failed": (_SMALL, _with((_SCRATCH, _LITE), failed_seeds=(0,))),
    "two_classes": (replace(_SMALL, classes=("cat", "dog"), balanced=False), _ALL),
    "hundred_classes": (
        replace(MadeData(), classes=tuple(f"class {k:02d}" for k in range(100))),
        (replace(_SCRATCH, accuracy=0.62), replace(_LITE, accuracy=0.68)),
    ),
    "long_names": (
        replace(_SMALL, classes=LONG_CLASSES),
        (_SCRATCH, Made("timm/vit_base_patch16_224.augreg2_in21k_ft_in1k", "fine_tune", 0.9)),
    ),
    "hostile_names": (replace(_SMALL, classes=HOSTILE_CLASSES), (_SCRATCH, _RESNET[2])),
    "same_model_twice": (
        _SMALL,
        (
            Made(settings={"learning_rate": 0.1, "augmentation": ["crop", "flip"]}),
            Made(accuracy=0.7, settings={"learning_rate": 0.01}),
        ),
    ),
    "perfect": (_SMALL, (Made(accuracy=1.0), Made("resnet18", "fine_tune", 1.0))),
}  # fmt: skip


def made_study(folder: Path, kind: str) -> Study:
    """Write the run folders of one of ``KINDS`` below ``folder`` and return their Study."""
    return Study.from_records(*made_experiment(folder, kind))


def made_experiment(folder: Path, kind: str) -> tuple[Experiment, list[RunRecord]]:
    """Write the run folders of one of ``KINDS`` below ``folder``; return what ``ensure`` would."""
    return write_experiment(folder, kind, *KINDS[kind])


def write_experiment(
    folder: Path, name: str, data: MadeData, models: tuple[Made, ...]
) -> tuple[Experiment, list[RunRecord]]:
    """Write a run folder for each model and seed below ``folder/runs``."""
    written = [write_run(folder / "runs", made, seed, data) for made in models for seed in made.seeds]
    experiment = Experiment(
        name=name,
        title="Custom CNN or transfer learning?",
        description="Made-up results.",
        author="Nobody",
        runs_dir=str(folder / "runs"),
        path=f"params/{name}.yaml",
        runs=[record.settings for record in written],
    )
    return experiment, written


def write_run(runs: Path, made: Made, seed: int, data: MadeData) -> RunRecord:
    """Write one run's folder, whole or failed, and read it back."""
    settings = RunSettings(model=made.model, mode=made.mode, seed=seed, patience=4, **made.settings)
    hashes = {"settings": records.digest(settings.model_dump()), "data": "made", "code": "made"}
    run_id = records.run_id(settings, hashes)
    folder = RunFolder(runs / run_id)
    folder.path.mkdir(parents=True, exist_ok=True)
    _write_notebook(folder.path / "train.ipynb", made, seed, failed=seed in made.failed_seeds)
    records.write_settings(folder.path / "settings.yaml", settings)
    if seed in made.failed_seeds:
        details = _failed_details(run_id, settings, hashes)
    else:
        details = _write_results(folder, made, settings, data, run_id, hashes)
    records.write_json(folder.path / "record.json", details.model_dump(mode="json"))
    return RunRecord.read(folder.path)


def _write_results(
    folder: RunFolder, made: Made, settings: RunSettings, data: MadeData, run_id: str, hashes: dict[str, str]
) -> RunDetails:
    accuracy = made.accuracy + (0, -made.seed_step, made.seed_step)[settings.seed % 3]
    splits = {
        split: predictions(data, split, accuracy - 0.01 * (split == "val"), made, settings.seed)
        for split in ("val", "test")
    }
    history = made_history(made.learning, accuracy, settings.seed)
    folder.write_history(history)
    folder.write_predictions(splits)
    folder.write_gallery(_gallery(data, splits["test"]))
    best_epoch = int(history.loc[history["val_loss"].idxmin(), "epoch"])
    stopped = made.learning == "stopped"
    return RunDetails(
        status="complete",
        run_id=run_id,
        settings=settings,
        classes=list(data.classes),
        dataset=_dataset(data),
        model=_model(made, len(data.classes)),
        timings=_timings(made, settings.seed),
        best_epoch=best_epoch,
        stop_reason="val loss did not fall for 4 epochs" if stopped else "all epochs done",
        environment=_environment(),
        hashes=hashes,
    )


def _failed_details(run_id: str, settings: RunSettings, hashes: dict[str, str]) -> RunDetails:
    failure = Failure(
        kind="OutOfMemoryError",
        message="out of memory at batch size 128. Try a smaller batch_size.",
        cell="5 (fit)",
        traceback="OutOfMemoryError: out of memory",
    )
    return RunDetails(status="failed", run_id=run_id, settings=settings, failure=failure, hashes=hashes)


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
    climb = {"overfit": 0.05, "stopped": 0.004}.get(learning, 0.0)
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
        columns=list(records.HISTORY_COLUMNS),
    )


def _dataset(data: MadeData) -> DatasetInfo:
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
        near_duplicates=list(range(0, 3 * data.near_duplicates, 3)),
        near_duplicates_note="found by comparing 64-bit perceptual hashes of train and test",
    )


def _model(made: Made, classes: int) -> ModelInfo:
    total, macs, size, _, _ = SIZES.get(made.model, SIZES["vgg16"])
    head = 512 * classes + classes
    return ModelInfo(
        name=made.model,
        mode=made.mode,
        total_parameters=total,
        trainable_parameters=head if made.mode == "linear_probe" else total,
        macs=macs,
        input_size=size,
        weights_name=None if made.mode == "scratch" else "IMAGENET1K_V1",
        weights_hash=None if made.mode == "scratch" else "f" * 64,
        description="Convolutions, pooling and one fully connected layer.",
        layers=[
            {"name": "stem", "kind": "Conv2d", "output": [64, 32, 32], "parameters": 1_792},
            {"name": "stages", "kind": "Sequential", "output": [256, 4, 4], "parameters": total - head},
            {"name": "head", "kind": "Linear", "output": [classes], "parameters": head},
        ],
    )


def _timings(made: Made, seed: int) -> Timings:
    _, _, _, train, latency = SIZES.get(made.model, SIZES["vgg16"])
    factor = 0.15 if made.mode == "linear_probe" else 1.0
    return Timings(
        train_seconds=train * factor + seed,
        feature_seconds=40.0 if made.mode == "linear_probe" else 0.0,
        load_seconds=2.1,
        evaluate_seconds=4.0,
        latency_seconds=latency,
        latency_seconds_p90=latency * 1.2,
        throughput_images_per_second=3.0 / latency,
        throughput_batch_size=128,
        peak_memory_bytes=900_000_000 + seed,
        papermill_seconds=train * factor + 25.0,
    )


def _environment() -> Environment:
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


def _gallery(data: MadeData, test: SplitPredictions) -> pd.DataFrame:
    rows = []
    for target in range(min(len(data.classes), 10)):
        for copy in range(5):
            index = 5 * target + copy
            rows.append(("sample", "train", index, target))
            if copy == 0:
                rows += [("augmented", "train", index, target)] * 4
    rows += [("error", "test", int(i), int(test.target[i])) for i in np.flatnonzero(~test.correct)[:300]]
    table = [(*row, f"{row[1]}/{row[2]:05d}.png", _png(row[3], number)) for number, row in enumerate(rows)]
    return pd.DataFrame(table, columns=list(records.GALLERY_COLUMNS))


def _png(target: int, number: int) -> bytes:
    """Draw a small picture whose colour is its class and whose shape varies."""
    hue = (37 * target + 11) % 256
    picture = Image.new("RGB", (32, 32), (hue, 255 - hue, (90 * target) % 256))
    side = 6 + number % 8
    ImageDraw.Draw(picture).ellipse((side, side, 32 - side, 32 - side), fill=(250, 250, 240))
    buffer = io.BytesIO()
    picture.save(buffer, "PNG")
    return buffer.getvalue()


def _write_notebook(path: Path, made: Made, seed: int, failed: bool) -> None:
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
