"""The command ``predict``: images in, a table out, and scores where the images have labels."""

import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from scipy.stats import binomtest

from pipeline.errors import InputError
from pipeline.files import replacing
from pipeline.inference.answers import Answers
from pipeline.inference.inputs import Inputs, gather
from pipeline.inference.predictor import Predictor

SECONDS_BETWEEN_LINES = 5.0
FORMATS = (".csv", ".parquet")
MOST_CLASSES = 20
MOST_NAMED = 20


def check_output(path: Path) -> None:
    """Raise InputError for a table that cannot be written: before any work."""
    if path.suffix.lower() not in FORMATS:
        raise InputError(f"{path}: the table must end in .csv or .parquet.")
    if not path.absolute().parent.is_dir():
        raise InputError(f"{path}: no such folder to write to.")


def predict(predictor: Predictor, given: Sequence[str], output: Path, every: bool = False) -> list[str]:
    """Write what the network says of images to a table; return lines on what was done, and scores.

    Raises InputError before any work for images or a table that cannot be used, and when no image is one.
    """
    check_output(output)
    inputs = gather(given, predictor.classes)
    answers = _answered(predictor, inputs)
    if not len(answers):
        first = next(iter(answers.unreadable.items()))
        raise InputError(f"{inputs.files[first[0]]}: {first[1]}. None of the images can be read.")
    write(output, answers, inputs, every)
    return [
        *_said(predictor, answers, output),
        *_unreadable(answers, inputs),
        *inputs.notes,
        *scores(answers, inputs.labels),
    ]


def _answered(predictor: Predictor, inputs: Inputs) -> Answers:
    """Answer all images, telling on stderr how far it has come and how fast."""
    started = told = time.perf_counter()
    parts, done = [], 0
    for part in predictor.batches(inputs.files):
        parts.append(part)
        done += len(part) + len(part.unreadable)
        now = time.perf_counter()
        if now - told > SECONDS_BETWEEN_LINES or done == len(inputs.files):
            told = now
            rate = done / (now - started)
            print(f"{done:,} of {len(inputs.files):,} images, {rate:,.0f} a second", file=sys.stderr)
    return Answers.joined(parts)


def write(output: Path, answers: Answers, inputs: Inputs, every: bool) -> None:
    """Write the table of answers, whole or not at all. Raises InputError on a full disk."""
    table = answers.table(inputs.files, every)
    with _explained(output), replacing(output, "wb") as file:
        if output.suffix.lower() == ".csv":
            table.to_csv(file, index=False)
        else:
            table.to_parquet(file, index=False)


@contextmanager
def _explained(output: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise InputError(
            f"{output}: cannot be written: {error.strerror or error}. Make room there."
        ) from None


def _said(predictor: Predictor, answers: Answers, output: Path) -> list[str]:
    count = Counter(answers.prediction).most_common(5)
    unsure, below = int(answers.unsure.sum()), predictor.unsure_below
    lines = [f"{output}: {len(answers):,} images; " + ", ".join(f"{n:,} {name}" for name, n in count)]
    lines.append(f"Unsure (probability below {below.confidence}: {below.reason}): {unsure:,}.")
    if answers.unlike_training is None:
        lines.append(f"Not compared with the training images: {predictor.why_no_likeness}")
    else:
        lines.append(f"Unlike the training images: {int(answers.unlike_training.sum()):,}.")
    return lines


def _unreadable(answers: Answers, inputs: Inputs) -> list[str]:
    """Name the files that are no images, and why."""
    named = [f"Cannot be read: {inputs.files[i]}: {why}" for i, why in sorted(answers.unreadable.items())]
    more = len(named) - MOST_NAMED
    return [*named[:MOST_NAMED], *([f"and {more:,} more that cannot be read."] if more > 0 else [])]


def scores(answers: Answers, labels: Sequence[str] | None) -> list[str]:
    """Return accuracy, and the share found of each class, with Wilson intervals; nothing without labels."""
    if labels is None:
        return []
    target = np.array([answers.classes.index(labels[i]) for i in answers.position])
    right = answers.predicted == target
    lines = [f"Accuracy: {_share(right)}"]
    present = [k for k in range(len(answers.classes)) if (target == k).any()]
    for k in present[:MOST_CLASSES]:
        lines.append(f"  {answers.classes[k]}: found {_share(right[target == k])}")
    if len(present) > MOST_CLASSES:
        lines.append(f"  and {len(present) - MOST_CLASSES:,} more classes")
    return lines


def _share(right: np.ndarray) -> str:
    low, high = binomtest(int(right.sum()), len(right)).proportion_ci(method="wilson")
    return (
        f"{100 * right.mean():.1f} % of {len(right):,} images "
        f"(95 % interval {100 * low:.1f} to {100 * high:.1f} %)"
    )
