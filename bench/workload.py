"""What every contender trains: the shipped custom_cnn on JPEG CIFAR-10, batches of 128."""

from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode

from pipeline.experiment import RunSettings
from pipeline.learn.device import choose
from pipeline.learn.models.custom_cnn import CustomCNN

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


def network(of: RunSettings | None = None) -> CustomCNN:
    """Return a new custom_cnn for ten classes of 32×32 images, by default as it is shipped."""
    of = of or settings()
    return CustomCNN(10, of.widths, of.depth, of.dropout, image_size=32)


def device() -> torch.device:
    """Return the device that Headstart chooses on this machine."""
    return choose(RunSettings()).device


def operations(training: bool) -> int:
    """Return the operations (a multiply-add is two) that one image costs in ``network``.

    Counted by PyTorch: matrix products and convolutions; in training, forward and those gradients
    that are really computed.
    """
    net, batch = network().train(training), torch.randn(8, 3, 32, 32)
    with FlopCounterMode(display=False) as counter, torch.set_grad_enabled(training):
        answers = net(batch)
        if training:
            answers.sum().backward()
    return int(counter.get_total_flops()) // len(batch)
