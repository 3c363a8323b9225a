"""The peer: the same net and batch in fastai 2.8, with its own loaders and batch transforms.

Written as fastai's tutorials are (docs.fast.ai/tutorial.vision.html): ``ImageDataLoaders.from_folder``,
``aug_transforms`` on whole batches, a ``Learner`` and ``fit_one_cycle``. Of the default augmentations
only flip and the moving zoom are left, which cost the least and come nearest to crop and flip.
"""

import warnings
from functools import cache
from pathlib import Path
from typing import Any

from bench import workload
from bench.measuring import SkippedError, Stopwatch


def images_per_second(folder: Path, first: int, last: int) -> float:
    """Return the training rate over the steps ``first`` ... ``last`` of an epoch.

    Timed: batches from fastai's loaders, batch transforms, forward, backward and optimizer.
    Raises SkippedError when fastai is not installed.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # fastai's own, about its dependencies
        return _images_per_second(folder, first, last)


def _images_per_second(folder: Path, first: int, last: int) -> float:
    try:
        from fastai.callback.core import Callback, CancelFitException
        from fastai.metrics import accuracy
        from fastai.vision.all import Learner
    except ImportError as error:
        raise SkippedError(f"fastai cannot be imported ({error}): pip install 'headstart[bench]'.") from None

    watch = Stopwatch(first, last)

    class Watch(Callback):
        def after_batch(self) -> None:
            if self.training and watch.step():
                raise CancelFitException

    loaders = _loaders(folder)
    learner = Learner(loaders, workload.network(), metrics=accuracy, cbs=Watch())
    if loaders.device.type == "cuda":
        learner = learner.to_fp16()  # as fastai's tutorials do on a GPU
    with learner.no_bar(), learner.no_logging():
        learner.fit_one_cycle(1, 3e-3)
    return watch.rate(workload.BATCH_SIZE)


@cache
def _loaders(folder: Path) -> Any:
    """Return fastai's loaders; finding the files takes it long, and is not timed."""
    from fastai.vision.all import ImageDataLoaders, Normalize, aug_transforms

    augmentation = aug_transforms(max_rotate=0, max_lighting=0, max_warp=0)
    return ImageDataLoaders.from_folder(
        folder,
        train="train",
        valid="test",
        bs=workload.BATCH_SIZE,
        batch_tfms=[*augmentation, Normalize.from_stats(workload.MEAN, workload.STD)],
    )


def version() -> str | None:
    """Return the version of fastai, or None when it is not installed."""
    from importlib import metadata

    try:
        return metadata.version("fastai")
    except metadata.PackageNotFoundError:
        return None
