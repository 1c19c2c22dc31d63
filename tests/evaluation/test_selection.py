"""The value of a search budget."""

from itertools import combinations

import numpy as np
import pytest

from bench.errors import MetricError
from bench.evaluation.selection import crossover, expected_best_score


def test_expected_best_score_is_the_mean_over_all_subsets() -> None:
    scores = np.array([0.3, 0.9, 0.5, 0.7, 0.7])
    expected = [np.mean([max(subset) for subset in combinations(scores, n)]) for n in range(1, 6)]
    assert expected_best_score(scores) == pytest.approx(np.array(expected))


def test_expected_best_score_without_trials_is_rejected() -> None:
    with pytest.raises(MetricError, match="at least one trial"):
        expected_best_score(np.array([]))


def test_significant_crossover_has_an_interval() -> None:
    random = np.random.default_rng(0)
    narrow, wide = 0.8 + 0.01 * random.standard_normal(400), 0.7 + 0.1 * random.standard_normal(400)
    result = crossover(narrow, wide)
    assert result is not None
    # The expected best of 4 normal values is 1.03 standard deviations above the mean: 0.7 + 0.1 x 1.03 = 0.803 against
    # 0.8 + 0.01 x 1.03 = 0.810; of 5, 1.16: 0.816 against 0.812.
    assert 3 < result.trials < 7
    assert result.low < result.trials < result.high


def test_equal_searches_have_no_significant_crossover() -> None:
    random = np.random.default_rng(1)
    assert crossover(0.8 + 0.01 * random.standard_normal(30), 0.8 + 0.01 * random.standard_normal(30)) is None


def test_search_that_is_always_better_has_no_crossover() -> None:
    random = np.random.default_rng(2)
    assert crossover(0.9 + 0.001 * random.standard_normal(30), 0.7 + 0.001 * random.standard_normal(30)) is None
