"""Features of a frozen backbone, computed once."""

from pathlib import Path
from typing import Any

import pytest
import torch

from pipeline.learn import data, evaluate, train
from pipeline.learn.features import FeatureData
from pipeline.learn.models.transfer import TransferNetwork
from pipeline.learn.models.weights import Preprocessing
from tests.learn import tiny

pytestmark = pytest.mark.usefixtures("workplace")


@pytest.fixture
def looks(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many images the backbone was shown, each time it was shown some."""
    found: list[int] = []
    once = TransferNetwork.features

    def features(self: TransferNetwork, x: torch.Tensor) -> torch.Tensor:
        found.append(len(x))
        return once(self, x)

    monkeypatch.setattr(TransferNetwork, "features", features)
    return found


def feature_data(**changes: Any) -> FeatureData:
    chosen = tiny.transfer_settings(**changes)
    return FeatureData(tiny.transfer_network(chosen), tiny.images(chosen), chosen, tiny.CPU)


def with_known_colours(**changes: Any) -> FeatureData:
    """Return features of images that are normalised as the weights ask, and not by train."""
    chosen = tiny.transfer_settings(**changes)
    preprocessing = Preprocessing(mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5))
    images = data.load(chosen, preprocessing, tiny.CPU)
    return FeatureData(tiny.transfer_network(chosen), images, chosen, tiny.CPU)


def kept() -> list[Path]:
    return sorted(Path("cache/features").glob("*.safetensors"))


@pytest.mark.parametrize("split", ["train", "val", "test"])
def test_kept_features_equal_those_of_a_forward_pass(split: Any) -> None:
    data = feature_data()
    data.features(split)  # computed
    again = feature_data()  # read
    x = torch.cat([x for x, _ in again.images.batches(split, 16)])
    assert torch.allclose(again.features(split), again.network.eval().features(x), atol=1e-5)


def test_backbone_sees_each_image_once_whatever_the_epochs_and_seeds(looks: list[int]) -> None:
    for seed in (0, 1, 2):
        chosen = tiny.transfer_settings(
            seed=seed, epochs=5, learning_rate=0.1 / (seed + 1), dropout=0.1 * seed
        )
        network, images = tiny.transfer_network(chosen), tiny.images(chosen)
        train.fit(network, images, chosen, tiny.run(Path.cwd(), f"s{seed}"), tiny.CPU)
        evaluate.predict(network, images, chosen, tiny.CPU)
    assert sum(looks) == len(images.train) + len(images.val) + len(images.test)


def test_features_are_computed_once_for_all_sizes(looks: list[int]) -> None:
    whole, subset = (with_known_colours(**size) for size in ({}, {"train_size": 30, "seed": 1}))
    values = whole.features("train")
    assert len(subset.train) == 30
    assert torch.equal(subset.features("train"), values[torch.from_numpy(subset.images.subset.positions)])
    assert sum(looks) == len(whole.train)
    assert subset.compute() < whole.compute()


def test_head_on_a_subset_takes_as_many_steps_as_on_all() -> None:
    steps = feature_data().steps_per_epoch(32)
    paced = feature_data(train_size=30)
    assert len(list(paced.train_batches(0, 0, paced.settings))) == paced.steps_per_epoch(32) == steps
    assert feature_data(train_size=30, budget="epochs").steps_per_epoch(32) == 1


def test_fine_tuning_shares_the_features_of_a_linear_probe(looks: list[int]) -> None:
    feature_data().compute()
    seen = sum(looks)
    feature_data(mode="fine_tune").compute()
    assert sum(looks) == seen


@pytest.mark.parametrize(
    "changes",
    [
        {"image_size": 16},
        {"max_train_images": 100},
        {"split_seed": 1},
        {"val_fraction": 0.2},
        {"model": "vgg16"},
    ],
    ids=str,
)
def test_features_of_other_images_or_models_are_not_used(changes: dict[str, Any]) -> None:
    feature_data().features("val")
    feature_data(**changes).features("val")
    assert len(kept()) == 2


def test_features_of_other_weights_are_not_used() -> None:
    feature_data().features("val")
    chosen = tiny.transfer_settings()
    network = tiny.transfer_network(chosen)
    network.backbone[1].running_mean.add_(1.0)
    FeatureData(network, tiny.images(chosen), chosen, tiny.CPU).features("val")
    assert len(kept()) == 2


def test_features_of_another_precision_are_not_used() -> None:
    feature_data().features("val")
    bf16 = tiny.Hardware(torch.device("cpu"), "bf16", threads=1, channels_last=True)
    chosen = tiny.transfer_settings()
    coarse = FeatureData(tiny.transfer_network(chosen), tiny.images(chosen), chosen, bf16).features("val")
    assert torch.allclose(coarse.float(), feature_data().features("val"), atol=0.05)
    assert len(kept()) == 2


@pytest.mark.parametrize("region", [0.0, 0.02, 0.5, 0.99])
def test_damaged_features_are_named_and_replaced(region: float, capsys: pytest.CaptureFixture[str]) -> None:
    expected = feature_data().features("val").clone()
    path = kept()[0]
    content = bytearray(path.read_bytes())
    start = int(region * len(content))
    content[start : start + 8] = bytes(255 - b for b in content[start : start + 8])
    path.write_bytes(content)
    assert torch.equal(feature_data().features("val"), expected)
    assert f"{path}: the kept features are damaged" in capsys.readouterr().out
    assert torch.equal(feature_data().features("val"), expected)
    assert capsys.readouterr().out == ""


def test_truncated_features_are_named_and_replaced(capsys: pytest.CaptureFixture[str]) -> None:
    expected = feature_data().features("val").clone()
    kept()[0].write_bytes(kept()[0].read_bytes()[:200])
    assert torch.equal(feature_data().features("val"), expected)
    assert "the kept features are damaged" in capsys.readouterr().out


def test_first_view_is_the_image_as_it_is_and_others_are_augmented() -> None:
    data = feature_data(feature_views=3, augmentation=["crop", "flip"])
    plain = feature_data().features("train")
    assert torch.equal(data.features("train", 0), plain)
    assert not torch.equal(data.features("train", 1), plain)
    assert not torch.equal(data.features("train", 1), data.features("train", 2))


def test_each_epoch_draws_one_view_of_each_image() -> None:
    data = feature_data(feature_views=2, augmentation=["crop", "flip"])
    views = torch.stack([data.features("train", view) for view in (0, 1)])
    batches = list(data.train_batches(0, 0, data.settings))
    assert sum(len(y) for _, y in batches) == len(data.train)
    x = torch.cat([x for x, _ in batches])
    found = (x[:, None, None] == views[None]).all(-1)  # [n, view, image]
    assert found.any(1).any(1).all()
    assert found.any(1).any(0).all()
    assert found[:, 0].any()
    assert found[:, 1].any()


def test_order_depends_on_seed_and_epoch_alone() -> None:
    data = feature_data()

    def first(seed: int, epoch: int) -> torch.Tensor:
        return next(data.train_batches(seed, epoch, data.settings))[0]

    assert torch.equal(first(0, 1), first(0, 1))
    assert not torch.equal(first(0, 1), first(0, 2))
    assert not torch.equal(first(0, 1), first(1, 1))


def test_cost_of_features_is_counted_in_full_by_a_run_that_finds_them() -> None:
    cost = feature_data().compute()
    assert cost > 0
    assert feature_data(seed=1).compute() == cost
