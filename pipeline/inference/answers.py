"""What a network says of images."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd


@dataclass(frozen=True)
class Answers:
    """What a network says of images that could be read.

    ``position`` int64 [n] is their place among those given; ``uncalibrated`` float32 [n, K] is as in
    predictions.parquet, ``probability`` float32 [n, K] with the temperature fitted on val;
    ``unlike_training`` bool [n], or None where the training images are not at hand; ``nearest`` int64
    [n, 5] are rows of training images; ``unreadable`` says by position why an image is not among them;
    ``unsure_below`` is the probability from which the report acts on answers.
    """

    classes: list[str]
    position: np.ndarray
    uncalibrated: np.ndarray
    probability: np.ndarray
    unlike_training: np.ndarray | None
    nearest: np.ndarray | None
    unreadable: dict[int, str]
    unsure_below: float

    def __len__(self) -> int:
        return len(self.position)

    @property
    def predicted(self) -> np.ndarray:
        """The most probable class of each image, int64 [n]."""
        return self.probability.argmax(axis=1)

    @property
    def prediction(self) -> list[str]:
        """The most probable class of each image, by name."""
        return [self.classes[k] for k in self.predicted]

    @property
    def unsure(self) -> np.ndarray:
        """Whether the probability is below the one from which the report acts on answers, bool [n]."""
        return self.probability.max(axis=1) < self.unsure_below

    def table(self, files: Sequence[str], every: bool = False) -> pd.DataFrame:
        """Return a row for each image; ``files`` names all that were given.

        With ``every``, also the second and third most probable class, and the probability of each class.
        """
        table = pd.DataFrame(
            {
                "file": [files[i] for i in self.position],
                "prediction": self.prediction,
                "probability": self.probability.max(axis=1),
                "unsure": self.unsure,
                "unlike_training": pd.array(
                    [None] * len(self) if self.unlike_training is None else self.unlike_training,
                    dtype="boolean",
                ),
            }
        )
        if not every:
            return table
        ranked = np.argsort(-self.probability, axis=1, kind="stable")
        for place, name in enumerate(("second", "third")[: len(self.classes) - 1], start=1):
            table[name] = [self.classes[k] for k in ranked[:, place]]
        columns = {f"probability_{c}": self.probability[:, k] for k, c in enumerate(self.classes)}
        return pd.concat([table, pd.DataFrame(columns, index=table.index)], axis=1)

    @classmethod
    def joined(cls, parts: "Sequence[Answers]") -> "Answers":
        """Return the answers of several batches as one."""

        def along(name: str) -> Any:
            values = [getattr(part, name) for part in parts]
            return None if values[0] is None else np.concatenate(values)

        return cls(
            classes=parts[0].classes,
            position=along("position"),
            uncalibrated=along("uncalibrated"),
            probability=along("probability"),
            unlike_training=along("unlike_training"),
            nearest=along("nearest"),
            unreadable={k: why for part in parts for k, why in part.unreadable.items()},
            unsure_below=parts[0].unsure_below,
        )

    @classmethod
    def none(
        cls, classes: list[str], compared: bool, unreadable: dict[int, str], unsure_below: float
    ) -> "Answers":
        """Return the answers to a batch of which nothing could be read."""
        no = np.zeros((0, len(classes)), np.float32)
        unlike, nearest = (np.zeros(0, bool), np.zeros((0, 5), np.int64)) if compared else (None, None)
        return cls(classes, np.zeros(0, np.int64), no, no, unlike, nearest, unreadable, unsure_below)
