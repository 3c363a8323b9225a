"""Probabilities, what they amount to, and keeping them."""

import itertools
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from sklearn.metrics import accuracy_score, f1_score

from pipeline.learn import evaluate, gallery, speed, train
from pipeline.record import SplitPredictions, Timings
from tests.learn import tiny

pytestmark = pytest.mark.usefixtures("workplace")


def predict(**changes: Any) -> tuple[Any, Any, evaluate.Predictions]:
    chosen = tiny.settings(**changes)
    network, images = tiny.network(chosen), tiny.images(chosen)
    return network, images, evaluate.predict(network, images, chosen, tiny.CPU)


@pytest.mark.parametrize("flip", [False, True])
def test_probabilities_sum_to_one(flip: bool) -> None:
    _, images, predictions = predict(flip_at_test=flip)
    for name in ("val", "test"):
        found = predictions[name].probability
        assert found.dtype == np.float32
        assert found.shape == (len(getattr(images, name)), 10)
        assert np.allclose(found.sum(axis=1), 1, atol=1e-6)
    assert predictions.seconds > 0


def test_predictions_are_in_the_order_of_the_images() -> None:
    _, images, predictions = predict()
    assert (predictions["test"].index == images.test.index).all()
    assert (predictions["test"].target == images.test.targets.numpy()).all()


def test_predictions_are_the_softmax_of_the_logits() -> None:
    network, images, predictions = predict()
    x = torch.cat([x for x, _ in images.batches("test", 50)])
    expected = network.eval()(x).softmax(dim=1).detach().numpy()
    assert np.allclose(predictions["test"].probability, expected, atol=1e-5)


def test_flip_at_test_averages_an_image_and_its_mirror() -> None:
    network, images, predictions = predict(flip_at_test=True)
    x = torch.cat([x for x, _ in images.batches("val", 1000)])
    both = torch.stack([network.eval()(view).softmax(1) for view in (x, x.flip(3))]).mean(0)
    assert np.allclose(predictions["val"].probability, both.detach().numpy(), atol=1e-5)


def test_prediction_changes_nothing_in_the_network() -> None:
    chosen = tiny.settings()
    network = tiny.network(chosen)
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    evaluate.predict(network, tiny.images(chosen), chosen, tiny.CPU)
    assert all(torch.equal(tensor, before[name]) for name, tensor in network.state_dict().items())


def made_predictions() -> dict[str, SplitPredictions]:
    target = np.array([0, 0, 1, 1, 2, 2])
    probability = np.eye(3, dtype=np.float32)[[0, 1, 1, 1, 2, 0]]
    return {"test": SplitPredictions(np.arange(6), target, probability)}


def test_metrics_match_scikit_learn() -> None:
    predictions = made_predictions()
    found, split = evaluate.metrics(predictions).loc["test"], predictions["test"]
    assert found["accuracy"] == accuracy_score(split.target, split.predicted)
    assert found["f1_macro"] == f1_score(split.target, split.predicted, average="macro")
    assert found["f1_weighted"] == f1_score(split.target, split.predicted, average="weighted")


def test_class_that_is_never_answered_counts_as_zero() -> None:
    split = SplitPredictions(np.arange(2), np.array([0, 1]), np.array([[1, 0], [1, 0]], np.float32))
    assert evaluate.metrics({"test": split}).loc["test", "precision_macro"] == 0.25


def test_confusion_has_true_classes_as_rows_and_names_as_written(recwarn: pytest.WarningsRecorder) -> None:
    classes = ["<b>", "$x$ and $", "naïve_^{"]
    axis = gallery.show_confusion(made_predictions(), classes).axes[0]
    assert axis.get_ylabel() == "True label"
    assert [t.get_text().replace("\\", "") for t in axis.get_xticklabels()] == classes
    axis.figure.canvas.draw()
    assert not recwarn.list


def test_latency_and_throughput_are_measured_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(speed, "BUDGET_SECONDS", 0.05)
    chosen = tiny.settings()
    measured = evaluate.measure(tiny.network(chosen), tiny.images(chosen), chosen, tiny.CPU)
    assert 0 < measured.latency_seconds_p10 <= measured.latency_seconds <= measured.latency_seconds_p90
    largest = evaluate.evaluation_batch(tiny.images(chosen), tiny.CPU)
    assert measured.throughput_batch_size == min(largest, len(tiny.images(chosen).val))
    assert measured.throughput_images_per_second > 1 / measured.latency_seconds
    assert measured.peak_memory_bytes >= 0


def test_two_measurements_take_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    ticks = itertools.count()
    clock = SimpleNamespace(perf_counter=lambda: next(ticks) / 1024)  # a repetition takes one tick
    monkeypatch.setattr(speed, "time", clock)
    monkeypatch.setattr(speed, "BUDGET_SECONDS", 20 / 1024)
    done: list[str] = []
    found = speed.in_turn([lambda: done.append("one"), lambda: done.append("many")], tiny.CPU)
    assert all(sum(seconds) >= 20 / 1024 for seconds in found)
    turns = sum(a != b for a, b in itertools.pairwise(done))
    assert turns >= speed.ROUNDS


def test_batches_shrink_as_images_grow() -> None:
    sizes = [
        evaluate.evaluation_batch(tiny.images(tiny.settings(image_size=side)), tiny.CPU)
        for side in (8, 32, 64)
    ]
    assert sizes == sorted(sizes, reverse=True)
    assert min(sizes) >= 1


@pytest.mark.parametrize("changes", [{}, {"model": "efficientnet_lite0", "mode": "linear_probe"}], ids=str)
def test_all_parts_of_a_record_are_saved(changes: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    from pipeline.learn import data, models

    monkeypatch.setattr(speed, "BUDGET_SECONDS", 0.0)
    chosen = tiny.settings(epochs=1, **changes)
    images = data.load(chosen, models.preprocessing(chosen.model_copy(update={"image_size": 32})), tiny.CPU)
    network = models.build(chosen, images.classes, images.preprocessing)
    run = tiny.run(Path.cwd())
    fitted = train.fit(network, images, chosen, run, tiny.CPU)
    predictions = evaluate.predict(network, images, chosen, tiny.CPU)
    evaluate.save(run, chosen, images, network, fitted, predictions, tiny.CPU)
    files = {path.name for path in run.path.iterdir()}
    assert files >= {
        "history.csv",
        "predictions.parquet",
        "gallery.parquet",
        "model.safetensors",
        "results.json",
    }
    saved = load_file(run.path / "model.safetensors")
    assert all(torch.equal(saved[name], tensor) for name, tensor in network.state_dict().items())
    results = json.loads((run.path / "results.json").read_text(encoding="utf-8"))
    assert results["best_epoch"] == 1
    assert Timings(**results["timings"]).evaluate_seconds == predictions.seconds
