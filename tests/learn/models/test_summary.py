"""What a network costs and what it is made of."""

import torch
from torch import nn

from pipeline.experiment import RunSettings
from pipeline.learn import models
from pipeline.learn.models import summary


def tiny() -> nn.Module:
    network = nn.Module()
    layers = [
        nn.Conv2d(3, 4, 3, padding=1),
        nn.BatchNorm2d(4),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
    ]
    network.backbone = nn.Sequential(*layers)
    network.head = nn.Linear(4, 2)
    network.forward = lambda x: network.head(network.backbone(x))
    return network


def test_macs_count_a_multiply_add_once() -> None:
    by_hand = 8 * 8 * 4 * (3 * 3 * 3) + 4 * 2
    assert summary.summarise(tiny(), 8)[0] == by_hand


def test_counting_changes_neither_weights_nor_mode_nor_statistics() -> None:
    network = tiny().train()
    network.backbone[1].eval()
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    summary.summarise(network, 8)
    assert all(torch.equal(tensor, before[name]) for name, tensor in network.state_dict().items())
    assert [m.training for m in network.backbone] == [True, False, True, True, True]
    assert next(network.parameters()).device.type == "cpu"
    assert not any(module._forward_hooks for module in network.modules())


def test_stages_show_shapes_from_input_to_output() -> None:
    rows = summary.summarise(tiny(), 8)[1]
    shown = [(row["name"], row["kind"], row["output"], row["parameters"]) for row in rows]
    assert shown == [
        ("0", "Conv2d", "4 × 8 × 8", 112),
        ("1", "BatchNorm2d", "4 × 8 × 8", 8),
        ("head", "Linear", "2", 10),
    ]
    assert rows[0]["parts"] == ["3×3 convolution"]
    assert [row["trained"] for row in rows] == [112, 8, 10]


def test_neighbours_at_one_resolution_share_a_row() -> None:
    settings = RunSettings(model="googlenet", image_size=224)
    network = models.build(settings, ["a", "b"], models.preprocessing(settings))
    rows = {row["name"]: row for row in summary.summarise(network, 224)[1]}
    assert rows["inception4a to inception4e"]["output"] == "832 × 14 × 14"
    assert rows["aux1"]["output"] == "in training only"


def test_many_stages_are_joined_until_they_fit() -> None:
    network = nn.Sequential(*(nn.Conv2d(3, 3, 3) for _ in range(30)), nn.Flatten(), nn.Linear(12, 2))
    rows = summary.summarise(network, 62)[1]
    assert len(rows) == summary.MAX_ROWS
    assert rows[-1]["kind"] == "Linear"
    assert sum(row["parameters"] for row in rows) == summary.count_parameters(network)


def test_parameters_outside_any_layer_are_counted() -> None:
    settings = RunSettings(model="vit_b_32")
    network = models.build(settings, ["a", "b"], models.preprocessing(settings))
    rows = summary.summarise(network, 224)[1]
    assert sum(row["parameters"] for row in rows) == summary.count_parameters(network)
    assert "own parameters" in {row["kind"] for row in rows}
