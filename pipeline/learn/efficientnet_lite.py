"""EfficientNet-Lite 0 to 2 (Tan & Le 2019, arXiv 1905.11946; the Lite variant: TensorFlow TPU models, 2020).

EfficientNet without squeeze-and-excitation and with ReLU6, so that it runs fast on any processor.
Module order follows the published weights file: its tensors are loaded one after the other.
"""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from pipeline.learn.fast.convolutions import conv2d

# Width factor, depth factor, dropout before the classifier.
VARIANTS = {
    "efficientnet_lite0": (1.0, 1.0, 0.2),
    "efficientnet_lite1": (1.0, 1.1, 0.2),
    "efficientnet_lite2": (1.1, 1.2, 0.3),
}
# Repeats, kernel side, stride, expansion, output channels of each stage of Lite0.
STAGES = (
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)
STEM_CHANNELS, TOP_CHANNELS = 32, 1280


class SameConv2d(nn.Conv2d):
    """Convolution with TensorFlow's padding "SAME": output side = ceil(input side / stride)."""

    def forward(self, x: Tensor) -> Tensor:
        (top, bottom), (left, right) = self._margins(x.shape[2]), self._margins(x.shape[3])
        if (top, left) == (bottom, right):
            return conv2d(x, self.weight, self.bias, self.stride, (top, left), 1, self.groups)
        padded = F.pad(x, (left, right, top, bottom))  # TensorFlow puts the odd pixel last
        return conv2d(padded, self.weight, self.bias, self.stride, 0, 1, self.groups)

    def _margins(self, side: int) -> tuple[int, int]:
        kernel, stride = self.kernel_size[0], self.stride[0]
        total = max((math.ceil(side / stride) - 1) * stride + kernel - side, 0)
        return total // 2, total - total // 2


class ConvUnit(nn.Sequential):
    """Convolution, BatchNorm and, unless it is the last of a block, ReLU6."""

    def __init__(
        self,
        inputs: int,
        outputs: int,
        kernel: int = 1,
        stride: int = 1,
        groups: int = 1,
        active: bool = True,
    ):
        layers: list[nn.Module] = [
            SameConv2d(inputs, outputs, kernel, stride, groups=groups, bias=False),
            nn.BatchNorm2d(outputs, eps=1e-3, momentum=0.01),
        ]
        super().__init__(*layers, *([nn.ReLU6(inplace=True)] if active else []))


class InvertedResidual(nn.Module):
    """Widen with a 1×1 convolution, filter each channel by itself, narrow again; add the input if it fits."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int, expansion: int):
        super().__init__()
        wide = inputs * expansion
        widen = [ConvUnit(inputs, wide)] if expansion > 1 else []
        self.layers = nn.Sequential(
            *widen,
            ConvUnit(wide, wide, kernel, stride, groups=wide),
            ConvUnit(wide, outputs, active=False),
        )
        self.residual = stride == 1 and inputs == outputs

    def forward(self, x: Tensor) -> Tensor:
        y = self.layers(x)
        return x + y if self.residual else y


class EfficientNetLite(nn.Module):
    """Images float [B, 3, S, S] to logits [B, classes], or to features [B, 1280] without classifier."""

    def __init__(self, name: str, num_classes: int = 1000):
        super().__init__()
        width, depth, dropout = VARIANTS[name]
        self.stem = ConvUnit(3, STEM_CHANNELS, 3, 2)
        self.stages, channels = self._stages(width, depth)
        self.top = ConvUnit(channels, TOP_CHANNELS)
        self.dropout = nn.Dropout(dropout)
        self.classifier = nn.Linear(TOP_CHANNELS, num_classes)
        self._initialise()

    @staticmethod
    def _stages(width: float, depth: float) -> tuple[nn.Sequential, int]:
        stages, channels = [], STEM_CHANNELS
        for position, (repeats, kernel, stride, expansion, outputs) in enumerate(STAGES):
            outer = position in (0, len(STAGES) - 1)  # the Lite variant never deepens these two
            repeats = repeats if outer else math.ceil(depth * repeats)
            blocks = []
            for block in range(repeats):
                inputs, channels = channels, _round_channels(width * outputs)
                step = stride if block == 0 else 1
                blocks.append(InvertedResidual(inputs, channels, kernel, step, expansion))
            stages.append(nn.Sequential(*blocks))
        return nn.Sequential(*stages), channels

    def _initialise(self) -> None:
        """Draw weights as EfficientNet's authors do: normal, by the number of outputs."""
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                fan_out = module.kernel_size[0] ** 2 * module.out_channels / module.groups
                nn.init.normal_(module.weight, 0.0, math.sqrt(2.0 / fan_out))

    def forward(self, x: Tensor) -> Tensor:
        x = self.top(self.stages(self.stem(x)))
        return self.classifier(self.dropout(torch.mean(x, dim=(2, 3))))


def _round_channels(channels: float) -> int:
    """Round to a multiple of 8, never more than 10 % down."""
    rounded = max(8, int(channels + 4) // 8 * 8)
    return rounded + 8 if rounded < 0.9 * channels else rounded
