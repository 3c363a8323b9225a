"""Where one model catches up with another: found with its interval, or said why not."""

from dataclasses import replace

import numpy as np
import pytest

from bench.crossover import BEYOND, CASES, FLAT, INSIDE, Case, counted, law, study
from pipeline.report.evidence.crossover import Images, crossover
from pipeline.report.evidence.data_efficiency import Curve, efficiencies

NAMED = {case.name: case for case in CASES}


def found(case: Case, seed: int = 0) -> Images:
    return crossover(*efficiencies(study(case, np.random.default_rng(seed))))


def test_interval_holds_the_truth_about_as_often_as_it_says() -> None:
    # Measured over 250 studies: bench/crossover.md. 95 % of 80 is 76, standard deviation 2.
    for case in (INSIDE, replace(INSIDE, seeds=2)):
        counts = counted(case, 80)
        assert len(counts.covered) == 80
        assert sum(counts.covered) >= 71


def test_crossover_inside_the_data_has_both_ends() -> None:
    here = found(INSIDE)
    assert here.images == pytest.approx(INSIDE.truth, rel=0.4)
    assert here.low
    assert here.high
    assert here.low < here.images < here.high
    assert not here.extrapolated


def test_crossover_beyond_the_data_is_called_extrapolated() -> None:
    sure = replace(BEYOND, images=50_000, seeds=5, deviation=0.01)
    here = found(sure)
    assert here.extrapolated
    assert here.images
    assert here.low
    assert here.images > 10_000
    assert here.low <= sure.truth <= (here.high or np.inf)


@pytest.mark.parametrize(
    ("case", "why"),
    [
        (NAMED["no crossover"], {"not within 10 times these data"}),
        (NAMED["crossing twice"], {"crosses twice"}),
        (NAMED["equal models"], {"not told apart at any size", "level all along"}),
        (
            replace(INSIDE, scratch=FLAT, pretrained=FLAT, deviation=0.01, seeds=4, images=10_000),
            {"level all along"},
        ),
        (replace(INSIDE, scratch=FLAT, pretrained=INSIDE.scratch), {"ahead already at the smallest size"}),
        (
            replace(INSIDE, scratch=law(0.02, 0.05, 0.3), pretrained=law(0.1, 0.4, 0.3)),
            {"ahead already at the smallest size"},
        ),
        (replace(INSIDE, sizes=(100, 300)), {"fewer than three sizes"}),
        (
            replace(NAMED["no power law (chance up to 500 images)"], sizes=(100, 300, 1000, 2000, 3000)),
            {"no power law fits"},
        ),
    ],
    ids=lambda value: value.name if isinstance(value, Case) else "",
)
def test_what_is_no_crossover_says_why(case: Case, why: set[str]) -> None:
    outcomes = [found(case, seed) for seed in range(10)]
    assert all(here.images is None for here in outcomes if here.why)
    assert sum(here.why in why for here in outcomes) >= 8


def test_noise_alone_seldom_makes_a_crossover() -> None:
    counts = counted(NAMED["equal models"], 60, seed=3)
    assert counts.whys["found"] <= 3


def test_two_sizes_give_an_interval_no_narrower_than_between_them() -> None:
    here = found(replace(INSIDE, sizes=(300, 10_000)))
    assert here.images
    assert 300 < here.images < 10_000
    assert (here.low, here.high) == (300, 10_000)


def test_curve_that_is_no_power_law_is_read_between_its_sizes() -> None:
    here = found(NAMED["no power law (chance up to 500 images)"])
    assert here.images
    assert 3000 < here.images < 10_000
    assert here.low == 3000
    assert here.high in (10_000, None)
    assert not here.extrapolated


def test_models_at_100_percent_are_level() -> None:
    right = np.ones((2, 2000), bool)
    curves = [Curve(name, (10, 100, 1000), (right, right, right)) for name in "ab"]
    assert crossover(*efficiencies(curves)).why == "level all along"


def test_models_without_a_size_in_common_are_not_compared() -> None:
    right = np.ones((1, 50), bool)
    curves = [Curve("a", (10, 20), (right, right)), Curve("b", (30, 40), (right, right))]
    assert crossover(*efficiencies(curves)).why == "no size in common"


def test_one_seed_each_gives_an_interval_over_test_images() -> None:
    of = efficiencies(study(replace(INSIDE, seeds=1), np.random.default_rng(0)))
    assert not any(each.seeds_covered for each in of)
    here = crossover(*of)
    assert here.images
    assert here.low
    assert here.low < here.images
