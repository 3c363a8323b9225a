"""The smallest real training: digits, a network of a few filters, a folder of its own."""

from pathlib import Path
from typing import Any

import torch
from torch import nn

from pipeline.experiment import RunSettings
from pipeline.learn import data
from pipeline.learn.data.images import ImageData
from pipeline.learn.device import Hardware
from pipeline.learn.models.custom_cnn import CustomCNN
from pipeline.learn.models.transfer import TransferNetwork
from pipeline.learn.models.weights import Preprocessing
from pipeline.record import RunFolder

CPU = Hardware(torch.device("cpu"), "fp32", threads=1, channels_last=True)


def settings(**changes: Any) -> RunSettings:
    chosen = {"max_train_images": 120, "batch_size": 32, "epochs": 3, "widths": [8, 16], "depth": 1}
    return RunSettings(**{**chosen, "learning_rate": 0.01, **changes})


def transfer_settings(**changes: Any) -> RunSettings:
    return settings(**{"model": "resnet18", "mode": "linear_probe", **changes})


def images(chosen: RunSettings, machine: Hardware = CPU) -> ImageData:
    return data.load(chosen, Preprocessing(), machine)


def network(chosen: RunSettings) -> CustomCNN:
    torch.manual_seed(chosen.seed)
    return CustomCNN(10, chosen.widths, chosen.depth, chosen.dropout, image_size=8)


def transfer_network(chosen: RunSettings) -> TransferNetwork:
    """A "pretrained" network: random convolutions with BatchNorm, and a new head."""
    torch.manual_seed(5)
    layers = nn.Conv2d(3, 12, 3), nn.BatchNorm2d(12), nn.ReLU(), nn.AdaptiveAvgPool2d(2), nn.Flatten()
    return TransferNetwork(nn.Sequential(*layers), 48, 10, chosen)


def run(folder: Path, name: str = "run") -> RunFolder:
    (folder / name).mkdir(exist_ok=True)
    return RunFolder(folder / name)
