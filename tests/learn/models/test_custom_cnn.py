"""The project's own network."""

import pytest
import torch
from torch.nn import functional as F

from pipeline.learn.models import custom_cnn
from pipeline.learn.models.custom_cnn import Convolution, CustomCNN, Stem
from tests.learn import tiny


def photos(count: int = 64, side: int = 16) -> torch.Tensor:
    """Images whose neighbouring pixels are alike, as in photographs: float [count, 3, side, side]."""
    random = torch.Generator().manual_seed(0)
    coarse = torch.randn(count, 3, side // 2, side // 2, generator=random)
    smooth = F.interpolate(coarse, scale_factor=2.0, mode="bilinear")
    return smooth + 0.1 * torch.randn(count, 3, side, side, generator=random)


@pytest.mark.parametrize("side", [8, 9, 16, 28, 32, 48, 64, 97, 224])
def test_every_image_size_gives_logits(side: int) -> None:
    network = CustomCNN(7, widths=[4, 8, 8], depth=2, image_size=side)
    assert network(torch.randn(2, 3, side, side)).shape == (2, 7)


@pytest.mark.parametrize(("widths", "depth"), [([4], 1), ([4, 4, 4, 4, 4, 4, 4, 4], 1), ([4, 6], 3)])
def test_widths_and_depth_set_the_number_of_convolutions(widths: list[int], depth: int) -> None:
    network = CustomCNN(3, widths, depth, image_size=32)
    convolutions = [m for m in network.modules() if isinstance(m, torch.nn.Conv2d)]
    assert [c.out_channels for c in convolutions] == [w for w in widths for _ in range(depth)]
    assert network(torch.randn(2, 3, 32, 32)).shape == (2, 3)


def test_network_is_features_then_head() -> None:
    network = CustomCNN(3, [4, 8], 1, dropout=0.5).eval()
    x = torch.randn(2, 3, 32, 32)
    assert network.features(x).shape == (2, 8)
    assert torch.equal(network.head(network.features(x)), network(x))


def test_whitened_patches_are_uncorrelated_with_equal_variance() -> None:
    stem, images = Stem(image_size=16), photos()
    stem.whiten(images)
    answers = F.conv2d(images, stem.filters)[:, : stem.components]
    rows = answers.transpose(0, 1).flatten(1)
    second_moments = rows @ rows.T / rows.shape[1]
    assert torch.allclose(second_moments, torch.eye(stem.components), atol=0.05)


def test_stem_is_whitened_in_parts_as_by_all_images_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    images = torch.cat([photos(), 3 * photos()])
    parts, whole = Stem(image_size=16), Stem(image_size=16)
    monkeypatch.setattr(custom_cnn, "WHITENED_AT_ONCE", len(images) // 3)
    parts.whiten(images)
    monkeypatch.setattr(custom_cnn, "WHITENED_AT_ONCE", len(images))
    whole.whiten(images)

    assert torch.allclose(parts.filters.abs(), whole.filters.abs(), rtol=1e-3, atol=1e-4)


def test_stem_answers_come_with_their_negatives() -> None:
    stem = Stem(image_size=16)
    stem.whiten(photos())
    assert torch.equal(stem.filters[: stem.components], -stem.filters[stem.components :])


def test_grey_images_are_whitened_without_dividing_by_zero() -> None:
    stem = Stem(image_size=16)
    stem.whiten(photos()[:, :1].expand(-1, 3, -1, -1))
    assert stem.filters.isfinite().all()


def test_stem_is_not_trained() -> None:
    network = CustomCNN(3, [4], 1, image_size=16)
    network(torch.randn(2, 3, 16, 16)).sum().backward()
    assert network.stem.filters.grad is None
    trained = [p for group in network.parameter_groups(tiny.settings()) for p in group["params"]]
    assert all(p is not network.stem.filters for p in trained)


def test_convolution_starts_as_the_identity() -> None:
    x = torch.randn(2, 4, 6, 6)
    assert torch.allclose(Convolution(4, 6)[0](x)[:, :4], x)


def test_only_weights_decay() -> None:
    weights, biases = CustomCNN(3, [4], 1).parameter_groups(tiny.settings(weight_decay=0.01))
    assert (weights["weight_decay"], biases["weight_decay"]) == (0.01, 0.0)
    assert all(p.ndim > 1 for p in weights["params"])
    assert all(p.ndim == 1 for p in biases["params"])


def test_values_on_a_device_without_float64_are_taken_to_the_cpu() -> None:
    class OnMps:
        device = torch.device("mps")

        def cpu(self) -> torch.Tensor:
            return torch.ones(2)

    assert custom_cnn.in_double(OnMps()).dtype == torch.float64
    assert custom_cnn.in_double(torch.ones(2)).dtype == torch.float64


def test_logits_are_fp32_under_bf16() -> None:
    layer, x = custom_cnn.Head(64, 10), torch.randn(32, 64)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = layer(x)
    assert found.dtype == torch.float32
    assert torch.equal(found, layer(x))
