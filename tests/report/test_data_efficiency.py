"""Curves over sizes: intervals for images and seeds, laws where they fit, predictions and no more."""

from dataclasses import replace

import numpy as np
import pytest

from bench.crossover import BEYOND, FLAT, INSIDE, STEEP, Case, law, plateau, study
from pipeline.report.evidence.crossover import images_to_reach, prediction, worth
from pipeline.report.evidence.data_efficiency import Curve, Efficiency, efficiencies, spread


def made(case: Case, seed: int = 0) -> list[Efficiency]:
    return efficiencies(study(case, np.random.default_rng(seed)))


def test_points_hold_the_mean_over_seeds() -> None:
    curves = study(INSIDE, np.random.default_rng(0))
    for curve, found in zip(curves, efficiencies(curves), strict=True):
        assert [point.size for point in found.points] == list(curve.sizes)
        assert [p.accuracy for p in found.points] == pytest.approx([c.mean() for c in curve.correct])
        assert found.points[0].per_seed == pytest.approx(curve.correct[0].mean(axis=1))
        assert all(point.low < point.accuracy < point.high for point in found.points)


def test_intervals_of_points_hold_the_true_accuracy() -> None:
    random, held = np.random.default_rng(5), []
    for _ in range(60):
        for true, found in zip(
            (INSIDE.scratch, INSIDE.pretrained), efficiencies(study(INSIDE, random), 10), strict=True
        ):
            held += [p.low <= 1 - true(np.array(p.size)) <= p.high for p in found.points]
    assert 0.92 < np.mean(held) < 0.985


def test_one_seed_has_the_interval_of_wilson_and_says_that_seeds_are_not_covered() -> None:
    answers = np.arange(400) >= 40
    (found,) = efficiencies([Curve("a", (100,), (answers[None],))])
    assert not found.seeds_covered
    # Wilson's interval of 360 of 400
    assert (found.points[0].low, found.points[0].high) == pytest.approx((0.8668, 0.9257), abs=2e-4)


def test_one_seed_borrows_the_spread_of_a_model_with_several() -> None:
    many, single = study(INSIDE, np.random.default_rng(1))
    single = Curve("single", single.sizes, tuple(correct[:1] for correct in single.correct))
    alone, borrowed = efficiencies([single])[0], efficiencies([many, single])[1]
    assert (alone.seeds_covered, borrowed.seeds_covered) == (False, True)
    for narrow, wide in zip(alone.points, borrowed.points, strict=True):
        assert wide.high - wide.low > narrow.high - narrow.low


def test_spread_of_seeds_is_found() -> None:
    case = replace(INSIDE, seeds=40, deviation=0.2, images=20_000)
    curve = study(case, np.random.default_rng(0))[1]
    # Made in proportion to the error squared: (0.2 e)² over e, errors weighing alike
    expected = 0.04 * (curve.errors**2).sum() / curve.errors.sum()
    assert spread([curve]).variance == pytest.approx(expected, rel=0.3)
    assert spread([curve]).degrees == 39 * 5


def test_draws_vary_as_repeated_studies_do() -> None:
    case = replace(INSIDE, seeds=3, images=1000)
    random = np.random.default_rng(0)
    repeated = np.array([study(case, random)[0].errors for _ in range(300)])
    drawn = np.concatenate([efficiencies(study(case, random))[0].drawn.std(axis=0)[None] for _ in range(30)])
    assert np.sqrt((drawn**2).mean(axis=0)) == pytest.approx(repeated.std(axis=0), rel=0.35)


def test_saturated_curve_has_intervals_and_no_negative_error() -> None:
    right = np.ones((2, 500), bool)
    (found,) = efficiencies([Curve("a", (10, 100, 1000), (right, right, right))])
    assert [point.accuracy for point in found.points] == [1, 1, 1]
    assert all(0.98 < point.low < 1 == point.high for point in found.points)
    expected = prediction(found, 5000)
    assert expected is not None
    assert (expected.accuracy, expected.high) == (1, 1)


