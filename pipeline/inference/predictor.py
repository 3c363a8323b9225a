"""Predictor: a run's network, asked about images as the run asked it about test."""

from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from pipeline.confidence import fit_temperature, unsure_below
from pipeline.errors import HeadstartError, InputError, RecordError, SettingsError
from pipeline.experiment import RunSettings
from pipeline.inference import dataset, prior, source
from pipeline.inference.answers import Answers
from pipeline.inference.likeness import Likeness
from pipeline.learn import checkpoint, device, train
from pipeline.learn.data.decode import open_image, strict_pillow
from pipeline.learn.data.images import ImageData
from pipeline.learn.data.unreadable import reason
from pipeline.learn.device import Hardware
from pipeline.learn.features import evaluation_batch
from pipeline.record import RunRecord

Picture = str | Path | Image.Image | np.ndarray
Decoded = np.ndarray | str  # uint8 [S, S, 3], or why it cannot be read
AHEAD = 2  # batches that are decoded while one is answered


@dataclass(frozen=True)
class Look:
    """What a network makes of images: logarithms of probabilities [n, K], and features [n, F]."""

    log_probabilities: Tensor
    features: Tensor


class Predictor:
    """A run's network with all that its answers depend on; ``predictor(images)`` gives ``Answers``.

    ``why_no_likeness`` says why images cannot be compared with the training images, or is empty.
    """

    def __init__(self, record: RunRecord, precision: Literal["fp32", "bf16", "fp16"] | None = None) -> None:
        self.record, self.classes = record, record.classes
        self.settings = _settings(record, precision)
        self.hardware: Hardware = device.tune(device.choose(self.settings))
        network, self.prepared = checkpoint.read_network(
            record.folder / "model.safetensors", record.settings, record.classes
        )
        self.network: Any = self.hardware.place(network)
        self.temperature = fit_temperature(record.split("val"))
        self.unsure_below = unsure_below(record.split("val"))
        self.likeness: Likeness | None = None
        self.why_no_likeness = "it was not asked for."
        self.prior: np.ndarray | None = None  # new share / old share of each class, as prior.ratios
        self._images = dataset.without_images(record, self.prepared, self.hardware)

    @classmethod
    def from_run(
        cls,
        folder: str | Path,
        precision: Literal["fp32", "bf16", "fp16"] | None = None,
        likeness: bool = True,
    ) -> "Predictor":
        """Return the predictor of a run, by its folder, or of the best model of a report.

        ``precision`` is the run's own by default. With ``likeness``, and where the run's data are at hand,
        images are compared with the training images. Raises InputError when there is no whole run.
        """
        return cls.of(source.find(folder), precision, likeness)

    @classmethod
    def of(
        cls,
        record: RunRecord,
        precision: Literal["fp32", "bf16", "fp16"] | None = None,
        likeness: bool = True,
    ) -> "Predictor":
        """Return the predictor of a whole run, as ``from_run`` does."""
        try:
            predictor = cls(record, precision)
        except RecordError as error:
            raise InputError(str(error)) from None
        if likeness:
            predictor.compare_with_training()
        return predictor

    @cached_property
    def batch_size(self) -> int:
        """How many images are looked at at once."""
        return evaluation_batch(self._images, self.hardware)

    @cached_property
    def data(self) -> ImageData:
        """The images that the run learned from. Raises DataError when they are gone, or are others now."""
        return dataset.load(self.record, self.prepared, self.hardware)

    def compare_with_training(self) -> None:
        """Learn what the network makes of training images, or why it cannot be asked."""
        try:
            self.likeness = Likeness.of(lambda some: self.look(some).features, self.data, self.batch_size)
            self.why_no_likeness = ""
        except HeadstartError as error:
            self.why_no_likeness = str(error)

    def __call__(self, images: Iterable[Picture]) -> Answers:
        """Return what the network says of images: files, Pillow images, or arrays uint8 [H, W, 3]."""
        parts = list(self.batches(images))
        if not parts:
            raise InputError("no image given.")
        return Answers.joined(parts)

    def batches(self, images: Iterable[Picture]) -> Iterator[Answers]:
        """Yield the answers to images batch by batch, decoding on all cores what comes next."""
        remaining = iter(enumerate(images))
        waiting: deque[list[tuple[int, Future[Decoded]]]] = deque()
        with ThreadPoolExecutor(self.hardware.threads) as pool, strict_pillow():
            while True:
                while len(waiting) <= AHEAD and (batch := list(islice(remaining, self.batch_size))):
                    waiting.append([(i, pool.submit(self._decode, image)) for i, image in batch])
                if not waiting:
                    return
                yield self._answers({i: future.result() for i, future in waiting.popleft()})

    def _decode(self, image: Picture) -> Decoded:
        try:
            with _opened(image) as opened:
                return dataset.square(opened, self.record, self.prepared)
        except Exception as error:  # noqa: BLE001 (Pillow's readers fail in every possible way)
            return reason(error)

    def _answers(self, decoded: dict[int, Decoded]) -> Answers:
        squares = {i: image for i, image in decoded.items() if not isinstance(image, str)}
        unreadable = {i: image for i, image in decoded.items() if isinstance(image, str)}
        if not squares:
            compared, below = self.likeness is not None, self.unsure_below.confidence
            return Answers.none(self.classes, compared, unreadable, below)
        pixels = torch.from_numpy(np.stack(list(squares.values())))
        return self.answer(pixels, np.array(list(squares)), unreadable)

    def answer(
        self, pixels: Tensor, position: np.ndarray | None = None, unreadable: dict[int, str] | None = None
    ) -> Answers:
        """Return what the network says of images that are squares already, uint8 [n, S, S, 3]."""
        pixels = pixels.to(self.hardware.device)
        looks = [self.look(part) for part in pixels.split(self.batch_size)]
        answers = torch.cat([look.log_probabilities for look in looks])
        features = torch.cat([look.features for look in looks])
        probability = (answers / self.temperature).softmax(dim=1).cpu().numpy()
        return Answers(
            classes=self.classes,
            position=np.arange(len(pixels)) if position is None else position,
            uncalibrated=answers.exp().cpu().numpy(),
            probability=probability if self.prior is None else prior.corrected(probability, self.prior),
            unlike_training=self.likeness.unlike(features, pixels) if self.likeness else None,
            nearest=self.likeness.nearest(features) if self.likeness else None,
            unreadable=unreadable or {},
            unsure_below=self.unsure_below.confidence,
        )

    @torch.inference_mode()
    def look(self, pixels: Tensor) -> Look:
        """Return what the network makes of uint8 images [n, S, S, 3], prepared as in its training."""
        seen: list[Tensor] = []

        def note(_: nn.Module, given: tuple[Tensor, ...]) -> None:
            seen.append(given[0])

        x = self._images.prepare(pixels.to(self.hardware.device))
        hook = self.network.head.register_forward_pre_hook(note)
        try:
            answers = train.log_probabilities(self.network, x, self.settings, self.hardware)
        finally:
            hook.remove()
        return Look(answers, seen[0].float())


def _settings(record: RunRecord, precision: str | None) -> RunSettings:
    """Return a run's settings for this machine: any device, in the run's own precision or another."""
    environment = record.details.environment
    own = environment.precision if environment else "auto"
    try:
        return RunSettings(
            **{**record.settings.model_dump(), "device": "auto", "precision": precision or own}
        )
    except ValueError:
        raise SettingsError(f"precision is {precision!r}; it must be fp32, bf16 or fp16.") from None


def _opened(image: Picture) -> Image.Image:
    if isinstance(image, Image.Image):
        return image.copy()
    return Image.fromarray(image) if isinstance(image, np.ndarray) else open_image(image)
