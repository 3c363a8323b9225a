"""Paired tests and intervals equal published examples and the libraries' own."""

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.multitest import multipletests

from pipeline.report.evidence import significance
from pipeline.report.evidence.significance import (
    Contestant,
    PairTest,
    class_differences,
    holm,
    mcnemar_exact,
    pairwise,
)


def answers(both: int, only_first: int, only_second: int, neither: int) -> tuple[np.ndarray, np.ndarray]:
    counts = (both, only_first, only_second, neither)
    return np.repeat([1, 1, 0, 0], counts) > 0, np.repeat([1, 0, 1, 0], counts) > 0


def compared(first: np.ndarray, second: np.ndarray) -> PairTest:
    return pairwise([Contestant("a", first[None], 0), Contestant("b", second[None], 0)])[0]


@pytest.mark.parametrize(("b", "c"), [(5, 15), (0, 6), (10, 10), (0, 0), (1, 0), (121, 59)])
def test_mcnemar_is_the_exact_binomial_test_of_scipy(b: int, c: int) -> None:
    expected = stats.binomtest(b, b + c).pvalue if b + c else 1.0
    assert mcnemar_exact(np.array([[50, b], [c, 7]])) == pytest.approx(expected, abs=1e-12)


def test_mcnemar_equals_a_published_example() -> None:
    # Fagerland, Lydersen & Laake 2013 (BMC Medical Research Methodology 13:91), airway responsiveness
    assert mcnemar_exact(np.array([[1, 1], [7, 12]])) == pytest.approx(0.0703, abs=5e-5)


def test_newcombe_intervals_equal_published_examples() -> None:
    # Fagerland et al. 2014 (Statistics in Medicine 33:2850): airway responsiveness;
    # Altman et al. 2000 (Statistics with Confidence), table 6.2
    for table, low, high in (((1, 1, 7, 12), -0.507, -0.026), ((14, 5, 0, 22), 0.011, 0.226)):
        first, second = (values.astype(float) for values in answers(*table))
        found = class_differences(first, second, np.zeros(len(first), int), 1)[0]
        assert (found.low, found.high) == (pytest.approx(low, abs=6e-4), pytest.approx(high, abs=6e-4))


def test_difference_has_a_paired_interval() -> None:
    first, second = answers(700, 120, 60, 120)
    found = compared(first, second).difference
    discordant = (120 + 60 - 60**2 / 1000) / 1000**2
    assert found.value == pytest.approx(0.06)
    assert (found.high - found.low) / 2 == pytest.approx(1.96 * np.sqrt(discordant), rel=0.1)


def test_models_that_agree_everywhere_have_an_interval_around_zero() -> None:
    first, second = answers(90, 0, 0, 10)
    found = compared(first, second)
    assert (found.difference.value, found.p_holm, found.distinguishable) == (0, 1, False)
    assert found.difference.low < 0 < found.difference.high


def test_holm_is_that_of_statsmodels_and_keeps_the_order() -> None:
    p_values = [0.04, 0.001, 0.02, 0.5]
    assert holm(p_values) == pytest.approx(multipletests(p_values, method="holm")[1])
    assert holm(p_values) == pytest.approx([0.08, 0.004, 0.06, 0.5])
    assert holm([]) == []


def test_every_pair_is_tested_once() -> None:
    rng = np.random.default_rng(0)
    models = [Contestant(name, rng.random((1, 50)) < 0.7, 0) for name in "abcd"]
    assert [(t.first, t.second) for t in pairwise(models)] == [
        ("a", "b"), ("a", "c"), ("a", "d"), ("b", "c"), ("b", "d"), ("c", "d")
    ]  # fmt: skip


def test_a_test_seen_from_the_other_side_is_its_mirror() -> None:
    found = compared(*answers(70, 20, 5, 5))
    back = found.reversed
    assert (back.first, back.only_first, back.only_second) == ("b", 5, 20)
    assert back.difference.value == -found.difference.value
    assert (back.difference.low, back.difference.high) == (-found.difference.high, -found.difference.low)
    assert (back.p_holm, back.distinguishable) == (found.p_holm, found.distinguishable)


def test_models_whose_seeds_overlap_are_not_distinguishable() -> None:
    first, second = answers(700, 150, 50, 100)
    worse = second.copy()
    worse[np.flatnonzero(second)[:10]] = False
    apart = pairwise(
        [Contestant("a", np.stack([first, first]), 0), Contestant("b", np.stack([second, worse]), 0)]
    )
    assert apart[0].distinguishable
    overlapping = np.stack([first, worse])  # one seed of the better model is as bad as the other's best
    found = pairwise([Contestant("a", overlapping, 0), Contestant("b", np.stack([second, worse]), 0)])[0]
    assert found.significant
    assert found.seeds_overlap
    assert not found.distinguishable


def test_a_test_against_the_mean_does_not_support_it() -> None:
    first, second = answers(700, 150, 50, 100)
    bad = np.zeros_like(first)
    found = pairwise([Contestant("a", np.stack([first, bad]), 0), Contestant("b", second[None], 0)])[0]
    assert found.p_holm < 0.001  # the chosen seed is better
    assert found.difference.value < 0  # but the mean is worse
    assert not found.significant


def test_classes_are_compared_each_for_itself() -> None:
    target = np.repeat([0, 1, 3], 100)
    first, second = np.ones(300, bool), np.ones(300, bool)
    second[:30] = False  # worse in class 0 only
    found = significance.per_class(
        Contestant("a", first[None], 0), Contestant("b", second[None], 0), target, 4
    )
    assert [d.target for d in found] == [0, 1, 3]  # class 2 has no images
    assert [d.distinguishable for d in found] == [True, False, False]
    assert found[0].difference.value == pytest.approx(0.3)
    assert (found[0].first, found[0].second, found[0].images) == (1.0, pytest.approx(0.7), 100)
    assert found[1].difference.low < 0 < found[1].difference.high


def test_a_class_is_not_won_by_seeds_that_overlap_or_disagree() -> None:
    target, right, wrong = np.zeros(100, int), np.ones(100, bool), np.ones(100, bool)
    wrong[:30] = False
    for second_seeds, chosen in ((np.stack([wrong, right]), 0), (np.stack([wrong, wrong, right]), 0)):
        found = significance.per_class(
            Contestant("a", right[None], 0), Contestant("b", second_seeds, chosen), target, 1
        )[0]
        assert found.p_holm < 0.001
        assert not found.distinguishable  # one seed of b does as well as a
    worse, better = np.stack([right, ~right]), np.stack([wrong, wrong])
    found = significance.per_class(Contestant("a", worse, 0), Contestant("b", better, 0), target, 1)[0]
    assert (found.lead, found.difference.value < 0) == (30, True)  # the chosen seed and the mean disagree
    assert not found.distinguishable


@pytest.mark.slow
def test_newcombe_intervals_hold_the_truth_as_often_as_they_say() -> None:
    rng = np.random.default_rng(3)
    held = []
    for _ in range(150):
        shared = rng.random(40)
        first, second = shared < 0.85, (0.7 * shared + 0.3 * rng.random(40)) < 0.6
        truth = 0.85 - _probability()
        found = class_differences(first.astype(float), second.astype(float), np.zeros(40, int), 1)[0]
        held.append(found.low <= truth <= found.high)
    assert np.mean(held) > 0.91


def _probability() -> float:
    draws = np.random.default_rng(0).random((2, 400_000))
    return float((0.7 * draws[0] + 0.3 * draws[1] < 0.6).mean())
