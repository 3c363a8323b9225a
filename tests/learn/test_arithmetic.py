"""Convolutions in bf16 are right on the machine that runs this, in all shapes that networks have."""

import pytest
import torch
from torch import nn

from pipeline.learn import arithmetic
from tests.learn import tiny


@pytest.mark.parametrize("side", [*range(1, 10), 12, 17])
def test_convolutions_in_bf16_agree_with_fp32(side: int) -> None:
    assert arithmetic.wrong([side]) == []


@pytest.mark.parametrize("side", [1, 2, 4, 9])
def test_other_layers_in_bf16_agree_with_fp32(side: int) -> None:
    assert arithmetic.wrong_layers([side]) == []


def test_a_wrong_layer_is_named_with_what_is_wrong_in_it(monkeypatch: pytest.MonkeyPatch) -> None:
    class Careless(nn.Conv2d):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return super().forward(x) * (2 if torch.is_autocast_enabled("cpu") else 1)

    monkeypatch.setattr(arithmetic, "LAYERS", {"convolution": lambda: Careless(16, 16, 2)})
    assert arithmetic.wrong_layers([3]) == [
        f"{what} of convolution, input 3×3"
        for what in ("forward pass", "input gradient", "gradient of weight", "gradient of bias")
    ]


def test_a_convolution_narrower_than_its_stride_is_computed_in_fp32(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[torch.dtype] = []
    plain = nn.Conv2d.forward
    monkeypatch.setattr(nn.Conv2d, "forward", lambda self, x: seen.append(x.dtype) or plain(self, x))
    network = nn.Sequential(nn.Conv2d(2, 2, 3, 2, 1), nn.Conv2d(2, 2, 3, 1, 1))
    arithmetic.use_in(network)
    for side in (1, 2):
        with torch.autocast("cpu", dtype=torch.bfloat16):
            x = torch.zeros(1, 2, side, side, dtype=torch.bfloat16)
            assert network(x).dtype == torch.bfloat16
    assert seen == [torch.float32, torch.bfloat16, torch.bfloat16, torch.bfloat16]


def test_networks_in_bf16_are_guarded_and_keep_their_names() -> None:
    machine = type(tiny.CPU)(torch.device("cpu"), "bf16", threads=1, channels_last=True)
    network = nn.Sequential(nn.Conv2d(3, 4, 3, stride=2), nn.Conv2d(4, 4, 3))
    names = list(network.state_dict())
    machine.place(machine.place(network))
    assert isinstance(network[0], arithmetic.Safe)
    assert not isinstance(network[1], arithmetic.Safe)
    assert list(network.state_dict()) == names


def test_what_is_wrong_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(arithmetic, "ROUNDING", 0.0)
    found = arithmetic.wrong([4], kernels=[3])
    assert "filter gradient of 3×3, stride 2, 1 groups, input 4×4" in found


def test_the_cpu_agrees_with_itself() -> None:
    assert arithmetic.difference(torch.device("cpu")) == 0


@pytest.mark.parametrize(("factor", "expected"), [(1.5, 0.5), (float("nan"), float("nan"))])
def test_the_largest_difference_of_another_device_is_told(
    monkeypatch: pytest.MonkeyPatch, factor: float, expected: float
) -> None:
    answer, *gradients = arithmetic._one_step(torch.device("cpu"))
    steps = {"cpu": [answer, *gradients], "mps": [answer, gradients[0] * factor, *gradients[1:]]}
    monkeypatch.setattr(arithmetic, "_one_step", lambda device: steps[device.type])

    assert arithmetic.difference(torch.device("mps")) == pytest.approx(expected, nan_ok=True)
