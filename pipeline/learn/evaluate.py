"""Evaluation: probabilities for val and test, their metrics, what an answer costs, and keeping it all."""

import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd
import torch
from sklearn.metrics import accuracy_score, precision_recall_fscore_support
from torch import Tensor, nn

from pipeline.experiment import RunSettings
from pipeline.learn import checkpoint, gallery, models, speed, train
from pipeline.learn.audit import properties
from pipeline.learn.device import Hardware, environment
from pipeline.learn.features import FeatureData, evaluation_batch
from pipeline.record import RunFolder, SplitPredictions, Timings

if TYPE_CHECKING:
    from pipeline.learn.data.images import ImageData

SPLITS: tuple[Literal["val", "test"], ...] = ("val", "test")


class Predictions(dict[str, SplitPredictions]):
    """The answers on ``val`` and ``test``, and the seconds that they took."""

    seconds: float = 0.0


def predict(
    network: nn.Module, images: "ImageData", settings: RunSettings, hardware: Hardware
) -> Predictions:
    """Return the probability of each class for every val and test image.

    This is the one place that looks at test. With ``flip_at_test`` the probabilities are the mean
    over an image and its mirror.
    """
    started = time.perf_counter()
    found = Predictions()
    with hardware.explaining_limits(settings):
        network.eval()
        model, examples = _cheapest(network, images, settings, hardware)
        for name in SPLITS:
            batches = examples.batches(name, evaluation_batch(images, hardware))
            answers = [probabilities(model, x, settings, hardware) for x, _ in batches]
            found[name] = _with_targets(getattr(images, name), torch.cat(answers))
    found.seconds = time.perf_counter() - started
    return found


def _with_targets(split: Any, answers: Tensor) -> SplitPredictions:
    return SplitPredictions(
        np.asarray(split.index, dtype=np.int64),
        split.targets.cpu().numpy().astype(np.int64),
        answers.cpu().numpy(),
    )


def _cheapest(
    network: Any, images: "ImageData", settings: RunSettings, hardware: Hardware
) -> tuple[nn.Module, Any]:
    """Return what to ask and what to show it: a frozen backbone's features may be at hand."""
    if settings.mode == "linear_probe":
        return network.head, FeatureData(network, images, settings, hardware)
    return network, images


def probabilities(network: nn.Module, x: Tensor, settings: RunSettings, hardware: Hardware) -> Tensor:
    """Return the probabilities float32 [B, classes] that a network gives images [B, 3, S, S]."""
    return train.log_probabilities(network, x, settings, hardware).exp()


def metrics(predictions: Mapping[str, SplitPredictions]) -> pd.DataFrame:
    """Return accuracy, and precision, recall and F1 over classes (macro, weighted), of each split."""
    return pd.DataFrame({name: _metrics(split) for name, split in predictions.items()}).T


def _metrics(split: SplitPredictions) -> dict[str, float]:
    found = {"accuracy": float(accuracy_score(split.target, split.predicted))}
    for average in ("macro", "weighted"):
        scores = precision_recall_fscore_support(
            split.target, split.predicted, average=average, zero_division=0.0
        )
        for name, score in zip(("precision", "recall", "f1"), scores, strict=False):
            found[f"{name}_{average}"] = float(score)
    return found


def save(
    run: RunFolder,
    settings: RunSettings,
    images: "ImageData",
    network: nn.Module,
    fitted: train.FitResult,
    predictions: Predictions,
    hardware: Hardware,
) -> None:
    """Write all that a run's record is made of, once its costs are measured."""
    run.write_history(fitted.history)
    run.write_predictions(predictions)
    run.write_gallery(gallery.gallery(images, predictions, settings))
    run.write_images(properties.table(images))
    run.write_weights(lambda path: checkpoint.write_network(network, images, path))
    run.write_results(
        classes=images.classes,
        dataset=images.info,
        model=models.describe(network, settings, images.preprocessing),
        timings=_timings(network, images, settings, fitted, predictions, hardware),
        best_epoch=fitted.best_epoch,
        best_stage=fitted.best_stage,
        kept_by="val_loss",
        patience_in_effect=settings.effective().get("patience") is not None,
        stop_reason=fitted.stop_reason,
        environment=environment(hardware),
    )


def _timings(
    network: nn.Module,
    images: "ImageData",
    settings: RunSettings,
    fitted: train.FitResult,
    predictions: Predictions,
    hardware: Hardware,
) -> Timings:
    measured = measure(network, images, settings, hardware)
    return Timings(
        train_seconds=fitted.train_seconds,
        feature_seconds=fitted.feature_seconds,
        load_seconds=images.seconds,
        evaluate_seconds=predictions.seconds,
        latency_seconds_p10=measured.latency_seconds_p10,
        latency_seconds=measured.latency_seconds,
        latency_seconds_p90=measured.latency_seconds_p90,
        throughput_images_per_second=measured.throughput_images_per_second,
        throughput_batch_size=measured.throughput_batch_size,
        peak_memory_bytes=measured.peak_memory_bytes,
        energy_joules=fitted.energy_joules,
        energy_note=fitted.energy_note,
    )


def measure(
    network: nn.Module, images: "ImageData", settings: RunSettings, hardware: Hardware
) -> speed.Measured:
    """Return the latency, throughput and memory of answering as ``predict`` does, on val images."""
    network.eval()
    batch, _ = next(iter(images.batches("val", evaluation_batch(images, hardware))))
    return speed.measure_answers(
        lambda x: probabilities(network, x, settings, hardware), batch, hardware, images.held_bytes
    )
