"""The parts of a run's time add up to all of it."""

from typing import Any

import pytest

from bench.where_time_goes import KERNEL, LEFT, TRAINING, parts
from pipeline.record import Timings


def cell(source: str, seconds: float | None) -> dict[str, Any]:
    return {"source": source, "metadata": {"papermill": {"duration": seconds}}}


def test_parts_add_up_to_papermills_seconds() -> None:
    cells = [
        {"source": "# One training run", "metadata": {}},
        cell("images = data.load(settings)", 1.0),
        cell("fitted = train.fit(network)\ngallery.show_curves(fitted.history)", 9.0),
        cell("evaluate.save(run)\nbaselines.keep(run)", 2.0),
        cell("never.executed()", None),
    ]
    timings = Timings.model_construct(train_seconds=6.0, feature_seconds=0.5, papermill_seconds=14.0)
    found = parts(cells, timings)
    assert found[TRAINING] == 6.5
    assert found[LEFT] == 2.5
    assert found[KERNEL] == 2.0
    assert sum(found.values()) == pytest.approx(14.0)
