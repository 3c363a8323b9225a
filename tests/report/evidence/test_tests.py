"""The verdict on two models: known values, invariances, and error rates on made-up studies."""

import numpy as np
import pytest
from scipy.stats import binomtest, chi2

from pipeline.report.evidence.planning import SEEDS
from pipeline.report.evidence.tests import (
    ALPHA,
    COMMONEST,
    beats_chance,
    compare,
    compare_classes,
    compare_scores,
    holm,
)


def answers(
    seeds: int, images: int, shift: float = 0.0, effect: float = 0.0, seed: int = 0, world: int = 0
) -> np.ndarray:
    """Answers bool [seeds, images]; the same ``world`` has the same images."""
    difficulty = np.random.default_rng(1000 + world).normal(1.5, 1.5, images)
    rng = np.random.default_rng(seed)
    latent = difficulty + shift + rng.normal(0, effect, (seeds, 1)) + rng.normal(0, 0.7, (seeds, images))
    return latent > 0


def test_pairs_come_once_in_order() -> None:
    found = compare({name: answers(2, 50, seed=i) for i, name in enumerate("cab")})
    assert [(each.first, each.second) for each in found] == [("c", "a"), ("c", "b"), ("a", "b")]


def test_one_model_has_nothing_to_compare() -> None:
    assert compare({"a": answers(2, 50)}) == []


def test_difference_is_of_the_accuracies() -> None:
    a, b = answers(3, 400, 0.3), answers(2, 400, seed=1)
    found = compare({"a": a, "b": b})[0]
    assert found.difference == pytest.approx(a.mean() - b.mean())
    assert found.low <= found.difference <= found.high


def test_one_seed_each_speaks_of_these_runs() -> None:
    found = compare({"a": answers(1, 200), "b": answers(1, 200, seed=1)})[0]
    assert (found.scope, found.beats, found.needed_seeds) == ("runs", None, None)


def test_one_seed_beside_a_model_of_several_speaks_of_models() -> None:
    models = {"a": answers(1, 500), "b": answers(1, 500, seed=1), "c": answers(4, 500, seed=2)}
    assert {each.scope for each in compare(models)} == {"models"}
    alone = compare({name: models[name] for name in "ab"})[0]
    together = compare(models)[0]
    assert together.high - together.low > alone.high - alone.low


def test_single_runs_have_bonett_and_prices_interval() -> None:
    """40 images right in the first alone, 20 in the second alone, of 200."""
    a, b = np.ones((1, 200), bool), np.ones((1, 200), bool)
    b[0, :40], a[0, 40:60] = False, False
    found = compare({"a": a, "b": b})[0]
    first, second = 41 / 202, 21 / 202
    half = 1.959964 * np.sqrt((first + second - (first - second) ** 2) / 202)
    assert (found.low, found.high) == pytest.approx((first - second - half, first - second + half), abs=1e-6)
    mcnemar = chi2.sf((40 - 20) ** 2 / 60, 1)
    assert found.p == pytest.approx(mcnemar, rel=0.5)
    assert found.verdict == "first"


def test_swapping_the_models_negates() -> None:
    a, b = answers(3, 300, 0.4, 0.2), answers(2, 300, 0, 0.2, seed=1)
    one, other = compare({"a": a, "b": b})[0], compare({"b": b, "a": a})[0].reversed
    assert one.verdict == other.verdict
    for name in ("difference", "low", "high", "p", "family_low", "smallest_visible"):
        assert getattr(one, name) == pytest.approx(getattr(other, name), abs=1e-9)
    assert one.beats is not None
    assert other.beats is not None
    assert one.beats.value == pytest.approx(other.beats.value)


def test_order_of_images_and_seeds_does_not_matter() -> None:
    a, b = answers(3, 300, 0.4, 0.2), answers(2, 300, 0, 0.2, seed=1)
    order = np.random.default_rng(3).permutation(300)
    one, other = compare({"a": a, "b": b})[0], compare({"a": a[::-1, order], "b": b[:, order]})[0]
    assert (one.low, one.high, one.p) == pytest.approx((other.low, other.high, other.p))


