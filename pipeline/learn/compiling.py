"""torch.compile: used where it has been seen to pay, and never a reason to fail.

Measured, compiled against eager, custom_cnn in training: 1.6 times the images/s at 38 million MACs
in bf16 on a CPU with AVX512-BF16; 0.9 times at 65 and at 17 million in fp32 on one with AVX2.
Compiling took 16 to 19 seconds of a core. The rule below is a function of the settings and the
machine, not of a clock, so that the same run computes the same numbers each time.
"""

import shutil
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from pipeline.learn.hardware import Hardware
from pipeline.settings import RunSettings

WIDEST = 128  # channels up to which fused kernels were seen to win
LEAST_IMAGES = 400_000  # images seen in training from which the win outweighs compiling

Forward = Callable[[Tensor], Any]


def pays(settings: RunSettings, hardware: Hardware, images_seen: int) -> bool:
    """Whether compiling is expected to shorten a run that looks at so many images in all."""
    small = settings.model == "custom_cnn" and max(settings.widths) <= WIDEST
    on_cpu = hardware.device.type == "cpu" and hardware.precision == "bf16"
    return small and on_cpu and images_seen >= LEAST_IMAGES


def forward(module: nn.Module, settings: RunSettings, hardware: Hardware, images_seen: int) -> Forward:
    """Return what to call in training in place of ``module``: it, or its compiled form.

    What is decided is printed, unless there was nothing to decide.
    """
    wanted = settings.compile == "on" or (
        settings.compile == "auto" and pays(settings, hardware, images_seen)
    )
    if not wanted:
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
