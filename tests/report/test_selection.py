"""The course of a search."""

from pathlib import Path

import pytest

from bench.report.leaderboard import leaderboard
from bench.report.selection import course
from builders import add_run, make_failed_trial, make_trial


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