def test_more_seeds_find_more() -> None:
    """More evidence, more verdict: the claims of a true difference grow with the seeds."""
    found = []
    for seeds in (2, 5, 10):
        pairs = [
            (answers(seeds, 500, 0.25, 0.05, 2 * i, i), answers(seeds, 500, 0, 0.05, 2 * i + 1, i))
            for i in range(80)
        ]
        found.append(sum(compare({"a": a, "b": b})[0].verdict == "first" for a, b in pairs))
    assert found[0] < found[1] < found[2]


def test_equal_to_within_the_margin_needs_a_margin_and_images() -> None:
    a, b = answers(5, 5000, seed=1), answers(5, 5000, seed=2)
    assert compare({"a": a, "b": b}, margin=0.03)[0].verdict == "equivalent"
    assert compare({"a": a, "b": b}, margin=0.002)[0].verdict == "undecided"
    assert compare({"a": a[:, :100], "b": b[:, :100]}, margin=0.03)[0].verdict == "undecided"


def test_small_difference_may_be_sure_and_not_matter() -> None:
    found = compare({"a": answers(10, 20000, 0.05, seed=1), "b": answers(10, 20000, seed=2)}, margin=0.05)[0]
    assert (found.verdict, found.within_margin) == ("first", True)
    assert 0 < found.at_least < found.difference


@pytest.mark.parametrize("images", [1, 2, 30, 10000])
@pytest.mark.parametrize("seeds", [1, 3])
def test_identical_answers_are_never_a_difference(images: int, seeds: int) -> None:
    for value in (True, False):
        same = np.full((seeds, images), value)
        found = compare({"a": same, "b": same})[0]
        assert found.verdict == ("equivalent" if images == 10000 else "undecided")
        assert (found.p, found.difference) == (1, 0)
        assert found.low < 0 < found.high


def test_all_right_against_all_wrong() -> None:
    right, wrong = np.ones((2, 30), bool), np.zeros((1, 30), bool)
    found = compare({"a": right, "b": wrong})[0]
    assert (found.verdict, found.high, found.scope) == ("first", 1.0, "runs")
    assert compare({"a": right[:, :1], "b": wrong[:, :1]})[0].verdict == "undecided"


def test_verdict_interval_and_p_of_a_family_agree() -> None:
    models = {str(i): answers(3, 400, 0.12 * i, 0.1, seed=i) for i in range(6)}
    found = compare(models)
    assert any(each.corrected for each in found)
    for each in found:
        claimed = each.verdict in ("first", "second")
        assert claimed == (each.p_holm < ALPHA) == (not each.family_low <= 0 <= each.family_high)
        assert (each.p < ALPHA) == (not each.low <= 0 <= each.high)
        assert each.corrected == (claimed != (each.p < ALPHA))


def test_holm_is_the_textbooks() -> None:
    assert holm(np.array([0.01, 0.04, 0.03, 0.005])) == pytest.approx([0.03, 0.06, 0.06, 0.02])


