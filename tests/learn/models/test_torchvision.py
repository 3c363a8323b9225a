"""Every classification network of torchvision: cut in two, at every size it can see, counted right."""

import pytest
import torch
from torch import nn
from torchvision import models as published
from torchvision.models import list_models

from pipeline.errors import ModelError
from pipeline.experiment import RunSettings
from pipeline.learn import models
from pipeline.learn.models import summary, torchvision

CLASSES = ["cat", "dog", "bird"]
EVERY_NAME = sorted(list_models(module=published))
# The smallest of each family.
FAMILIES = [
    "alexnet",
    "convnext_tiny",
    "densenet121",
    "efficientnet_b0",
    "googlenet",
    "inception_v3",
    "maxvit_t",
    "mnasnet0_5",
    "mobilenet_v2",
    "mobilenet_v3_small",
    "regnet_x_400mf",
    "resnet18",
    "shufflenet_v2_x0_5",
    "squeezenet1_1",
    "swin_t",
    "vgg11",
    "vit_b_32",
]


def built(name: str, **changes: object) -> tuple[nn.Module, RunSettings]:
    settings = RunSettings(model=name, **changes)
    models.check(settings)
    # Shapes only, nothing is computed, but for the widths of a RegNet.
    with torch.device("cpu" if name.startswith("regnet") else "meta"):
        network = models.build(settings, CLASSES, models.preprocessing(settings))
    return network.to("meta"), settings


def assert_cut_in_two(name: str) -> None:
    network, settings = built(name)
    size = models.preprocessing(settings).image_size
    features = summary.trial_output(network.backbone, size)
    assert features.shape == (1, network.head.in_features)
    assert network.head.out_features == 3
    info = models.describe(network, settings, models.preprocessing(settings))
    assert sum(row["parameters"] for row in info.layers) == info.total_parameters
    assert 4 <= len(info.layers) <= summary.MAX_ROWS
    assert info.layers[-1]["name"] == "head"
    stated = published.get_model_weights(name).DEFAULT.meta
    if not name.startswith("squeezenet"):  # its classifier is a convolution, ours is a linear layer
        without_classifier = info.macs - network.head.in_features * 3
        classifier = network.head.in_features * 1000
        assert (without_classifier + classifier) / 1e9 == pytest.approx(stated["_ops"], abs=6e-4)


@pytest.mark.parametrize("name", FAMILIES)
def test_every_family_is_cut_in_two_and_counted_as_torchvision_does(name: str) -> None:
    assert_cut_in_two(name)


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in EVERY_NAME if name not in FAMILIES])
def test_every_network_is_cut_in_two_and_counted_as_torchvision_does(name: str) -> None:
    assert_cut_in_two(name)


def test_every_name_is_listed_with_its_weights() -> None:
    assert sorted(torchvision.names()) == EVERY_NAME
    for name in EVERY_NAME:
        kept = torchvision.catalogue()[name]["weights"]
        assert {n: w["url"] for n, w in kept.items()} == {
            w.name: w.url for w in published.get_model_weights(name)
        }


@pytest.mark.parametrize("name", [*FAMILIES, "efficientnet_v2_s", "swin_v2_t", "squeezenet1_0"])
def test_smallest_image_is_seen_and_smaller_ones_are_refused(name: str) -> None:
    multiple = {"maxvit_t": 224, "vit_b_32": 32}.get(name)
    smallest = multiple or max(8, torchvision.catalogue()[name]["min_size"])
    network, _ = built(name, image_size=smallest)
    assert summary.trial_output(network, smallest).shape == (1, 3)
    if smallest > 8:
        with pytest.raises(ModelError, match=f"image_size is {smallest - 1}; it must be"):
            built(name, image_size=smallest - 1)
        if not multiple:
            with pytest.raises(RuntimeError):  # so the limit is not too strict
                summary.trial_output(network, smallest - 1)


@pytest.mark.parametrize(("name", "size"), [("vit_b_16", 64), ("maxvit_t", 448)])
def test_networks_of_fixed_size_are_built_for_the_size_asked_for(name: str, size: int) -> None:
    network, _ = built(name, image_size=size)
    assert summary.trial_output(network, size).shape == (1, 3)


def test_fully_connected_layers_of_vgg_belong_to_its_backbone() -> None:
    network, _ = built("vgg16")
    assert network.head.in_features == 4096
    assert isinstance(network.backbone.classifier[6], nn.Identity)
    assert network.backbone.classifier[3].out_features == 4096


def test_inception_turns_its_input_as_its_weights_expect() -> None:
    for mode in ("scratch", "linear_probe"):
        settings = RunSettings(model="inception_v3", mode=mode, image_size=75)
        backbone, _ = torchvision.create(settings, 75, None)
        assert backbone.transform_input


@pytest.mark.parametrize(("mode", "size", "kept"), [("fine_tune", 299, True), ("linear_probe", 299, False)])
def test_auxiliary_head_of_inception_is_kept_only_where_it_helps(mode: str, size: int, kept: bool) -> None:
    settings = RunSettings(model="inception_v3", mode=mode, image_size=size)
    content = {
        k: torch.zeros_like(v) for k, v in published.inception_v3(init_weights=False).state_dict().items()
    }
    backbone, features = torchvision.create(settings, size, content)
    assert (backbone.AuxLogits is not None) is kept
    assert features == 2048
