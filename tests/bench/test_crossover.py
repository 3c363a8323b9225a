"""The simulation behind bench/crossover.md makes what it says."""

import numpy as np

from bench.crossover import BEYOND, CASES, INSIDE, rows, study


def test_made_answers_have_the_true_error() -> None:
    random = np.random.default_rng(0)
    errors = np.mean([study(INSIDE, random)[0].errors for _ in range(40)], axis=0)
    assert np.allclose(errors, INSIDE.scratch(np.array(INSIDE.sizes)), rtol=0.05)


def test_truth_is_where_the_laws_meet() -> None:
    for case in (INSIDE, BEYOND):
        assert np.isclose(case.scratch(case.truth), case.pretrained(case.truth), rtol=1e-3)
    assert INSIDE.truth < 10_000 < BEYOND.truth


def test_each_case_is_a_row() -> None:
    table = list(rows(studies=1))
    assert len(table) == len(CASES) + 2
    assert all(row.count("|") == 7 for row in table)
