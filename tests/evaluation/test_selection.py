"""What a search's budget bought."""

from itertools import combinations
from pathlib import Path

import numpy as np
import pytest

from bench.errors import MetricError
from bench.evaluation.selection import crossing, expected_best
from bench.report.leaderboard import leaderboard
from bench.report.selection import course
from builders import add_run, make_failed_trial, make_trial


def test_expected_best_is_the_mean_over_all_choices() -> None:
    scores = np.array([0.3, 0.9, 0.5, 0.7, 0.7])
    expected = [np.mean([max(chosen) for chosen in combinations(scores, n)]) for n in range(1, 6)]
    assert expected_best(scores) == pytest.approx(np.array(expected))


def test_expected_best_of_nothing_is_refused() -> None:
    with pytest.raises(MetricError, match="one trial or more"):
        expected_best(np.array([]))


def test_curves_that_cross_for_sure() -> None:
    random = np.random.default_rng(0)
    narrow, wide = 0.8 + 0.01 * random.standard_normal(400), 0.7 + 0.1 * random.standard_normal(400)
    found = crossing(narrow, wide)
    assert found is not None
    at, low, high = found
    # The best of two of a normal distribution lies 0.564 deviations above its mean, of three 0.846, of four 1.03:
    # 0.7 + 0.1 x 1.03 = 0.803 and 0.8 + 0.01 x 1.03 = 0.810, of five 0.816 and 0.812.
    assert 3 < at < 7
    assert low < at < high


def test_curves_of_equal_searches_cross_nowhere_for_sure() -> None:
    random = np.random.default_rng(1)
    assert crossing(0.8 + 0.01 * random.standard_normal(30), 0.8 + 0.01 * random.standard_normal(30)) is None


def test_curves_of_a_better_family_do_not_cross() -> None:
    random = np.random.default_rng(2)
    assert crossing(0.9 + 0.001 * random.standard_normal(30), 0.7 + 0.001 * random.standard_normal(30)) is None


def test_course_counts_epochs_of_all_and_the_best_of_full_length(tmp_path: Path) -> None:
    trials = (
        make_trial(0, 0.95, epochs=1),  # best, but not of full length
        make_trial(1, 0.91),
        make_failed_trial(2, "no"),
        make_trial(3, 0.85),
        make_trial(4, 0.93, initial_epoch=1, parent="0000"),
    )
    add_run(tmp_path, spec={"tuner": "hyperband"}, trials=trials)
    (table,) = leaderboard(tmp_path).tables
    found = course(table.rows[0])
    assert found is not None
    assert list(found.epochs) == [4, 7, 9]
    assert list(found.seconds) == [24.0, 48.0, 60.0]
    assert list(found.best) == [0.91, 0.91, 0.93]


def test_course_of_a_random_search_is_the_expected_one(tmp_path: Path) -> None:
    trials = tuple(make_trial(number, score) for number, score in enumerate((0.9, 0.91, 0.5)))
    add_run(tmp_path, trials=trials)
    (table,) = leaderboard(tmp_path).tables
    found = course(table.rows[0])
    assert found is not None
    assert found.best == pytest.approx((0.77, (0.91 + 0.91 + 0.9) / 3, 0.91))
