"""Over- and underfitting by rule, from histories made to show one thing each."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from pipeline.record import RunRecord
from pipeline.report.evidence.learning import learning
from tests.made_records import Made, MadeData, made_history, write_run

DATA = MadeData(train=200, val=200, test=50, near_duplicates=0)


@pytest.fixture
def record(tmp_path: Path) -> RunRecord:
    return write_run(tmp_path, Made(), 0, DATA)


def with_history(record: RunRecord, history: pd.DataFrame, best_epoch: int | None = None) -> RunRecord:
    """Return the same run with another history."""
    details = record.details.model_copy(update={"best_epoch": best_epoch})
    changed = RunRecord(record.folder, details)
    changed.__dict__["history"] = history
    return changed


@pytest.mark.parametrize(
    ("kind", "accuracy", "fit"),
    [
        ("overfit", 0.7, "overfitting"),
        ("underfit", 0.7, "underfitting"),
        ("unfinished", 0.7, "unfinished"),
        ("healthy", 0.95, "balanced"),
    ],
)
def test_each_way_of_learning_is_named(record: RunRecord, kind: str, accuracy: float, fit: str) -> None:
    found = learning(with_history(record, made_history(kind, accuracy, 0)))
    assert found is not None
    assert found.fit == fit


def test_a_gap_that_few_val_images_can_show_by_chance_is_not_overfitting(tmp_path: Path) -> None:
    few = write_run(tmp_path, Made(), 0, MadeData(train=200, val=20, test=50, near_duplicates=0))
    history = made_history("healthy", 0.80, 0)
    history["train_accuracy"] = history["val_accuracy"] + 0.10
    found = learning(with_history(few, history))
    assert found is not None
    assert found.fit != "overfitting"


def test_val_loss_that_rises_while_train_loss_falls_is_overfitting(record: RunRecord) -> None:
    history = made_history("healthy", 0.95, 0)
    history.loc[6:, "val_loss"] = [0.9 + 0.1 * step for step in range(len(history) - 6)]
    history["train_loss"] = [1.0 - 0.05 * step for step in range(len(history))]
    found = learning(with_history(record, history))
    assert found is not None
    assert found.fit == "overfitting"
    assert found.rise > 0.05


@pytest.mark.parametrize("last", [[0.5], [0.5, 0.3, 0.5]])
def test_val_loss_that_is_higher_for_a_moment_shows_nothing(record: RunRecord, last: list[float]) -> None:
    history = made_history("healthy", 0.95, 0)
    history["val_loss"] = [*np.linspace(1.0, 0.3, len(history) - len(last)), *last]
    history["train_loss"] = [1.0 - 0.05 * step for step in range(len(history))]
    found = learning(with_history(record, history))
    assert found is not None
    assert found.fit != "overfitting"


def test_one_falling_step_is_not_still_learning(record: RunRecord) -> None:
    for epochs, fit in ((2, "underfitting"), (3, "unfinished")):
        found = learning(with_history(record, made_history("underfit", 0.5, 0).iloc[:epochs]))
        assert found is not None
        assert found.fit == fit


def test_a_loss_no_lower_than_that_of_chance_is_not_still_learning(record: RunRecord) -> None:
    history = made_history("unfinished", 0.5, 0)
    history["val_loss"] += 2.0
    found = learning(with_history(record, history))
    assert found is not None
    assert found.fit != "unfinished"


def test_train_far_below_val_is_not_underfitting(record: RunRecord) -> None:
    history = made_history("underfit", 0.7, 0)
    history["train_accuracy"] -= 0.2  # as strong augmentation does
    found = learning(with_history(record, history))
    assert found is not None
    assert found.fit == "balanced"


def test_few_val_images_tell_neither_over_nor_underfitting(tmp_path: Path) -> None:
    few = write_run(tmp_path, Made(), 0, MadeData(train=200, val=20, test=50, near_duplicates=0))
    for accuracy in (0.7, 0.95):
        history = made_history("healthy", accuracy, 0)
        history["val_loss"] = [*history["val_loss"][:-1], 3.0]  # not still falling
        history["val_accuracy"] = min(accuracy, 0.85)
        found = learning(with_history(few, history))
        assert found is not None
        assert found.fit == "unknown"


def test_figures_are_of_the_recorded_best_epoch(record: RunRecord) -> None:
    history = made_history("healthy", 0.95, 0)
    found = learning(with_history(record, history, best_epoch=4))
    assert found is not None
    assert (found.best_epoch, found.last_epoch) == (4, 12)
    assert found.val_accuracy == history.loc[3, "val_accuracy"]


def test_early_stopping_is_read_from_the_stop_reason(tmp_path: Path) -> None:
    stopped = write_run(tmp_path, Made(learning="stopped"), 0, DATA)
    found = learning(stopped)
    assert found is not None
    assert found.stopped_early


def test_a_run_without_epochs_says_nothing(record: RunRecord) -> None:
    assert learning(with_history(record, made_history("healthy", 0.9, 0).iloc[:0])) is None
