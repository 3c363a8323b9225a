"""The best to expect of a budget of trials equals what drawing such budgets gives."""

from itertools import combinations, product

import numpy as np
import pytest

from pipeline.report.evidence.tuning import best_so_far, expected_best, lead_from, standings

SCORES = [0.7, 0.4, 0.9, 0.85, 0.85]


@pytest.mark.parametrize("budget", [1, 2, 3, 4, 5])
def test_expected_best_is_the_mean_over_every_draw(budget: int) -> None:
    for unbiased, draws in ((True, combinations(SCORES, budget)), (False, product(SCORES, repeat=budget))):
        best = np.array([max(draw) for draw in draws])
        found = expected_best(SCORES, unbiased)
        assert found.value[budget - 1] == pytest.approx(best.mean(), abs=1e-12)
        assert found.deviation[budget - 1] == pytest.approx(best.std(), abs=1e-7)


def test_expected_best_of_uniform_scores_is_the_known_one() -> None:
    # The best of n uniform numbers is n / (n + 1) on average; the U-statistic is unbiased for it.
    random = np.random.default_rng(0)
    searches = [random.random(12) for _ in range(3000)]
    unbiased = np.mean([expected_best(s).value for s in searches], axis=0)
    biased = np.mean([expected_best(s, unbiased=False).value for s in searches], axis=0)
    known = np.arange(1, 13) / np.arange(2, 14)
    assert unbiased == pytest.approx(known, abs=0.006)
    assert np.all(biased[1:] < known[1:] - 0.006)
    assert biased[0] == pytest.approx(0.5, abs=0.006)


def test_deviation_of_uniform_scores_is_the_known_one() -> None:
    n = np.arange(1, 6)
    found = expected_best(np.linspace(0, 1, 4000)).deviation[:5]
    assert found == pytest.approx(np.sqrt(n / ((n + 1) ** 2 * (n + 2))), rel=2e-3)


def test_expected_best_only_rises_and_ends_at_the_best() -> None:
    value = expected_best(SCORES).value
    assert np.all(np.diff(value) > 0)
    assert value[-1] == pytest.approx(0.9)
    assert expected_best([0.3] * 4).deviation == pytest.approx(np.zeros(4))


def test_many_trials_stay_finite() -> None:
    for unbiased in (True, False):
        found = expected_best(np.linspace(0, 1, 500), unbiased)
        assert np.isfinite(found.value).all()
        assert np.isfinite(found.deviation).all()


@pytest.mark.parametrize("scores", [[], [0.5, float("nan")]])
def test_trials_without_a_score_are_refused(scores: list[float]) -> None:
    with pytest.raises(ValueError, match="is not known"):
        expected_best(scores)


def test_best_so_far_keeps_the_order_of_trials() -> None:
    assert best_so_far([0.2, 0.5, 0.4, 0.6]).tolist() == [0.2, 0.5, 0.5, 0.6]


def test_ranking_changes_with_the_budget() -> None:
    steady, wild = [0.80, 0.81, 0.80, 0.81], [0.2, 0.3, 0.9, 0.4]
    found = standings({"steady": steady, "wild": wild})
    assert [standing.order[0] for standing in found] == ["steady", "steady", "steady", "wild"]
    assert [standing.trials for standing in found] == [1, 2, 3, 4]
    assert lead_from(found) == 4
    assert [standing.chance for standing in found] == pytest.approx([0.75, 0.5, 0.25, 1.0])


def test_leader_of_every_budget_leads_from_the_first_trial() -> None:
    found = standings({"a": [0.9, 0.8], "b": [0.5, 0.6], "c": [0.1, 0.7]})
    assert [standing.order for standing in found] == [("a", "b", "c"), ("a", "c", "b")]
    assert found[-1].lead == pytest.approx(0.2)
    assert lead_from(found) == 1


def test_budget_compared_is_that_of_the_fewest_trials() -> None:
    assert len(standings({"a": [0.1, 0.2, 0.3], "b": [0.2]})) == 1


def test_level_models_have_no_leader() -> None:
    found = standings({"a": [0.5, 0.6], "b": [0.5, 0.6]})
    assert lead_from(found) is None
    assert found[-1].chance == 0.5
    with pytest.raises(ValueError, match="needs two models"):
        standings({"a": [0.5]})
