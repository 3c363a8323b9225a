"""A network in two parts: what is frozen, what is trained, and how fast."""

from collections.abc import Iterable

import pytest
import torch
from torch import nn

from pipeline.experiment import RunSettings
from pipeline.learn import models
from pipeline.learn.models.transfer import Head

CLASSES = ["cat", "dog", "bird"]


def small(mode: str, **changes: object) -> tuple[nn.Module, RunSettings]:
    settings = RunSettings(model="efficientnet_lite0", mode=mode, image_size=32, **changes)
    return models.build(settings, CLASSES, models.preprocessing(settings)), settings


def copy_of(module: nn.Module) -> dict[str, torch.Tensor]:
    return {name: tensor.clone() for name, tensor in module.state_dict().items()}


def changed(module: nn.Module, before: dict[str, torch.Tensor]) -> set[str]:
    return {name for name, tensor in module.state_dict().items() if not torch.equal(tensor, before[name])}


def train_one_step(network: nn.Module, settings: RunSettings, side: int = 32) -> None:
    network.train()
    optimizer = torch.optim.SGD(network.parameter_groups(settings), lr=1.0)
    output = network(torch.randn(4, 3, side, side))
    logits, *auxiliary = output if isinstance(output, tuple) else (output,)
    targets = torch.tensor([0, 1, 2, 0])
    loss = sum(nn.functional.cross_entropy(each, targets) for each in (logits, *auxiliary))
    loss.backward()
    optimizer.step()


def test_frozen_backbone_is_unchanged_by_a_training_step() -> None:
    network, settings = small("linear_probe")
    backbone, head = copy_of(network.backbone), copy_of(network.head)
    train_one_step(network, settings)
    assert changed(network.backbone, backbone) == set()  # parameters and BatchNorm statistics
    assert changed(network.head, head) == {"weight", "bias"}


def test_frozen_backbone_stays_in_eval_mode_while_the_head_trains() -> None:
    network, _ = small("linear_probe", dropout=0.5)
    network.train()
    assert not any(module.training for module in network.backbone.modules())
    assert network.head.training
    features = torch.randn(8, 1280)
    assert not torch.equal(network.head(features), network.head(features))
    network.eval()
    assert torch.equal(network.head(features), network.head(features))


def test_fine_tuning_changes_weights_but_not_batchnorm_statistics() -> None:
    network, settings = small("fine_tune")
    before = copy_of(network.backbone)
    train_one_step(network, settings)
    moved = changed(network.backbone, before)
    assert "conv_stem.weight" in moved
    assert "bn1.weight" in moved  # BatchNorm's own weights are trained
    assert not any("running_" in name or "num_batches" in name for name in moved)


def test_batchnorm_statistics_follow_the_data_when_not_frozen() -> None:
    network, settings = small("fine_tune", freeze_batchnorm=False)
    before = copy_of(network.backbone)
    train_one_step(network, settings)
    assert "bn1.running_mean" in changed(network.backbone, before)


def test_training_from_scratch_changes_everything() -> None:
    network, settings = small("scratch")
    before = copy_of(network)
    train_one_step(network, settings)
    assert changed(network, before) == set(before)


def test_fine_tuning_can_begin_with_the_head_alone() -> None:
    network, settings = small("fine_tune")
    network.freeze_backbone()
    before = copy_of(network.backbone)
    train_one_step(network, settings)
    assert changed(network.backbone, before) == set()
    network.unfreeze_backbone()
    train_one_step(network, settings)
    assert changed(network.backbone, before)


def parameters_of(groups: Iterable[dict]) -> list[torch.Tensor]:
    return [parameter for group in groups for parameter in group["params"]]


@pytest.mark.parametrize("mode", ["scratch", "linear_probe", "fine_tune"])
def test_every_trained_parameter_is_in_one_group(mode: str) -> None:
    network, settings = small(mode)
    grouped = parameters_of(network.parameter_groups(settings))
    trained = [p for p in network.parameters() if p.requires_grad]
    assert len(grouped) == len(trained) == len({id(p) for p in grouped} & {id(p) for p in trained})


def test_backbone_learns_by_its_factor_and_the_head_in_full() -> None:
    network, settings = small("fine_tune", learning_rate=0.01, backbone_learning_rate_factor=0.25)
    rates = {id(p): g["lr"] for g in network.parameter_groups(settings) for p in g["params"]}
    assert rates[id(network.backbone.conv_stem.weight)] == pytest.approx(0.0025)
    assert rates[id(network.head.weight)] == rates[id(network.head.bias)] == 0.01


def test_norms_and_biases_do_not_decay() -> None:
    network, settings = small("scratch", weight_decay=0.1)
    decay = {id(p): g["weight_decay"] for g in network.parameter_groups(settings) for p in g["params"]}
    for name, parameter in network.named_parameters():
        expected = 0.0 if parameter.ndim == 1 else 0.1
        assert decay[id(parameter)] == expected, name


def test_positions_and_class_token_of_a_transformer_do_not_decay() -> None:
    settings = RunSettings(model="timm/deit_tiny_patch16_224", weight_decay=0.1, image_size=32)
    network = models.build(settings, CLASSES, models.preprocessing(settings))
    decay = {id(p): g["weight_decay"] for g in network.parameter_groups(settings) for p in g["params"]}
    assert decay[id(network.backbone.pos_embed)] == decay[id(network.backbone.cls_token)] == 0.0
    assert decay[id(network.backbone.patch_embed.proj.weight)] == 0.1


def test_head_of_features_equals_the_network() -> None:
    network, _ = small("linear_probe")
    network.eval()
    x = torch.randn(2, 3, 32, 32)
    with torch.no_grad():
        assert network.features(x).shape == (2, 1280)
        assert torch.equal(network.head(network.features(x)), network(x))


def test_head_is_a_linear_layer_with_dropout() -> None:
    head = Head(4, 2, dropout=0.5)
    assert isinstance(head, nn.Linear)
    assert set(head.state_dict()) == {"weight", "bias"}
    assert "dropout=0.5" in repr(head)


@pytest.mark.parametrize(
    ("model", "mode", "side", "auxiliaries"),
    [
        ("inception_v3", "scratch", 299, 1),
        ("inception_v3", "scratch", 75, 0),  # its auxiliary head needs the published size
        ("googlenet", "scratch", 32, 2),
    ],
)
def test_auxiliary_heads_speak_while_the_whole_network_trains(
    model: str, mode: str, side: int, auxiliaries: int
) -> None:
    settings = RunSettings(model=model, mode=mode, image_size=side)
    network = models.build(settings, CLASSES, models.preprocessing(settings)).to("meta")  # shapes only
    assert len(network.auxiliary) == auxiliaries
    x = torch.empty(2, 3, side, side, device="meta")
    with torch.no_grad():
        output = network.train()(x)
        outputs = output if isinstance(output, tuple) else (output,)
        assert [each.shape for each in outputs] == [(2, 3)] * (1 + auxiliaries)
        assert network.eval()(x).shape == (2, 3)
        network.freeze_backbone()
        assert network.train()(x).shape == (2, 3)


def test_auxiliary_head_is_made_anew_for_the_classes() -> None:
    settings = RunSettings(model="googlenet", image_size=32, learning_rate=0.5)
    network = models.build(settings, CLASSES, models.preprocessing(settings))
    before = copy_of(network.backbone)
    train_one_step(network, settings)
    assert network.backbone.aux1.fc2.out_features == 3
    assert "aux1.fc2.weight" in changed(network.backbone, before)
