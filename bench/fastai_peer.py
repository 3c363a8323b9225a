"""The peer: the same net and batch in fastai 2.8, with its own loaders and batch transforms.

Written as fastai's tutorials are (docs.fast.ai/tutorial.vision.html): ``ImageDataLoaders.from_folder``,
``aug_transforms`` on whole batches, a ``Learner`` and ``fit_one_cycle``. Of the default augmentations
only flip and the moving zoom are left, which cost the least and come nearest to crop and flip.
"""

import time
import warnings
from functools import cache
from pathlib import Path
from typing import Any

from bench import workload
from bench.measuring import SkippedError, Stopwatch, synchronize
from pipeline.experiment import RunSettings
from pipeline.learn.models import lite


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


def fine_tuned(folder: Path, entry: dict[str, Any], batch_size: int) -> dict[str, float]:
    """Fine-tune a pretrained network as fastai's tutorials do; return seconds and test accuracy.

    ``entry`` names its ``epochs``, ``head_epochs``, ``image_size`` and ``learning_rate``. Timed:
    ``fine_tune`` alone. Raises SkippedError when fastai is not installed.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # fastai's own, about its dependencies
        try:
            from fastai.vision.all import Learner, accuracy, get_image_files
        except ImportError as error:
            raise SkippedError(
                f"fastai cannot be imported ({error}): pip install 'headstart[bench]'."
            ) from None

        loaders = _transfer_loaders(folder / "train", entry["image_size"], batch_size)
        network = _pretrained(entry["model"], loaders.c)
        learner = Learner(loaders, network, metrics=accuracy, splitter=_backbone_and_head)
        with learner.no_bar(), learner.no_logging():
            started = time.perf_counter()
            learner.fine_tune(entry["epochs"], entry["learning_rate"], entry["head_epochs"])
            synchronize()
            seconds = time.perf_counter() - started
            tests = loaders.test_dl(get_image_files(folder / "test"), with_labels=True)
            return {"seconds": seconds, "accuracy": float(learner.validate(dl=tests)[1])}


def _transfer_loaders(folder: Path, size: int, batch_size: int) -> Any:
    from fastai.vision.all import ImageDataLoaders, Normalize, Resize, aug_transforms

    return ImageDataLoaders.from_folder(
        folder,
        valid_pct=0.1,
        seed=0,
        item_tfms=Resize(size),
        batch_tfms=[*aug_transforms(), Normalize.from_stats(lite.MEAN, lite.STD)],
        bs=batch_size,
    )


def _pretrained(model: str, classes: int) -> Any:
    network: Any = lite._network(model)
    network.load_state_dict(lite.state(RunSettings(model=model, mode="fine_tune")))
    network.reset_classifier(classes)
    return network


def _backbone_and_head(network: Any) -> list[list[Any]]:
    head = list(network.classifier.parameters())
    known = {id(parameter) for parameter in head}
    return [[p for p in network.parameters() if id(p) not in known], head]


def version() -> str | None:
    """Return the version of fastai, or None when it is not installed."""
    from importlib import metadata

    try:
        return metadata.version("fastai")
    except metadata.PackageNotFoundError:
        return None
