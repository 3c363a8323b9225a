"""Features of a frozen backbone: computed once, kept on disk, shared by seeds and head settings.

``cache/features/<key>-<split>-<view>.safetensors`` holds float [n, F] and a checksum. The key covers
the backbone's weights, the images and how they are prepared: all that the features depend on.
"""

import hashlib
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from pipeline.errors import one_line
from pipeline.experiment import RunSettings
from pipeline.files import cache_folder, digest, lock, replacing
from pipeline.learn import energy
from pipeline.learn.data import balance
from pipeline.learn.data.augment import generator
from pipeline.learn.device import Hardware

if TYPE_CHECKING:
    from pipeline.learn.data.images import ImageData, SplitName

VERSION = 1  # raise when features are computed in another way, so that older ones are not used
MIRROR = -1  # the view that is an image's mirror
VIEW_SEED = 0  # augmented views are the same for every seed: that is what makes them shareable
# What says which images there are, in what split.
DATA_SETTINGS = (
    "dataset",
    "name",
    "labels",
    "file_column",
    "label_column",
    "group",
    "image_size",
    "resize",
    "val_fraction",
    "test_fraction",
    "split_seed",
    "max_train_images",
    "max_unreadable",
)

Tell = Callable[..., None]


@dataclass
class FeatureData:
    """Features in place of images, with ``ImageData``'s interface, so that a head trains on them.

    The first view of a training image is the image as it is; ``feature_views`` adds augmented ones,
    and each epoch draws one for each image. Those of a subset are taken from those of all images.
    """

    network: Any
    images: "ImageData"
    settings: RunSettings
    hardware: Hardware
    tell: Tell = lambda **event: None
    _loaded: dict[tuple[str, int], "Features"] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._key = _key(self.network.backbone, self.images, self.settings, self.hardware)

    @property
    def train(self) -> Any:
        return self.images.train

    @property
    def val(self) -> Any:
        return self.images.val

    @property
    def classes(self) -> list[str]:
        return self.images.classes

    @property
    def info(self) -> Any:
        return self.images.info

    def steps_per_epoch(self, batch_size: int) -> int:
        """Return how many batches ``train_batches`` yields."""
        return self.images.pace(lambda count: -(-count // batch_size))

    def train_batches(self, seed: int, epoch: int, settings: RunSettings) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield the features [B, F] and target [B] of each training image once, shuffled.

        A subset that is paced comes again and again, as in ``ImageData.train_batches``.
        """
        steps, own = self.steps_per_epoch(settings.batch_size), -(-len(self.train) // settings.batch_size)
        each = -(-steps // own)
        passes = (self._pass(seed, epoch * each + number, settings) for number in range(each))
        return islice((batch for batches in passes for batch in batches), steps)

    def _pass(self, seed: int, epoch: int, settings: RunSettings) -> Iterator[tuple[Tensor, Tensor]]:
        random = generator(seed, epoch, "features")
        count, device = len(self.train), self.hardware.device
        order = balance.order(self.train.targets, random, settings.sampler == "balanced").to(device)
        views = [self.features("train", view) for view in range(settings.feature_views)]
        chosen = torch.randint(len(views), (count,), generator=random).to(device)
        for positions in order.split(settings.batch_size):
            x = views[0][positions]
            for number, view in enumerate(views[1:], start=1):
                x = torch.where((chosen[positions] == number)[:, None], view[positions], x)
            yield x, self.train.targets[positions]

    def batches(self, split_name: "SplitName", batch_size: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield features [B, views, F] and targets [B] of a split, in order.

        A view is the image as it is, and with ``flip_at_test`` its mirror too.
        """
        targets = getattr(self.images, split_name).targets
        features = torch.stack([self.features(split_name, view) for view in self._asked_views], dim=1)
        yield from zip(features.split(batch_size), targets.split(batch_size), strict=True)

    def compute(self) -> float:
        """Have the features of train and val at hand, and return the seconds that they cost.

        The cost is counted in full for a run that finds them computed already, so that seeds agree.
        """
        return sum(features.seconds for features in self._needed())

    @property
    def joules(self) -> float | None:
        """The energy that they cost, as ``compute`` counts it; None where it was not counted."""
        return energy.total(features.joules for features in self._needed())

    def _needed(self) -> "list[Features]":
        wanted: list[tuple[SplitName, int]] = [("train", v) for v in range(self.settings.feature_views)]
        wanted += [("val", view) for view in self._asked_views]
        return [self._load(split_name, view) for split_name, view in wanted]

    @property
    def _asked_views(self) -> tuple[int, ...]:
        return (0, MIRROR) if self.settings.flip_at_test else (0,)

    def features(self, split_name: "SplitName", view: int = 0) -> Tensor:
        """Return the features [n, F] of a split, computed if no run has done so before."""
        return self._load(split_name, view).values

    def _load(self, split_name: "SplitName", view: int) -> "Features":
        if (split_name, view) not in self._loaded:
            found = self._find(split_name, view)
            if split_name == "train" and self.images.subset:
                found = found.subset(self.images.subset.positions)
            self._loaded[split_name, view] = found.to(self.hardware.device)
        return self._loaded[split_name, view]

    def _find(self, split_name: "SplitName", view: int) -> "Features":
        path = cache_folder("features") / f"{self._key}-{split_name}-{_name(view)}.safetensors"
        path.parent.mkdir(parents=True, exist_ok=True)
        with lock(f"{path}.lock"):  # two seeds at once: the second finds them computed
            found = read(path)
            if found is None:
                found = self._compute(split_name, view)
                write(path, found)
        return found

    @torch.no_grad()
    def _compute(self, split_name: "SplitName", view: int) -> "Features":
        started, count = time.perf_counter(), len(getattr(self.images.whole, split_name))
        self.network.eval()
        features: list[Tensor] = []
        done = 0
        with energy.Meter(self.hardware.device) as meter:
            for x, _ in self._image_batches(split_name, view):
                self.hardware.step()
                with self.hardware.autocast():
                    features.append(self.network.features(x).cpu())
                done += len(x)
                self.tell(stage=f"computes features of {split_name} images, {done / count:.0%}")
        seconds = time.perf_counter() - started
        print(f"Features of {count:,} {split_name} images computed in {seconds:.1f} s.", flush=True)
        return Features(torch.cat(features), seconds, meter.joules)

    def _image_batches(self, split_name: "SplitName", view: int) -> Iterator[tuple[Tensor, Tensor]]:
        images, size = self.images.whole, evaluation_batch(self.images, self.hardware)
        if view == MIRROR:
            return ((x.flip(3), targets) for x, targets in images.batches(split_name, size))
        if view == 0:
            return images.batches(split_name, size)
        fixed = self.settings.model_copy(update={"batch_size": size})
        return images.train_batches(VIEW_SEED, view, fixed, shuffle=False)


# Pixels and images in one batch without gradients: enough to keep the device busy, few enough for its
# memory. On a CPU with AMX, custom_cnn at 32 pixels answers 8,300 images/s in batches of 128 and 7,500
# in batches of 512, which take 190 MB more.
BATCH_PIXELS = {"cpu": 2**19, "mps": 2**22, "cuda": 2**25}
LARGEST_BATCH = {"cpu": 128, "mps": 4096, "cuda": 4096}


def evaluation_batch(images: "ImageData", hardware: Hardware) -> int:
    """Return how many images to look at at once when there are no gradients to keep."""
    side = images.preprocessing.image_size or 32
    device = hardware.device.type
    return max(1, min(LARGEST_BATCH[device], BATCH_PIXELS[device] // side**2))


def _key(backbone: nn.Module, images: "ImageData", settings: RunSettings, hardware: Hardware) -> str:
    """Return a name for everything that the features depend on."""
    counts = {name: getattr(settings, name) for name in DATA_SETTINGS}
    if settings.feature_views > 1:
        counts |= {"augmentation": settings.augmentation, "crop_share": settings.crop_share}
        if "rotation" in settings.augmentation:
            counts |= {"rotation_degrees": settings.rotation_degrees}
    weights = hashlib.sha256()
    for name, tensor in backbone.state_dict().items():
        weights.update(name.encode())
        weights.update(_bytes(tensor))
    where = [VERSION, torch.__version__, hardware.device.type, hardware.precision]
    prepared = asdict(images.preprocessing)
    return digest([counts, images.info.fingerprint, prepared, settings.model, weights.hexdigest(), where])[
        :24
    ]


def _name(view: int) -> str:
    return "mirror" if view == MIRROR else str(view)


@dataclass(frozen=True)
class Features:
    """Features float [n, F] of images in order, and the seconds and joules (None: unknown) that they cost."""

    values: Tensor
    seconds: float
    joules: float | None = None

    def to(self, device: torch.device) -> "Features":
        return Features(self.values.to(device), self.seconds, self.joules)

    def subset(self, positions: np.ndarray) -> "Features":
        """Return the features of some of the images int64 [m], with their share of the costs."""
        share = len(positions) / len(self.values)
        joules = None if self.joules is None else self.joules * share
        return Features(self.values[torch.from_numpy(positions)], self.seconds * share, joules)


def write(path: Path, features: Features) -> None:
    """Write features with their checksum; a reader finds the whole file or none."""
    checksum = hashlib.sha256(_bytes(features.values)).hexdigest()
    metadata = {"sha256": checksum, "seconds": repr(features.seconds)}
    if features.joules is not None:
        metadata["joules"] = repr(features.joules)
    with replacing(path, "wb") as file:
        file.write(save({"features": features.values.contiguous()}, metadata))


def read(path: Path) -> Features | None:
    """Return the features in a file; None when there is none, or when it is damaged, which is said."""
    if not path.exists():
        return None
    try:
        with safe_open(path, framework="pt") as file:
            values: Tensor = file.get_tensor("features")
            metadata = file.metadata() or {}
        if hashlib.sha256(_bytes(values)).hexdigest() == metadata["sha256"]:
            joules = float(metadata["joules"]) if "joules" in metadata else None
            return Features(values, float(metadata["seconds"]), joules)
        problem = "its checksum is wrong"
    except (OSError, SafetensorError, KeyError, ValueError) as error:
        problem = one_line(error, 80)
    print(f"{path}: the kept features are damaged ({problem}); they are computed again.")
    return None


def _bytes(tensor: Tensor) -> memoryview:
    return tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().data
