"""One ``fit`` for every model and mode."""

import json
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from pipeline.errors import RunError
from pipeline.experiment import RunSettings
from pipeline.learn import checkpoint, evaluate, gallery, optimizers, stages, train
from pipeline.learn.data import balance
from pipeline.learn.history import History, Reporter, Scores, clock
from pipeline.learn.stages import Stage
from pipeline.record import HISTORY_COLUMNS, STAGE_COLUMNS
from tests.learn import tiny

pytestmark = pytest.mark.usefixtures("workplace")


def fit(chosen: RunSettings, name: str = "run", machine: Any = tiny.CPU) -> tuple[Any, train.FitResult]:
    network = tiny.network(chosen) if chosen.mode == "scratch" else tiny.transfer_network(chosen)
    return network, train.fit(
        network, tiny.images(chosen, machine), chosen, tiny.run(Path.cwd(), name), machine
    )


def val_loss(network: torch.nn.Module, chosen: RunSettings) -> float:
    x, y = next(tiny.images(chosen).batches("val", 1000))
    return torch.nn.functional.cross_entropy(network.eval()(x), y).item()


def results(history: pd.DataFrame) -> pd.DataFrame:
    return history.drop(columns=["epoch_seconds", "images_per_second"])


def test_history_has_a_row_for_each_epoch() -> None:
    _, fitted = fit(tiny.settings(epochs=3))
    assert set(HISTORY_COLUMNS) <= set(fitted.history)
    assert fitted.history["epoch"].tolist() == [1, 2, 3]
    assert fitted.stop_reason == "all epochs done"
    assert fitted.train_seconds == pytest.approx(fitted.history["epoch_seconds"].sum())
    assert not fitted.history.isna().any().any()


@pytest.mark.parametrize("optimizer", ["sgd", "adam", "adamw", "muon"])
def test_optimizer_steps_once_per_batch(optimizer: str, monkeypatch: pytest.MonkeyPatch) -> None:
    kinds = {"sgd": torch.optim.SGD, "adam": torch.optim.Adam, "adamw": torch.optim.AdamW}
    kind = {**kinds, "muon": optimizers.ConvolutionMuon}[optimizer]
    steps: list[int] = []
    once = kind.step
    monkeypatch.setattr(kind, "step", lambda self, *args: (steps.append(1), once(self, *args))[1])
    chosen = tiny.settings(optimizer=optimizer, epochs=2)
    fit(chosen)
    assert len(steps) == 2 * tiny.images(chosen).steps_per_epoch(chosen.batch_size)


@pytest.mark.parametrize(
    ("optimizer", "rate"), [("sgd", 0.3), ("adam", 0.05), ("adamw", 0.05), ("muon", 0.05)]
)
def test_fit_overfits_one_batch(optimizer: str, rate: float) -> None:
    chosen = tiny.settings(
        optimizer=optimizer,
        max_train_images=32,
        val_fraction=0.02,
        epochs=60,
        learning_rate=rate,
        weight_decay=0.0,
    )
    _, fitted = fit(chosen)
    losses = fitted.history["train_loss"]
    assert fitted.history["train_accuracy"].iloc[-1] == 1.0
    assert losses.iloc[-1] < 0.6 * losses.iloc[0]


def test_same_seed_gives_same_history() -> None:
    chosen = tiny.settings(augmentation=["crop", "flip"], dropout=0.2, weight_averaging=True, seed=3)
    (first, a), (second, b) = fit(chosen, "a"), fit(chosen, "b")
    pd.testing.assert_frame_equal(results(a.history), results(b.history), check_exact=True)
    for name, weights in first.state_dict().items():
        assert torch.equal(weights, second.state_dict()[name]), name


@pytest.mark.parametrize("changes", [{"optimizer": "muon"}, {"model": "resnet18", "mode": "fine_tune"}])
def test_training_has_no_step_that_cannot_be_deterministic(changes: dict[str, Any]) -> None:
    torch.use_deterministic_algorithms(True)
    try:
        _, fitted = fit(tiny.settings(augmentation=["crop", "flip"], head_epochs=1, epochs=1, **changes))
    finally:
        torch.use_deterministic_algorithms(False)
    assert fitted.stop_reason == "all epochs done"


