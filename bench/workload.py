"""What every contender trains: the shipped custom_cnn on JPEG CIFAR-10, batches of 128."""

from typing import Any

import torch

from pipeline.learn import hardware
from pipeline.learn.custom_cnn import CustomCNN
from pipeline.settings import RunSettings

BATCH_SIZE = 128
MEAN, STD = (0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616)  # as the tutorials have them


def settings(**changes: Any) -> RunSettings:
    """Return the settings of the shipped net on these images; ``changes`` override them."""
    chosen: dict[str, Any] = {
        "dataset": "image_folder",
        "data_dir": "data/cifar10-jpeg",
        "val_fraction": 0.01,
        "augmentation": ["crop", "flip"],
        "batch_size": BATCH_SIZE,
        "optimizer": "sgd",
        "learning_rate": 0.1,
    }
    return RunSettings(**{**chosen, **changes})


def network() -> CustomCNN:
    """Return a new custom_cnn for ten classes of 32×32 images, as ``settings`` describes it."""
    defaults = RunSettings()
    return CustomCNN(10, defaults.widths, defaults.depth, defaults.dropout, image_size=32)


def device() -> torch.device:
    """Return the device that Headstart chooses on this machine."""
    return hardware.choose(RunSettings()).device


def multiply_adds() -> int:
    """Return the multiply-adds of one image forward through ``network``."""
    from pipeline.learn.summary import count_macs

    return count_macs(network(), 32)
