"""Costs over seeds, ratios that are not noise, and the Pareto front."""

from pathlib import Path

import pytest

from bench import costs as bench_costs
from pipeline.report.evidence.costs import Measured, over_seeds, pareto_front, ratio_of, relation
from pipeline.report.evidence.interval import Interval
from pipeline.report.study import Study
from tests.made_records import Made, MadeData, write_experiment
from tests.report.conftest import StudyOf

FEW = MadeData(train=100, val=50, test=100, near_duplicates=0, label_errors=0)


@pytest.mark.parametrize(
    ("mine", "theirs", "expected"),
    [
        (Interval(4, 4, 4), Interval(2, 2, 2), 2.0),
        (Interval(2, 2, 2), Interval(4, 4, 4), 0.5),
        (Interval(2.1, 2.1, 2.1), Interval(2, 2, 2), None),  # within 10 %
        (over_seeds([1.5, 6.0]), over_seeds([1.0, 3.0]), None),  # seeds vary as much
        (Interval(4, 4, 4), Interval(0, 0, 0), None),
        (over_seeds([107.0, 150.0, 119.0]), over_seeds([0.9, 1.9, 9.0]), None),  # 11 to 450 times
    ],
)
def test_ratios_are_only_given_beyond_noise(mine: Interval, theirs: Interval, expected: float | None) -> None:
    assert ratio_of(mine, theirs) == expected


def test_pareto_front_leaves_out_what_another_beats() -> None:
    assert pareto_front([1, 2, 3, 2], [0.7, 0.8, 0.75, 0.8]) == [True, True, False, True]


def test_equal_score_at_a_higher_cost_is_not_on_the_front() -> None:
    assert pareto_front([1, 2], [0.8, 0.8]) == [True, False]


def test_costs_are_means_over_seeds(study_of: StudyOf) -> None:
    group = study_of("transfer_wins").models[0]
    cost = group.cost
    assert cost is not None
    assert cost.train_seconds == Measured(96.0, 95.0, 97.0, spread_known=True)
    assert cost.parameter_bytes == 4 * cost.total_parameters
    assert cost.energy_joules is None


def test_one_network_answers_as_fast_in_every_mode(tmp_path: Path) -> None:
    models = (Made("resnet18", "scratch"), Made("resnet18", "fine_tune"), Made(accuracy=0.7))
    study = Study.from_records(*write_experiment(tmp_path, "x", FEW, models))
    for place, seconds in enumerate((0.020, 0.035)):
        record = study.models[place].chosen
        timings = record.details.timings.model_copy(  # type: ignore[union-attr]
            update={
                "latency_seconds": seconds,
                "latency_seconds_p10": seconds - 0.001,
                "latency_seconds_p90": None,
            }
        )
        object.__setattr__(record, "details", record.details.model_copy(update={"timings": timings}))
    scratch, tuned, own = (model.cost for model in study.models)
    assert scratch.latency_seconds == tuned.latency_seconds
    one = scratch.latency_seconds
    assert (one.value, one.low, one.high) == pytest.approx((0.0275, 0.019, 0.035))
    assert relation(scratch.latency_seconds, tuned.latency_seconds) == "same"
    assert own.latency_seconds.value == pytest.approx(0.0011)


def test_pareto_of_a_study_marks_the_front(study_of: StudyOf) -> None:
    study = study_of("transfer_wins")
    on = {group.key: kept for group, _, kept in study.pareto(lambda cost: cost.train_seconds.value)}
    assert on["efficientnet_lite0-fine_tune"]
    assert not on["resnet18-scratch"]


@pytest.mark.parametrize(
    ("mine", "theirs", "expected"),
    [
        ([75.0], [196.0], "less"),  # far apart, once each
        ([75.0], [176.0], "open"),  # one run each: nothing tells their spread
        ([100.0], [101.0], "open"),
        ([100.0, 102.0], [101.0, 103.0], "same"),
        ([100.0, 180.0], [120.0, 150.0], "open"),  # they overlap: that is no proof of equality
        ([200.0, 210.0], [100.0, 102.0], "more"),
        ([100.0, 130.0], [140.0, 170.0], "open"),  # two runs each part by chance one time in three
        ([100.0, 103.0], [104.0, 107.0], "open"),  # alike as they look, and may be a tenth apart
        ([100.0, 90.0, 110.0, 95.0, 105.0, 121.0], [140.0, 155.0, 128.0, 119.0, 145.0, 135.0], "less"),
    ],
)
def test_times_are_the_same_only_where_that_is_shown(
    mine: list[float], theirs: list[float], expected: str
) -> None:
    assert relation(over_seeds(mine), over_seeds(theirs)) == expected


@pytest.mark.parametrize("runs", [1, 2, 3, 10])
def test_times_are_told_apart_as_rarely_and_as_often_as_written(runs: int) -> None:
    """Runs that vary by a tenth: false claims, equality of what is a tenth apart, 1.5 and 3 times."""
    false, same, half, thrice = bench_costs.rates(bench_costs.Cell(runs, 0.1), studies=400)
    assert max(false, same) < 0.08
    assert thrice > 0.85
    assert half > {1: -1, 2: 0.4, 3: 0.9, 10: 0.99}[runs]


def test_one_run_tells_nothing_of_the_latency_of_another(tmp_path: Path) -> None:
    """Within a run answers vary by a tenth; nobody knows how busy the machine was in the other."""
    models = (Made(), Made("resnet18", "fine_tune", 0.9))
    own, tuned = (m.cost for m in Study.from_records(*write_experiment(tmp_path, "x", FEW, models)).models)
    assert own.latency_seconds.high < tuned.latency_seconds.low
    assert ratio_of(tuned.latency_seconds, own.latency_seconds) is None
    assert relation(tuned.latency_seconds, own.latency_seconds) == "more"  # 2.9 against 1.1 ms, once each


def test_one_run_each_gives_no_ratio() -> None:
    assert ratio_of(over_seeds([400.0]), over_seeds([100.0])) is None
    assert ratio_of(over_seeds([400.0, 410.0]), over_seeds([100.0, 101.0])) == pytest.approx(4.03, abs=0.01)
