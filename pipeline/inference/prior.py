"""Answers for another mix of classes than the network was trained on.

A network's probabilities hold for images of which each class has the share that it had in training. Where
shares are others, each probability is multiplied by new share / old share, and they are made to sum to 1
again (Saerens et al. 2002, Neural Computation 14).
"""

import numpy as np

from pipeline.errors import InputError
from pipeline.record import RunRecord

BALANCED = "balanced"


def ratios(record: RunRecord, asked: str) -> np.ndarray:
    """Return new share / old share of each class, float [classes].

    ``asked`` is ``balanced``, or shares as "cat=0.2,dog=0.8", which are divided by their sum. The old shares
    are those of the images learned from, or equal ones where training balanced the classes. Raises
    InputError, in one line, for shares that cannot be.
    """
    classes = record.classes
    new = np.ones(len(classes)) if asked == BALANCED else _given(asked, classes)
    return (new / new.sum()) / _learned(record)


def _learned(record: RunRecord) -> np.ndarray:
    dataset = record.details.dataset
    if record.settings.class_weights or record.settings.sampler:
        return np.full(len(record.classes), 1 / len(record.classes))
    counts = np.asarray(dataset.class_counts.get("train", []) if dataset else [], float)
    if len(counts) != len(record.classes) or not (counts > 0).all():
        raise InputError(
            f"{record.folder}: the run does not say how many images of each class it learned from; "
            "leave --prior out."
        )
    return counts / counts.sum()


def _given(asked: str, classes: list[str]) -> np.ndarray:
    """Return the shares that a text names, float [classes]."""
    found: dict[str, float] = {}
    for part in asked.split(","):
        name, equals, number = part.rpartition("=")
        if not equals or name.strip() not in classes:
            raise InputError(
                f"--prior is {asked!r}: {part!r} names no class; give balanced, or a share for each class, "
                f"as {','.join(f'{one}=1' for one in classes[:3])}."
            )
        try:
            found[name.strip()] = float(number)
        except ValueError:
            found[name.strip()] = -1.0
    if missing := [one for one in classes if one not in found]:
        raise InputError(f"--prior is {asked!r}: it gives no share for {missing[0]!r}.")
    shares = np.array([found[one] for one in classes])
    if not (np.isfinite(shares).all() and (shares >= 0).all() and shares.sum() > 0):
        raise InputError(f"--prior is {asked!r}: shares must be numbers of at least 0, and not all 0.")
    return shares


def corrected(probability: np.ndarray, by: np.ndarray) -> np.ndarray:
    """Return probabilities [n, classes] for the other shares, float32; as they are where all would be 0."""
    weighed = probability * by
    total = weighed.sum(axis=1, keepdims=True)
    return np.where(total > 0, weighed / np.where(total > 0, total, 1), probability).astype(np.float32)
