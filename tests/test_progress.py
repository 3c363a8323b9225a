"""What the terminal says while runs are made."""

import pytest

from pipeline import progress
from pipeline.progress import Progress, describe


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The plain lines that a Progress without a terminal prints."""
    lines: list[str] = []
    monkeypatch.setattr(progress.Console, "print", lambda self, text: lines.append(str(text)))
    return lines


def test_log_shows_how_epochs_end_rather_than_how_far_they_have_come(
    shown: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = iter([100.0, 106.0, 112.0, 113.0, 143.0])
    monkeypatch.setattr(progress.time, "monotonic", lambda: next(clock))
    running = Progress([], [])
    end = {"epochs": 3, "val_loss": 0.5, "val_accuracy": 0.812}

    running.show({"run_id": "a", "stage": "train", "epoch": 1, **end})
    running.show({"run_id": "a", "stage": "train", "epoch": 2, "epochs": 3, "images_per_second": 90.0})
    running.show({"run_id": "a", "stage": "train", "epoch": 2, **end})
    running.show({"run_id": "a", "stage": "train", "epoch": 3, "epochs": 3, "images_per_second": 90.0})
    running.show({"run_id": "a", "stage": "train", "epoch": 3, "epochs": 3, "images_per_second": 90.0})

    assert shown == [
        "a: epoch 1/3, val loss 0.500, val accuracy 81.2%",
        "a: epoch 2/3, val loss 0.500, val accuracy 81.2%",
        "a: epoch 3/3, 90 images/s",
    ]


@pytest.mark.parametrize(
    ("event", "expected"),
    [
        ({"stage": "waiting"}, "another process works on it; waiting for that"),
        ({"stage": "computes features of val images, 40%"}, "computes features of val images, 40% …"),
        (
            {"epoch": 2, "epochs": 9, "images_per_second": 1950.4, "eta_seconds": 12.2},
            "epoch 2/9, 1,950 images/s, 12 s left",
        ),
    ],
)
def test_events_are_told_in_words(event: dict[str, object], expected: str) -> None:
    assert describe(event) == expected
