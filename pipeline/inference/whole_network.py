"""A network in one module, from stored pixels to calibrated probabilities: what is exported."""

import copy
import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from pipeline.inference.predictor import Predictor


class WholeNetwork(nn.Module):
    """Images uint8 [N, S, S, 3] to probabilities float32 [N, K]: scaling, normalisation, temperature.

    S is the side that the run's images were stored at; a network that sees larger ones has them enlarged.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, predictor: Predictor) -> None:
        super().__init__()
        self.network = copy.deepcopy(predictor.network).cpu().float().eval()
        about = predictor.prepared.preprocessing
        self.stored_side = predictor.prepared.stored_side
        self.size, self.interpolation = about.image_size or self.stored_side, about.interpolation
        self.register_buffer("mean", 255 * torch.tensor(about.mean)[:, None, None])
        self.register_buffer("std", 255 * torch.tensor(about.std)[:, None, None])
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
        """Return images [N, 3, S, S] at the size that the network sees; whole grey levels, as in training."""
        if self.size == self.stored_side:
            return x
        size = (self.size, self.size)
        return F.interpolate(x, size, mode=self.interpolation, align_corners=False).round().clamp(0, 255)
