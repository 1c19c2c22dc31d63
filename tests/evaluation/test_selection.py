"""What a search's budget bought."""

from itertools import combinations

import numpy as np
import pytest

from bench.errors import MetricError
from bench.evaluation.selection import crossover, expected_best_score


def test_expected_best_is_the_mean_over_all_choices() -> None:
    scores = np.array([0.3, 0.9, 0.5, 0.7, 0.7])
    expected = [np.mean([max(chosen) for chosen in combinations(scores, n)]) for n in range(1, 6)]
    assert expected_best_score(scores) == pytest.approx(np.array(expected))


def test_expected_best_of_nothing_is_refused() -> None:
    with pytest.raises(MetricError, match="one trial or more"):
        expected_best_score(np.array([]))


def test_curves_that_cross_for_sure() -> None:
    random = np.random.default_rng(0)
    narrow, wide = 0.8 + 0.01 * random.standard_normal(400), 0.7 + 0.1 * random.standard_normal(400)
    found = crossover(narrow, wide)
    assert found is not None
    # The best of two of a normal distribution lies 0.564 deviations above its mean, of three 0.846, of four 1.03:
    # 0.7 + 0.1 x 1.03 = 0.803 and 0.8 + 0.01 x 1.03 = 0.810, of five 0.816 and 0.812.
    assert 3 < found.trials < 7
    assert found.low < found.trials < found.high


def test_curves_of_equal_searches_cross_nowhere_for_sure() -> None:
    random = np.random.default_rng(1)
    assert crossover(0.8 + 0.01 * random.standard_normal(30), 0.8 + 0.01 * random.standard_normal(30)) is None


def test_curves_of_a_better_family_do_not_cross() -> None:
    random = np.random.default_rng(2)
    assert crossover(0.9 + 0.001 * random.standard_normal(30), 0.7 + 0.001 * random.standard_normal(30)) is None
