"""A network in one module, from stored pixels to calibrated probabilities: what is exported."""

import copy
import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.fusion import fuse_conv_bn_eval

from pipeline.inference.predictor import Predictor


class WholeNetwork(nn.Module):
    """Images uint8 [N, S, S, 3] to probabilities float32 [N, K]: scaling, normalisation, temperature.

    S is the side that the run's images were stored at; a network that sees larger ones has them enlarged.
    """

    mean: Tensor
    std: Tensor
    enlarging: Tensor

    def __init__(self, predictor: Predictor) -> None:
        super().__init__()
        self.network = folded(copy.deepcopy(predictor.network).cpu().float().eval())
        about = predictor.prepared.preprocessing
        self.stored_side = predictor.prepared.stored_side
        self.size = about.image_size or self.stored_side
        self.register_buffer("mean", 255 * torch.tensor(about.mean)[:, None, None])
        self.register_buffer("std", 255 * torch.tensor(about.std)[:, None, None])
        enlarging, self.unit = _enlarging(self.stored_side, self.size, about.interpolation)
        self.register_buffer("enlarging", enlarging)
        self.temperature = predictor.temperature
        self.mirrored = predictor.settings.flip_at_test

    def forward(self, images: Tensor) -> Tensor:
        x = (self._enlarged(images.permute(0, 3, 1, 2).float()) - self.mean) / self.std
        answers = self.network(x).log_softmax(dim=1)
        if self.mirrored:
            both = torch.stack([answers, self.network(x.flip(3)).log_softmax(dim=1)])
            answers = both.logsumexp(dim=0) - math.log(2)
        return (answers / self.temperature).softmax(dim=1)

    def _enlarged(self, x: Tensor) -> Tensor:
        """Return images [N, 3, S, S] at the size that the network sees: each row first, then each column."""
        if self.size == self.stored_side:
            return x
        wide = self._whole_levels(x @ self.enlarging.T)
        return self._whole_levels(self.enlarging @ wide)

    def _whole_levels(self, sums: Tensor) -> Tensor:
        return ((sums + self.unit / 2) / self.unit).floor().clamp(0, 255)


def folded(network: nn.Module) -> nn.Module:
    """Put each BatchNorm of a network that answers into the convolution before it; return the network.

    Also past a max pooling between the two, which a positive factor for each channel commutes with:
    exporters leave those, and 8 bits cannot hold channels whose sizes only the BatchNorm makes alike.
    """
    for part in network.modules():
        if isinstance(part, nn.Sequential):
            for place, norm in enumerate(part):
                if not isinstance(norm, nn.BatchNorm2d) or not place:
                    continue
                positive = norm.weight is None or bool((norm.weight > 0).all())
                past = positive and place > 1 and isinstance(part[place - 1], nn.MaxPool2d)
                at = place - 2 if past else place - 1
                if isinstance(convolution := part[at], nn.Conv2d):
                    part[at], part[place] = fuse_conv_bn_eval(convolution, norm), nn.Identity()
    return network


def _enlarging(stored: int, size: int, interpolation: str) -> tuple[Tensor, float]:
    """Return the matrix float [size, stored] that resizes a column of pixels, and what stands for 1 in it.

    It holds whole numbers, as PyTorch's kernels for bytes compute with (15 bits and a sign), so that the
    result is theirs in every runtime; for resizing as such, runtimes have filters of their own.
    """
    column = torch.eye(stored, dtype=torch.float64)[None, None]
    weights = F.interpolate(column, (size, stored), mode=interpolation, antialias=True)[0, 0]
    bits = 0
    while bits < 22 and int(0.5 + float(weights.max()) * 2 ** (bits + 1)) < 2**15:
        bits += 1
    whole = (weights * 2**bits).abs().add(0.5).floor() * weights.sign()
    return whole.float(), float(2**bits)