def test_another_seed_gives_another_history() -> None:
    (_, a), (_, b) = fit(tiny.settings(seed=0), "a"), fit(tiny.settings(seed=1), "b")
    assert (a.history["train_loss"] != b.history["train_loss"]).all()


class KilledError(BaseException):
    """Stands for SIGKILL: nothing in the program catches it."""


def kill_after(epoch: int, monkeypatch: pytest.MonkeyPatch) -> None:
    once = train.train_one_epoch

    def train_one_epoch(stage: Stage, number: int, reporter: Reporter) -> Scores:
        if number == epoch:
            raise KilledError
        return once(stage, number, reporter)

    monkeypatch.setattr(train, "train_one_epoch", train_one_epoch)


RESUMED = {
    "sgd": {"optimizer": "sgd", "weight_averaging": True, "augmentation": ["crop", "alternating_flip"]},
    "adamw": {"dropout": 0.3, "schedule": "cosine", "gradient_clip": 1.0},
    "muon": {"optimizer": "muon", "momentum": 0.6, "augmentation": ["crop"], "flip_at_test": True},
    "stops early": {"optimizer": "adam", "learning_rate": 0.3, "patience": 1, "schedule": "constant"},
    "linear_probe": {"model": "resnet18", "mode": "linear_probe", "dropout": 0.3, "feature_views": 2},
    "fine_tune": {"model": "resnet18", "mode": "fine_tune", "head_epochs": 2, "weight_averaging": True},
}


@pytest.fixture(autouse=True)
def every_epoch_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """Epochs of these networks are over before a checkpoint would be due."""
    monkeypatch.setattr(checkpoint, "SELDOM", 0)


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], tuple[Any, train.FitResult]]:
    """What a run comes to that is never stopped: trained once for each of ``RESUMED``."""

    @cache
    def fitted(kind: str) -> tuple[Any, train.FitResult]:
        with pytest.MonkeyPatch.context() as patched:
            patched.chdir(tmp_path_factory.mktemp("unbroken"))
            return fit(tiny.settings(epochs=4, **RESUMED[kind]), "whole")

    return fitted


# Of the two stages every epoch; of the others the first, the last and none: they are killed afterwards.
KILLED = [
    (kind, epoch) for kind in RESUMED for epoch in ([0, 1, 2, 3, 4, 6] if kind == "fine_tune" else [1, 3, 4])
]


