"""torch.compile: only when asked for, and never a reason to fail.

Measured with PyTorch 2.15 on two cores with AVX512-BF16, custom_cnn in training in bf16: 2,650
images/s plain and 1,980 compiled at widths 32, 64, 128; 870 and 760 at 64, 128, 256. Compiling
itself took 10 to 27 seconds. With AMX, 2,000 plain and 1,670 compiled at 64, 128, 256. On a GPU nothing
has been measured yet.
"""

import shutil
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from pipeline.experiment import RunSettings
from pipeline.learn.device import Hardware

Forward = Callable[[Tensor], Any]


def forward(module: nn.Module, settings: RunSettings, hardware: Hardware) -> Forward:
    """Return what to call in training in place of ``module``: it, or its compiled form."""
    if not settings.compile:
        return module
    if hardware.device.type == "cpu" and not any(map(shutil.which, ("g++", "clang++", "c++"))):
        print("torch.compile is not used: it needs a C++ compiler, and there is none.")
        return module
    return _Compiled(module, settings.batch_size)


class _Compiled:
    """Full batches go through the compiled network, a smaller last one through the plain one.

    Each new batch size would be compiled again.
    """

    def __init__(self, module: nn.Module, batch_size: int):
        self.module, self.batch_size = module, batch_size
        self.compiled: Forward | None = torch.compile(module, dynamic=False)
        self.worked = False

    def __call__(self, images: Tensor) -> Any:
        if self.compiled is None or len(images) != self.batch_size:
            return self.module(images)
        try:
            answer = self.compiled(images)
        except Exception as error:
            if self.worked:
                raise
            print(f"torch.compile is not used: it failed ({type(error).__name__}).")
            self.compiled = None
            return self.module(images)
        self._say_once()
        return answer

    def _say_once(self) -> None:
        if not self.worked:
            print("torch.compile is used for training steps.", flush=True)
            self.worked = True