def test_prediction_beyond_the_data_is_marked_and_less_sure() -> None:
    found = made(BEYOND)[0]
    inside, near, far = (prediction(found, n) for n in (10_000, 20_000, 100_000))
    assert inside
    assert near
    assert far
    assert (inside.extrapolated, near.extrapolated, far.extrapolated) == (False, True, True)
    assert inside.high - inside.low < near.high - near.low < far.high - far.low
    assert prediction(found, 100_001) is None
    assert prediction(found, 99) is None


@pytest.mark.parametrize("images", [1000, 30_000])
def test_predictions_hold_the_truth(images: int) -> None:
    held = []
    for seed in range(60):
        expected = prediction(made(BEYOND, seed)[0], images)
        if expected:
            held.append(expected.low <= 1 - STEEP(np.array(images)) <= expected.high)
    assert np.mean(held) > 0.88


def test_curve_that_is_no_power_law_is_not_extended() -> None:
    case = replace(INSIDE, scratch=plateau)
    found = [made(case, seed)[0] for seed in range(10)]
    assert all(
        each.no_law == "no power law fits" and each.fit_p < 0.01 for each in found if each.fit_p is not None
    )
    assert all(each.law is None and each.reach == 10_000 for each in found)
    assert prediction(found[0], 20_000) is None
    assert prediction(found[0], 2000) is not None


def test_curve_that_is_a_power_law_is_seldom_refused() -> None:
    refused = [each.no_law for seed in range(50) for each in made(INSIDE, seed)]
    assert sum(why is not None for why in refused) <= 4


def test_fewer_than_three_sizes_have_no_law_and_lines_between() -> None:
    found = made(replace(INSIDE, sizes=(300, 3000)))[0]
    assert (found.law, found.fit_p, found.no_law) == (None, None, "fewer than three sizes")
    middle = prediction(found, 949)  # half way on a logarithmic axis
    assert middle is not None
    assert middle.accuracy == pytest.approx(np.mean([p.accuracy for p in found.points]), abs=1e-3)
    assert prediction(found, 3001) is None


def test_images_to_reach_an_accuracy_hold_the_truth() -> None:
    target, held = 0.8, []
    true = 100 * (0.6 / (1 - target - 0.03)) ** (1 / 0.4)
    for seed in range(60):
        found = images_to_reach(made(BEYOND, seed)[0], target)
        held.append((found.low or 0) <= true <= (found.high or np.inf))
        assert found.images == pytest.approx(true, rel=0.5)
        assert not found.extrapolated
    assert np.mean(held) > 0.88


def test_accuracy_above_the_floor_is_never_reached() -> None:
    case = replace(INSIDE, pretrained=law(0.2, 0.3, 0.9), images=20_000, deviation=0.01)
    found = images_to_reach(made(case)[1], 0.9)
    assert (found.images, found.high, found.why) == (None, None, "above what the curve levels off at")


def test_accuracy_that_few_images_reach_is_said_so() -> None:
    found = images_to_reach(made(INSIDE)[1], 0.5)
    assert (found.images, found.why) == (None, "ahead already at the smallest size")


def test_accuracy_far_beyond_the_data_is_not_reached_within_ten_times_of_it() -> None:
    slow = replace(INSIDE, scratch=law(0, 0.9, 0.1), images=20_000, deviation=0.01)
    assert images_to_reach(made(slow)[0], 0.9).why == "not within 10 times these data"


def test_images_are_worth_as_many_as_reach_the_same_accuracy() -> None:
    at, held = float(FLAT(np.array(300))), []
    true = 100 * (0.5 / (at - 0.03)) ** (1 / 0.5)
    for seed in range(60):
        scratch, pretrained = made(INSIDE, seed)
        found = worth(pretrained, 300, scratch)
        held.append((found.low or 0) <= true <= (found.high or np.inf))
    assert found.images == pytest.approx(true, rel=0.4)
    assert np.mean(held) > 0.88


def test_unlike_test_images_are_refused() -> None:
    a, b = np.ones((1, 10), bool), np.ones((1, 11), bool)
    with pytest.raises(ValueError, match="test images differ"):
        efficiencies([Curve("a", (1, 2), (a, b))])
    with pytest.raises(ValueError, match="sizes must rise"):
        efficiencies([Curve("a", (2, 1), (a, a))])


def test_same_answers_give_the_same_numbers() -> None:
    first, again = made(INSIDE), made(INSIDE)
    assert np.array_equal(first[0].drawn, again[0].drawn)