@pytest.mark.parametrize(("kind", "epoch"), KILLED)
def test_killed_run_goes_on_from_its_last_epoch(
    unbroken: Callable[[str], tuple[Any, train.FitResult]],
    kind: str,
    epoch: int,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    chosen = tiny.settings(epochs=4, **RESUMED[kind])
    whole, expected = unbroken(kind)
    capsys.readouterr()
    with monkeypatch.context() as patched:
        kill_after(epoch, patched)
        try:
            fit(chosen, "killed")
        except KilledError:
            assert epoch < len(expected.history)
    resumed, found = fit(chosen, "killed")
    pd.testing.assert_frame_equal(results(found.history), results(expected.history), check_exact=True)
    assert (found.best_epoch, found.stop_reason) == (expected.best_epoch, expected.stop_reason)
    assert found.train_seconds >= found.history["epoch_seconds"].sum()
    for name, weights in whole.state_dict().items():
        assert torch.equal(weights, resumed.state_dict()[name]), name
    done = min(epoch, len(expected.history))  # so no epoch that was finished is trained again
    assert f"Going on after epoch {done}, " in capsys.readouterr().out or not done


@pytest.mark.parametrize("killed", [2, 4])  # within the first stage, and within the second
def test_killed_run_goes_on_from_a_checkpoint_several_epochs_ago(
    unbroken: Callable[[str], tuple[Any, train.FitResult]],
    killed: int,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    whole, expected = unbroken("fine_tune")
    monkeypatch.setattr(checkpoint, "SELDOM", 1e9)  # so that the first is the only one
    chosen = tiny.settings(epochs=4, **RESUMED["fine_tune"])
    with monkeypatch.context() as patched:
        kill_after(killed, patched)
        with pytest.raises(KilledError):
            fit(chosen, "killed")
    capsys.readouterr()
    resumed, found = fit(chosen, "killed")
    assert "Going on after epoch 1, " in capsys.readouterr().out
    pd.testing.assert_frame_equal(results(found.history), results(expected.history), check_exact=True)
    for name, weights in whole.state_dict().items():
        assert torch.equal(weights, resumed.state_dict()[name]), name


@pytest.mark.parametrize("region", [0.0, 0.1, 0.5, 0.9, 0.999])
def test_damaged_checkpoint_is_named_and_training_starts_afresh(
    region: float, capsys: pytest.CaptureFixture[str]
) -> None:
    chosen = tiny.settings(epochs=2)
    _, expected = fit(chosen)
    path = tiny.run(Path.cwd()).checkpoint_path
    content = bytearray(path.read_bytes())
    start = int(region * len(content))
    content[start : start + 40] = bytes(255 - b for b in content[start : start + 40])
    path.write_bytes(content)
    _, found = fit(chosen)
    pd.testing.assert_frame_equal(results(found.history), results(expected.history), check_exact=True)
    assert "checkpoint.pt: the checkpoint is damaged" in capsys.readouterr().out


def test_truncated_checkpoint_is_named_and_training_starts_afresh(capsys: pytest.CaptureFixture[str]) -> None:
    fit(tiny.settings(epochs=2))
    path = tiny.run(Path.cwd()).checkpoint_path
    path.write_bytes(path.read_bytes()[:-100])
    fit(tiny.settings(epochs=2))
    assert "checkpoint.pt: the checkpoint is damaged" in capsys.readouterr().out


def test_checkpoint_of_other_settings_is_not_used(capsys: pytest.CaptureFixture[str]) -> None:
    fit(tiny.settings(epochs=2))
    _, fitted = fit(tiny.settings(epochs=3))
    assert len(fitted.history) == 3
    assert "the checkpoint is of other settings, data or code" in capsys.readouterr().out


def test_checkpoint_of_the_same_run_elsewhere_is_used(capsys: pytest.CaptureFixture[str]) -> None:
    fit(tiny.settings(epochs=2))
    fit(tiny.settings(epochs=2, data_dir="elsewhere", num_workers=1, device="cpu"))
    assert "Going on after epoch 2" in capsys.readouterr().out


def test_training_stops_when_val_loss_does_not_fall() -> None:
    chosen = tiny.settings(optimizer="sgd", learning_rate=20.0, epochs=30, patience=2, schedule="constant")
    _, fitted = fit(chosen)
    assert fitted.stop_reason == "val loss did not fall for 2 epochs"
    assert len(fitted.history) == fitted.best_epoch + 2 < 30


def test_best_epoch_is_kept_and_has_the_lowest_val_loss() -> None:
    chosen = tiny.settings(optimizer="sgd", learning_rate=1.0, epochs=6, schedule="constant")
    network, fitted = fit(chosen)
    history = fitted.history.set_index("epoch")
    assert fitted.best_epoch == history["val_loss"].idxmin()
    assert val_loss(network, chosen) == pytest.approx(history["val_loss"].min(), rel=1e-5)


def test_val_is_scored_as_the_predictions_are_made() -> None:
    chosen = tiny.settings(epochs=2, flip_at_test=True)
    network, fitted = fit(chosen)
    images = tiny.images(chosen)
    val = evaluate.predict(network, images, chosen, tiny.CPU)["val"]
    loss = -np.log(val.probability[np.arange(len(val.target)), val.target]).mean()
    assert loss == pytest.approx(fitted.history["val_loss"].min(), rel=1e-5)
    assert loss != pytest.approx(val_loss(network, chosen), rel=1e-3)  # that asks for no mirror


@pytest.mark.parametrize("mode", ["linear_probe", "fine_tune"])
def test_features_are_asked_with_their_mirror_as_images_are(mode: str) -> None:
    chosen = tiny.transfer_settings(mode=mode, flip_at_test=True, epochs=1, head_epochs=1)
    chosen = chosen.model_copy(update={"learning_rate": 1e-12})  # the weights stay as they are
    network, fitted = fit(chosen)
    batches = tiny.images(chosen).batches("val", 1000)
    scores = train.evaluate(network, batches, chosen, tiny.CPU)
    assert fitted.history["val_loss"].iloc[0] == pytest.approx(scores.loss, rel=1e-5)
    assert val_loss(network, chosen) != pytest.approx(scores.loss, rel=1e-5)  # that asks for no mirror


@pytest.mark.parametrize("mode", ["linear_probe", "fine_tune"])
def test_predictions_come_with_the_mirror_whatever_is_cached(mode: str) -> None:
    chosen = tiny.transfer_settings(mode=mode, flip_at_test=True, epochs=1, head_epochs=1)
    network, _ = fit(chosen)
    images = tiny.images(chosen)
    x, _ = next(images.batches("test", 1000))
    expected = evaluate.probabilities(network.eval(), x, chosen, tiny.CPU).numpy()
    found = evaluate.predict(network, images, chosen, tiny.CPU)["test"].probability
    assert np.allclose(found, expected, atol=1e-5)


KINDS_OF_EPOCH = {
    "fine_tune": [("head", False, True)] * 2 + [("network", True, False)],
    "linear_probe": [("head", False, True)],
    "scratch": [("network", True, False)],
}


@pytest.mark.parametrize("mode", KINDS_OF_EPOCH)
def test_history_says_what_each_epoch_did(mode: str) -> None:
    model = "custom_cnn" if mode == "scratch" else "resnet18"
    chosen = tiny.settings(model=model, mode=mode, epochs=1, head_epochs=2, augmentation=["crop"])
    _, fitted = fit(chosen)
    found = fitted.history[list(STAGE_COLUMNS)].itertuples(index=False, name=None)
    assert list(found) == KINDS_OF_EPOCH[mode]
    assert fitted.best_stage == fitted.history["stage"].iloc[fitted.best_epoch - 1]


def test_augmented_views_make_an_epoch_of_features_augmented() -> None:
    _, fitted = fit(tiny.transfer_settings(epochs=1, augmentation=["crop"], feature_views=2))
    assert fitted.history["augmented"].all()


@pytest.mark.parametrize("schedule", ["one_cycle", "cosine"])
def test_patience_does_not_end_a_training_whose_rate_still_falls(schedule: str) -> None:
    chosen = tiny.settings(optimizer="sgd", learning_rate=20.0, epochs=8, patience=1, schedule=schedule)
    _, fitted = fit(chosen)
    assert (len(fitted.history), fitted.stop_reason) == (8, "all epochs done")
    assert "patience" not in chosen.effective()


def test_infinite_loss_ends_the_run_in_one_line() -> None:
    chosen = tiny.settings(optimizer="sgd", learning_rate=100.0, momentum=0.99, epochs=50, weight_decay=10.0)
    with pytest.raises(
        RunError, match=r"loss became .* in epoch \d+.* at learning rate .* Try a lower"
    ) as told:
        fit(chosen)
    assert "\n" not in str(told.value)


def test_label_smoothing_is_for_training_alone() -> None:
    chosen = tiny.settings(label_smoothing=0.9)
    network, fitted = fit(chosen)
    assert val_loss(network, chosen) == pytest.approx(fitted.history["val_loss"].min(), rel=1e-5)
    assert fitted.history["train_loss"].iloc[-1] != pytest.approx(val_loss(network, chosen), rel=1e-3)


def test_averaged_weights_are_those_that_are_evaluated_and_kept() -> None:
    chosen = tiny.settings(weight_averaging=True, epochs=4)
    network, fitted = fit(chosen)
    assert val_loss(network, chosen) == pytest.approx(fitted.history["val_loss"].min(), rel=1e-5)
    plain, _ = fit(tiny.settings(epochs=4), "plain")
    assert not torch.equal(plain.head.weight, network.head.weight)


def test_each_epoch_is_reported_to_the_parent_and_printed(capsys: pytest.CaptureFixture[str]) -> None:
    fit(tiny.settings(epochs=2))
    lines = (Path("run") / "progress.jsonl").read_text(encoding="utf-8").splitlines()
    events = [json.loads(line) for line in lines]
    wanted = {"stage", "epoch", "epochs", "train_loss", "val_loss", "val_accuracy"}
    wanted |= {"images_per_second", "eta_seconds"}
    assert [(e["epoch"], e["epochs"]) for e in events] == [(1, 2), (2, 2)]
    assert all(set(e) == wanted for e in events)
    printed = capsys.readouterr().out.splitlines()
    assert len(printed) == 2
    assert all(
        word in printed[0] for word in ("epoch 1/2", "train loss", "accuracy", "lr", "images/s", "ETA")
    )


def test_long_epochs_tell_how_far_they_have_come(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipeline.learn.history.SECONDS_BETWEEN_EVENTS", 0.0)
    fit(tiny.settings(epochs=1))
    lines = (Path("run") / "progress.jsonl").read_text(encoding="utf-8").splitlines()
    events = [json.loads(line) for line in lines]
    assert len(events) == 5  # four steps and the epoch
    assert all(e["images_per_second"] > 0 and e["eta_seconds"] >= 0 for e in events)


@pytest.mark.parametrize(("seconds", "shown"), [(0.4, "0:00"), (61, "1:01"), (3725, "1:02:05")])
def test_clock_shows_minutes_and_hours(seconds: float, shown: str) -> None:
    assert clock(seconds) == shown


@pytest.mark.parametrize("mode", ["scratch", "fine_tune"])
def test_history_has_the_learning_rate_of_the_settings(mode: str) -> None:
    own = {} if mode == "scratch" else {"model": "resnet18"}
    chosen = tiny.settings(mode=mode, optimizer="sgd", schedule="constant", learning_rate=0.02, **own)
    _, fitted = fit(chosen)
    assert fitted.history["learning_rate"].tolist() == pytest.approx([0.02] * len(fitted.history))


def test_linear_probe_leaves_the_backbone_as_it_was() -> None:
    chosen = tiny.transfer_settings()
    before = {k: v.clone() for k, v in tiny.transfer_network(chosen).backbone.state_dict().items()}
    network, fitted = fit(chosen)
    for name, tensor in network.backbone.state_dict().items():  # BatchNorm's statistics too
        assert torch.equal(tensor, before[name]), name
    assert fitted.feature_seconds > 0
    assert fitted.train_seconds > fitted.feature_seconds


def test_fine_tuning_begins_with_the_head_alone() -> None:
    chosen = tiny.transfer_settings(mode="fine_tune", head_epochs=2, epochs=3)
    network, fitted = fit(chosen)
    assert fitted.history["epoch"].tolist() == [1, 2, 3, 4, 5]
    assert all(p.requires_grad for p in network.parameters())
    before = tiny.transfer_network(chosen).backbone[0].weight
    assert not torch.equal(network.backbone[0].weight, before)


def test_fine_tuning_without_head_epochs_trains_all_layers_at_once() -> None:
    _, fitted = fit(tiny.transfer_settings(mode="fine_tune", head_epochs=0, epochs=2))
    assert (len(fitted.history), fitted.feature_seconds) == (2, 0.0)


def test_bf16_learns_as_fp32_does() -> None:
    chosen = tiny.settings(epochs=12, max_train_images=400, learning_rate=0.02)
    bf16 = tiny.Hardware(torch.device("cpu"), "bf16", threads=1, channels_last=True)
    (_, exact), (_, coarse) = fit(chosen, "fp32"), fit(chosen, "bf16", bf16)
    last = [f.history["val_accuracy"].iloc[-1] for f in (exact, coarse)]
    assert min(last) > 0.8
    assert abs(last[0] - last[1]) < 0.06


def test_progress_keeps_copies_not_the_weights_themselves() -> None:
    layer = torch.nn.Linear(2, 2)
    history = History()
    history.add({"val_loss": 1.0}, layer)
    kept = history.best_weights["weight"].clone()
    layer.weight.data.zero_()
    assert torch.equal(history.best_weights["weight"], kept)


def test_curves_show_train_and_val() -> None:
    _, fitted = fit(tiny.settings(epochs=2))
    axes = gallery.show_curves(fitted.history).axes
    assert [axis.get_ylabel() for axis in axes] == ["loss", "accuracy"]
    assert [t.get_text() for t in axes[0].get_legend().get_texts()] == ["train", "val"]


def rare(chosen: RunSettings) -> Any:
    """Return digits of which class 0 has twelve times as many training images as class 1, and no others."""
    images = tiny.images(chosen)
    targets = images.train.targets
    ones = (targets == 1).nonzero().flatten()
    kept = np.sort(np.concatenate([(targets == 0).nonzero().flatten().numpy(), ones[:4].numpy()]))
    return replace(images, train=images.train.subset(kept))


@pytest.mark.parametrize("mode", ["scratch", "linear_probe"])
@pytest.mark.parametrize("remedy", ["class_weights", "sampler"])
def test_balance_makes_a_rare_class_count_as_much(mode: str, remedy: str) -> None:
    """What a step learns from the rare class is as much as from the other, also from cached features."""
    chosen = tiny.settings(mode=mode, model="custom_cnn" if mode == "scratch" else "resnet18",
                           max_train_images=500, **{remedy: "balanced"})  # fmt: skip
    network = tiny.network(chosen) if mode == "scratch" else tiny.transfer_network(chosen)
    images = rare(chosen)
    name = "network" if mode == "scratch" else "head"
    stage = stages.begin(name, network, images, chosen, tiny.run(Path.cwd(), "b"), tiny.CPU, History(), None)
    y = torch.cat([y for _, y in stage.examples.train_batches(0, 0, chosen)])
    weights = torch.ones(10) if stage.class_weights is None else stage.class_weights
    counted = torch.bincount(y, weights[y], minlength=10)
    assert len(y) == len(images.train)
    assert counted[0] == pytest.approx(counted[1].item(), abs=1.01)
    assert stage.val_weights is not None


def test_mixed_images_are_learned_from() -> None:
    _, fitted = fit(tiny.settings(augmentation=["mixup", "cutmix"], epochs=3))
    assert fitted.history["train_loss"].iloc[-1] < fitted.history["train_loss"].iloc[0]


def test_val_loss_of_balanced_training_counts_classes_alike() -> None:
    chosen = tiny.settings()
    network, images = tiny.network(chosen).eval(), tiny.images(chosen)
    weights = balance.weights(images.val.targets, 10)
    x, y = next(images.batches("val", 1000))
    losses = torch.nn.functional.cross_entropy(network(x), y, reduction="none")
    expected = np.mean([losses[y == k].mean().item() for k in y.unique()])
    found = train.evaluate(network, images.batches("val", 32), chosen, tiny.CPU, weights)
    assert found.loss == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("mode", ["scratch", "fine_tune"])
def test_trial_that_falls_behind_stops(mode: str) -> None:
    own = {} if mode == "scratch" else {"model": "resnet18", "head_epochs": 3}
    chosen = tiny.settings(mode=mode, epochs=4, trial=3, prune_below=[0.0, 1.1], **own)
    _, fitted = fit(chosen)
    assert fitted.stop_reason.startswith("pruned")
    assert len(fitted.history) == 2
