from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from pipeline.report.chapters import (
    cost,
)
from tests.made_records import Made
from tests.report.chapters.tools import (
    grid,
    rules,
    said,
    study_with,
)
from tests.report.conftest import StudyOf


def test_energy_is_told_with_what_was_counted_where_it_was(tmp_path: Path, study_of: StudyOf) -> None:
    assert "cost.energy" not in rules(study_of("one_seed"))
    two = (Made(energy_joules=7200.0), Made("resnet18", "fine_tune", 0.9, energy_joules=36000.0))
    assert said(study_with(tmp_path / "two", *two), "cost.energy") == (
        "In energy, training took 2.0 Wh for the custom CNN and 10.0 Wh for fine-tuned ResNet-18, by the "
        "counters of processor."
    )
    names = ("vgg11", "vgg13", "vgg16", "vgg19", "resnet18")
    five = [Made(name, "scratch", 0.8, energy_joules=3600.0 * (n + 1)) for n, name in enumerate(names)]
    assert "training took from 1.0 Wh (VGG-11 from scratch) to 5.0 Wh (ResNet-18 from scratch), by" in said(
        study_with(tmp_path / "five", *five), "cost.energy"
    )


def test_energy_of_a_model_whose_seeds_were_not_all_counted_is_not_told(tmp_path: Path) -> None:
    study = study_with(tmp_path, Made(seeds=(0, 1), energy_joules=7200.0))
    record = study.records[0]
    timings = record.details.timings.model_copy(update={"energy_joules": None})  # type: ignore[union-attr]
    object.__setattr__(record, "details", record.details.model_copy(update={"timings": timings}))
    assert "cost.energy" not in rules(study)


def test_cost_without_energy_has_no_column_for_it(study_of: StudyOf) -> None:
    assert "Energy" not in grid(cost.costs(study_of("one_seed")))[0]


def test_costs_are_drawn_with_their_range(study_of: StudyOf) -> None:
    study = study_of("transfer_wins")
    axes = next(
        d.axes[0] for d in cost.figure(study).content if d.axes[0].get_xlabel() == "seconds of training"
    )
    drawn = [tuple(line.get_xdata()) for line in axes.lines]
    for model in study.models:
        seconds = model.cost.train_seconds
        assert (seconds.low, seconds.high) in drawn


@pytest.mark.parametrize(
    "limits", [(3.5e7, 7.5e7), (1e6, 1.1e6), (1e6, 9e6), (2e4, 3e6), (1e3, 1e9), (0.4, 0.9)]
)
def test_costs_have_few_round_numbers_on_their_axis(limits: tuple[float, float]) -> None:
    axes = Figure().subplots()
    axes.set_xscale("log")
    axes.set_xlim(limits)
    ticks = [tick for tick in cost._locator(axes).tick_values(*limits) if limits[0] <= tick <= limits[1]]

    assert 1 <= len(ticks) <= 7


def test_a_network_in_8_bits_is_told_of_once_it_was_exported(tmp_path: Path) -> None:
    study = study_with(tmp_path, Made(accuracy=0.8), Made("resnet18", "fine_tune", 0.9))
    assert not [rule for rule in rules(study) if rule.startswith("cost.int8")]
    chosen, test = study.models[1].chosen, study.models[1].chosen_test
    prediction = np.where(np.arange(len(test.target)) % 10 == 0, (test.target + 1) % 10, test.predicted)
    table = pd.DataFrame(
        {"index": test.index, "target": test.target, "prediction": prediction, "probability": 0.5}
    )
    chosen.write_beside("int8.parquet", table, bytes=3_000_000, latency_seconds=0.002, fp32_seconds=0.005)
    text = said(study, "cost.int8.second")
    assert "takes 3.0 MB and 2.0 ms for one image, against 5.0 ms" in text
    assert f"gets {100 * (prediction == test.target).mean():.1f} %" in text
    assert "less than in 32 bits, beyond noise" in text
    right = f"{100 * (prediction == test.target).mean():.1f}\N{NO-BREAK SPACE}% right"
    assert grid(cost.costs(study))[-1][1] == f"ResNet-18, fine-tuned, in 8 bits: {right}"
