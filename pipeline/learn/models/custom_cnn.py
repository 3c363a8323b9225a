"""The project's own convolutional network, small enough to be taught from and trained from scratch.

It follows the nets that hold the speed records on CIFAR-10, ResNet-9 (Page 2019), hlb-CIFAR10
(Balsam 2023) and airbench (Jordan 2024, arXiv 2404.00498), in four parts::

    image ── stem ──────────── stage ── stage ── stage ──────── pool ── head ── logits
             whitened patches  convolutions, each stage at      largest  fully
             (not trained)     half the side of the last        answer   connected
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from pipeline.experiment import RunSettings

STEM_SIDE = 32  # the stem brings larger images down to about this side
MAX_COMPONENTS = 32
WHITENING_EPS = 5e-4
WHITENED_AT_ONCE = 100  # images; the patches of all would take more memory than training does
# Scaling the features keeps the first logits small, so that early steps do not overshoot.
FEATURE_SCALE = 1 / 9
# Under SGD a BatchNorm bias hardly moves at the rate that suits the weights (airbench has 64 here,
# at batches of 1,024; with smaller ones that diverges).
BIAS_RATE = 8


class Stem(nn.Module):
    """Look at the image through small patches, rewritten so that their values are uncorrelated.

    Neighbouring pixels and colours nearly repeat each other. Principal components of patches do
    not, so the layers behind learn several times faster. The filters are computed from training
    images once (``whiten``) and never trained. Each comes with its negative, because the activation
    behind cuts negative answers off. Images float [B, 3, S, S] to [B, channels, side, side].
    """

    def __init__(self, image_size: int):
        super().__init__()
        self.stride = max(1, image_size // STEM_SIDE)
        self.kernel = self.stride + 1
        self.components = min(3 * self.kernel**2, MAX_COMPONENTS)
        self.channels = 2 * self.components
        self.side = (image_size - self.kernel) // self.stride + 1
        filters = torch.empty(self.components, 3, self.kernel, self.kernel)
        nn.init.orthogonal_(filters)
        self.filters = nn.Parameter(torch.cat([filters, -filters]), requires_grad=False)

    @torch.no_grad()
    def whiten(self, images: Tensor) -> None:
        """Compute the filters from normalised training images float [N, 3, S, S]."""
        covariance = sum(map(self._covariance, images.split(WHITENED_AT_ONCE))) / len(images)
        variances, directions = torch.linalg.eigh(covariance)  # smallest variance first
        scaled = directions / torch.sqrt(variances + WHITENING_EPS)
        filters = scaled.T.flip(0)[: self.components].reshape(-1, 3, self.kernel, self.kernel)
        self.filters.copy_(torch.cat([filters, -filters]))

    def _covariance(self, images: Tensor) -> Tensor:
        """Return the sum over images of the covariance of their patches, about zero."""
        patches = in_double(F.unfold(images.float(), self.kernel, stride=self.stride))
        return torch.einsum("nip,njp->ij", patches, patches) / patches.shape[2]

    def forward(self, x: Tensor) -> Tensor:
        return F.gelu(F.conv2d(x, self.filters, stride=self.stride))


def in_double(values: Tensor) -> Tensor:
    """Return values as float64, on the CPU where their device has no such numbers, as Apple's."""
    return (values.cpu() if values.device.type == "mps" else values).double()


class Convolution(nn.Sequential):
    """A 3×3 convolution, BatchNorm and activation, with pooling by 2 in between if asked for.

    Its first filters start as the identity: before it has learned anything the layer hands on what
    it gets (Zagoruyko & Komodakis 2017, arXiv 1706.00388).
    """

    def __init__(self, inputs: int, outputs: int, pool: bool = False):
        convolution = nn.Conv2d(inputs, outputs, kernel_size=3, padding=1, bias=False)
        nn.init.dirac_(convolution.weight[:inputs])
        # Pooling before BatchNorm and activation leaves them a quarter of the work.
        pooling = [nn.MaxPool2d(2)] if pool else []
        norm = nn.BatchNorm2d(outputs)
        norm.weight.requires_grad_(False)  # the next layer can scale as well; the bias is what counts
        super().__init__(convolution, *pooling, norm, nn.GELU())


class Stage(nn.Sequential):
    """``depth`` convolutions at one side; the first one halves the side where it can."""

    def __init__(self, inputs: int, outputs: int, depth: int, pool: bool):
        first = Convolution(inputs, outputs, pool)
        super().__init__(first, *(Convolution(outputs, outputs) for _ in range(depth - 1)))


class Head(nn.Linear):
    """Features float [B, F] to logits float32 [B, classes], after dropout.

    In bf16 logits would come in steps of 0.06 at a size of 10, which calibration would show.
    """

    def __init__(self, features: int, classes: int, dropout: float = 0.0):
        super().__init__(features, classes)
        self.dropout = dropout

    def forward(self, x: Tensor) -> Tensor:
        if x.is_meta or not torch.is_autocast_enabled(x.device.type):
            return self._logits(x)
        with torch.autocast(x.device.type, enabled=False):
            return self._logits(x)

    def _logits(self, x: Tensor) -> Tensor:
        return super().forward(F.dropout(x.float(), self.dropout, self.training))

    def extra_repr(self) -> str:
        return f"{super().extra_repr()}, dropout={self.dropout}"


class CustomCNN(nn.Module):
    """Images float [B, 3, S, S], normalised, to logits [B, num_classes].

    ``widths`` are the channels of the stages, ``depth`` the convolutions in each.
    """

    def __init__(
        self,
        num_classes: int,
        widths: list[int] | tuple[int, ...] = (64, 128, 256),
        depth: int = 2,
        dropout: float = 0.0,
        image_size: int = 32,
    ):
        super().__init__()
        self.stem = Stem(image_size)
        self.stages = nn.Sequential()
        channels, side = self.stem.channels, self.stem.side
        for width in widths:
            pool = side >= 2
            self.stages.append(Stage(channels, width, depth, pool))
            channels, side = width, side // 2 if pool else side
        self.pool = nn.AdaptiveMaxPool2d(1)
        self.head = Head(channels, num_classes, dropout)

    def features(self, x: Tensor) -> Tensor:
        """Return what the head sees of the images: float [B, widths[-1]]."""
        return self.pool(self.stages(self.stem(x))).flatten(1) * FEATURE_SCALE

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.features(x))

    def prepare(self, images: Tensor) -> None:
        """Adapt the stem to the data, once before training."""
        self.stem.whiten(images)

    def parameter_groups(self, settings: RunSettings) -> list[dict[str, Any]]:
        """Return the optimizer's groups: weights, which decay, and biases, which do not."""
        trained = [p for p in self.parameters() if p.requires_grad]
        rate = settings.learning_rate
        bias_rate = rate * BIAS_RATE if settings.optimizer == "sgd" else rate
        return [
            {
                "params": [p for p in trained if p.ndim > 1],
                "lr": rate,
                "weight_decay": settings.weight_decay,
            },
            {"params": [p for p in trained if p.ndim == 1], "lr": bias_rate, "weight_decay": 0.0},
        ]