def test_forecast_of_images_decides() -> None:
    """A study of as many images as are asked for, alike in all else, has its verdict; a smaller has not."""
    a, b = answers(1, 300, 0.15, seed=3), answers(1, 300, 0, seed=4)
    found = compare({"a": a, "b": b})[0]
    assert found.verdict == "undecided"
    assert found.needed_images is not None
    times = -(-found.needed_images // 300)
    assert times > 1
    assert compare({"a": np.tile(a, times), "b": np.tile(b, times)})[0].decided
    assert not compare({"a": np.tile(a, times - 2), "b": np.tile(b, times - 2)})[0].decided


def test_forecast_of_seeds_asks_for_more_than_there_are() -> None:
    found = compare({"a": answers(3, 2000, 0.1, 0.1, 5), "b": answers(3, 2000, 0, 0.1, 6)})[0]
    assert found.verdict == "undecided"
    assert found.needed_seeds in SEEDS
    assert found.needed_seeds > 3


def test_smallest_visible_shrinks_with_images() -> None:
    few, many = (compare({"a": answers(3, n), "b": answers(3, n, seed=1)})[0] for n in (100, 10000))
    assert many.smallest_visible < few.smallest_visible / 3


def test_chance_that_another_training_wins() -> None:
    far = compare({"a": answers(5, 2000, 0.8, 0.1), "b": answers(5, 2000, 0, 0.1, seed=1)})[0].beats
    near = compare({"a": answers(5, 2000, 0, 0.1), "b": answers(5, 2000, 0, 0.1, seed=1)})[0].beats
    assert far is not None
    assert near is not None
    assert far.low > 0.9
    assert near.low < 0.5 < near.high


def test_a_class_is_compared_on_its_own_images() -> None:
    target = np.repeat([0, 2], 150)
    a, b = answers(3, 300, 0, seed=1), answers(3, 300, 0, seed=2)
    b[:, :150] = False
    found = compare_classes({"a": a, "b": b}, "a", "b", target)
    assert {k: each.verdict for k, each in found.items()} == {0: "first", 2: "undecided"}
    assert found[0].difference == pytest.approx(a[:, :150].mean())


def test_random_answers_do_not_beat_chance() -> None:
    rng = np.random.default_rng(0)
    target = rng.integers(0, 5, 400)
    models = {"guess": rng.random((3, 400)) < 0.2, "learned": rng.random((3, 400)) < 0.6}
    found = beats_chance(models, target)
    assert {name: each.verdict for name, each in found.items()} == {"guess": "undecided", "learned": "first"}
    assert {each.second for each in found.values()} == {COMMONEST}


def test_any_scores_are_compared() -> None:
    rng = np.random.default_rng(0)
    hard = rng.gamma(1, 1, 500)
    a, b = hard + rng.normal(0, 0.1, (3, 500)), hard + 0.1 + rng.normal(0, 0.1, (3, 500))
    found = compare_scores({"a": a, "b": b})[0]
    assert found.verdict == "second"
    assert found.difference == pytest.approx(-0.1, abs=0.02)


def test_models_of_unlike_images_are_refused() -> None:
    with pytest.raises(ValueError, match="same images"):
        compare({"a": answers(1, 10), "b": answers(1, 11)})
    with pytest.raises(ValueError, match="not empty"):
        compare({"a": np.ones((1, 0), bool), "b": np.ones((1, 0), bool)})


def no_overlap(a: np.ndarray, b: np.ndarray) -> bool:
    """McNemar's test of one seed each, and no seed of the weaker reaches one of the stronger."""
    only_a, only_b = int((a[0] & ~b[0]).sum()), int((b[0] & ~a[0]).sum())
    weak, strong = sorted((a.mean(axis=1), b.mean(axis=1)), key=np.mean)
    if only_a + only_b == 0 or max(weak) >= min(strong):
        return False
    return bool(binomtest(only_a, only_a + only_b).pvalue < ALPHA)


def claims(rule: str, effect: float, studies: int) -> float:
    """Return how often a rule claims a difference of equal models of two seeds, 300 images."""
    found = 0
    for i in range(studies):
        a, b = (answers(2, 300, 0, effect, 2 * i + k, i) for k in (0, 1))
        if rule == "old":
            found += no_overlap(a, b)
        else:
            found += compare({"a": a, "b": b})[0].verdict in ("first", "second")
    return found / studies


def allowed(studies: int) -> float:
    """5 % and three standard errors of so many studies."""
    return ALPHA + 3 * float(np.sqrt(ALPHA * (1 - ALPHA) / studies))


@pytest.mark.parametrize("effect", [0.0, 0.1, 0.5])
def test_at_most_five_percent_of_equal_models_are_told_apart(effect: float) -> None:
    assert claims("new", effect, 200) <= allowed(200)


def test_the_rule_of_no_overlap_has_wrong_error_rates() -> None:
    """What the test above would say of a rule that takes the luck of a training for merit."""
    assert claims("old", 0.5, 200) > allowed(200)
