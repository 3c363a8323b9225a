"""Copies on both sides of a split flatter a classifier; whole groups do not."""

import numpy as np

from bench.groups import study


def test_accuracy_is_inflated_without_groups_and_not_with_them() -> None:
    alone, together = ([study(seed, grouped) for seed in range(2)] for grouped in (False, True))

    assert min(one.measured - one.truth for one in alone) > 0.05
    assert abs(np.mean([one.measured - one.truth for one in together])) < 0.03
    assert sum(one.held_by_groups for one in together) >= 1
