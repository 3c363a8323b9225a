"""Probabilities for another mix of classes: by Bayes, and refused in one line where shares cannot be."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pipeline.errors import InputError
from pipeline.inference import prior
from pipeline.record import RunRecord
from tests.made_records import Made, MadeData, write_run

COUNTS = [300, 100]


@pytest.fixture
def record(tmp_path: Path) -> RunRecord:
    made = write_run(tmp_path, Made(), 0, MadeData(classes=("cat", "dog"), train=400, val=40, test=40))
    assert made.details.dataset is not None
    counts = {**made.details.dataset.class_counts, "train": COUNTS}
    dataset = made.details.dataset.model_copy(update={"class_counts": counts})
    return replace(made, details=made.details.model_copy(update={"dataset": dataset}))


def test_probabilities_are_those_of_bayes_for_the_new_mix(record: RunRecord) -> None:
    likelihood = np.array([[0.2, 0.5], [0.9, 0.1]])  # of what is seen, given the class
    trained = likelihood * np.array([0.75, 0.25])
    expected = likelihood * np.array([0.1, 0.9])
    by = prior.ratios(record, "dog=9,cat=1")
    found = prior.corrected(trained / trained.sum(axis=1, keepdims=True), by)
    assert found == pytest.approx(expected / expected.sum(axis=1, keepdims=True), abs=1e-6)


def test_training_that_balanced_the_classes_has_nothing_to_correct(record: RunRecord) -> None:
    assert prior.ratios(record, "balanced") == pytest.approx([0.5 / 0.75, 0.5 / 0.25])
    settings = record.settings.model_copy(update={"sampler": "balanced"})
    balanced = replace(record, details=record.details.model_copy(update={"settings": settings}))
    assert prior.ratios(balanced, "balanced") == pytest.approx([1, 1])


def test_image_of_which_nothing_would_be_left_keeps_its_answer() -> None:
    assert prior.corrected(np.array([[1.0, 0.0]]), np.array([0.0, 2.0])).tolist() == [[1.0, 0.0]]


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ("equal", "'equal' names no class; give balanced, or a share for each class, as cat=1,dog=1"),
        ("cat=1", "it gives no share for 'dog'"),
        ("cat=1,dog=-2", "shares must be numbers of at least 0"),
        ("cat=1,dog=much", "shares must be numbers of at least 0"),
        ("cat=0,dog=0", "not all 0"),
    ],
)
def test_shares_that_cannot_be_are_refused(record: RunRecord, asked: str, said: str) -> None:
    with pytest.raises(InputError, match=said):
        prior.ratios(record, asked)
