"""How networks are called in prose."""

import pytest

from pipeline.experiment import RunSettings
from pipeline.report import names
from pipeline.report.names import network


@pytest.mark.parametrize(
    ("key", "name"),
    [
        ("custom_cnn", "custom CNN"),
        ("resnet18", "ResNet-18"),
        ("vgg16_bn", "VGG-16 with batch norm"),
        ("efficientnet_lite0", "EfficientNet-Lite0"),
        ("efficientnet_v2_s", "EfficientNetV2-S"),
        ("mobilenet_v3_small", "MobileNetV3-Small"),
        ("vit_b_16", "ViT-B/16"),
        ("swin_t", "Swin-T"),
        ("timm/vit_small_patch14_dinov2.lvd142m", "timm/vit_small_patch14_dinov2.lvd142m"),
        ("my_resnet18_net", "my_resnet18_net"),
    ],
)
def test_networks_are_spelled_as_in_the_literature_where_they_are_known(key: str, name: str) -> None:
    assert network(key) == name


def test_classes_of_one_name_in_two_files_are_told_by_their_files() -> None:
    models = [
        RunSettings(model="nets/anna.py:Net"),
        RunSettings(model="nets/ben.py:Net", learning_rate=0.3),
        RunSettings(model="nets/example.py:ExampleNet"),
    ]

    first, second, third = names.labels(models)
    assert first.startswith("Net, from scratch (nets/anna.py")
    assert second.startswith("Net, from scratch (nets/ben.py, learning_rate 0.3")
    assert third == "ExampleNet, from scratch"
    assert len(set(names.spoken(models))) == len(set(names.keys(models))) == 3


def test_one_network_with_and_without_weights_for_rare_classes_has_two_names() -> None:
    models = [RunSettings(), RunSettings(class_weights="balanced"), RunSettings(sampler="balanced")]
    assert names.labels(models) == [
        "custom CNN (class_weights none, sampler none)",
        "custom CNN (class_weights balanced, sampler none)",
        "custom CNN (class_weights none, sampler balanced)",
    ]
