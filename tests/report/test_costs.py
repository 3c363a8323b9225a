"""Costs over seeds, ratios that are not noise, and the Pareto front."""

import pytest

from pipeline.report.evidence.costs import pareto_front, ratio_of
from pipeline.report.evidence.interval import Interval
from tests.report.conftest import StudyOf


@pytest.mark.parametrize(
    ("mine", "theirs", "expected"),
    [
        (Interval(4, 4, 4), Interval(2, 2, 2), 2.0),
        (Interval(2, 2, 2), Interval(4, 4, 4), 0.5),
        (Interval(2.1, 2.1, 2.1), Interval(2, 2, 2), None),  # within 10 %
        (Interval(4, 1.5, 6), Interval(2, 1, 3), None),  # seeds overlap
        (Interval(4, 4, 4), Interval(0, 0, 0), None),
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
    assert cost.train_seconds == Interval(96.0, 95.0, 97.0)
    assert cost.parameter_bytes == 4 * cost.total_parameters
    assert cost.energy_joules is None


def test_pareto_of_a_study_marks_the_front(study_of: StudyOf) -> None:
    study = study_of("transfer_wins")
    on = {group.key: kept for group, _, kept in study.pareto(lambda cost: cost.train_seconds.value)}
    assert on["efficientnet_lite0-fine_tune"]
    assert not on["resnet18-scratch"]
