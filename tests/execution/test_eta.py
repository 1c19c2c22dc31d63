"""Estimates of the remaining time, on trials with times worked out by hand."""

import time
from types import SimpleNamespace

import pytest

from bench.execution.eta import Pace
from bench.records.ledger import RefitEnded, TrialEnded
from bench.records.spec import Budget
from builders import make_refit, make_spec, make_trial


def record_trial(pace: Pace, epoch_seconds: float, accuracy: float = 0.8) -> None:
    """A trial of three epochs: one second of tracing in the first, and half a second outside its epochs."""
    seconds = [epoch_seconds + 1, epoch_seconds, epoch_seconds]
    for number, each in enumerate(seconds):
        pace.record_trial_epoch(each, first=number == 0)
    pace.record_trial(make_trial(0, accuracy, task_seconds=3 * epoch_seconds + 0.5), seconds)


def pace(start: float | None = None, limit: float | None = None) -> Pace:
    return Pace(make_spec(budget=Budget(trials=12, epochs=3), refit_seeds=2, precision="float32"), 2, start, limit)


def test_search_has_no_estimate_before_four_trials_are_complete() -> None:
    measured = pace()
    for _ in range(3):
        record_trial(measured, 2.0)
        assert measured.search_seconds_left(8, 24) is None
    record_trial(measured, 2.0)
    # Search: (8 * 0.5 + 24 * 2) / 2 = 26; refits, both at a time: 0.5 + 3 * 2 * 1.2 = 7.7; evaluation: 5.
    assert measured.search_seconds_left(8, 24) == pytest.approx(26 + 7.7 + 5)


def test_one_good_trial_of_another_size_changes_the_estimate_of_the_refits_little() -> None:
    measured = pace()
    for _ in range(4):
        record_trial(measured, 4.0)
    before = measured.search_seconds_left(0, 0)
    record_trial(measured, 1.0, accuracy=0.9)
    after = measured.search_seconds_left(0, 0)
    # 0.5 + 3 * 4 * 1.2 + 5, then 0.5 + 3 * 3 * 1.2 + 5, since the best three take 1, 4 and 4 s.
    assert before == pytest.approx(19.9)
    assert after == pytest.approx(16.3)


def test_time_limit_reserves_time_for_refits_and_evaluation() -> None:
    limited = pace(start=time.perf_counter() - 10, limit=122.7)
    record_trial(limited, 2.0)
    seconds = limited.seconds_until_cut()
    # 112.7 - 7.7 - 5, as above; (100 - 0.5) / 2 epochs.
    assert seconds == pytest.approx(100, abs=1)
    assert limited.epochs_until_cut() == pytest.approx(49.75, abs=1)


def test_resumed_run_knows_the_times_of_earlier_trials_and_refits() -> None:
    resumed, time_ = pace(start=time.perf_counter() - 10, limit=122.7), "2026-01-01T00:00:00+00:00"
    trial = TrialEnded(time=time_, trial=make_trial(0, 0.8, fit_seconds=6.0, task_seconds=6.5))
    resumed.record_ledger([trial])
    # As above: three epochs of 2 s, and half a second outside them.
    assert resumed.seconds_until_cut() == pytest.approx(100, abs=1)
    assert resumed.epochs_until_cut() == pytest.approx(49.75, abs=1)
    resumed.record_ledger([RefitEnded(time=time_, refit=make_refit(0, fit_seconds=15.0))])
    # The other refit has three epochs of 5 s.
    assert resumed.refit_seconds_left(1, 0, 3) == pytest.approx(3 * 5 + 0.5 + 5)


def test_epochs_that_an_own_fit_trains_again_are_no_overhead() -> None:
    limited, resumed = pace(time.perf_counter() - 10, 122.7), pace(time.perf_counter() - 10, 122.7)
    trial = make_trial(0, 0.8, initial_epoch=1, retrained_epochs=1, fit_seconds=6.0, task_seconds=6.5)
    for seconds in (2.0, 2.0, 2.0):
        limited.record_trial_epoch(seconds, first=False)
    limited.record_trial(trial, [2.0, 2.0, 2.0])
    resumed.record_ledger([TrialEnded(time="2026-01-01T00:00:00+00:00", trial=trial)])
    for each in (limited, resumed):  # as above
        assert each.epochs_until_cut() == pytest.approx(49.75, abs=1)


def test_time_limit_excludes_waits_for_other_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [110.0]
    monkeypatch.setattr("bench.execution.eta.time", SimpleNamespace(perf_counter=lambda: now[0]))
    limited = pace(start=100, limit=70)
    limited.wait()
    now[0] += 1
    limited.wait()
    now[0] += 2
    assert limited.seconds_until_cut() == 60
    assert limited.end_wait() == 3
    assert limited.end_wait() == 0
    now[0] += 4
    assert limited.seconds_until_cut() == 56


def test_without_a_time_limit_trials_are_never_cut() -> None:
    assert pace().seconds_until_cut() is None
    assert pace().epochs_until_cut() == float("inf")


def test_refits_are_estimated_from_their_own_epochs() -> None:
    measured = pace()
    record_trial(measured, 2.0)
    for first, seconds in ((True, 9.0), (False, 5.0)):
        measured.record_refit_epoch(seconds, first=first)
    # One of two refits has started: (4 * 5 + 0.5) / 2 + 5.
    assert measured.refit_seconds_left(2, 1, 4) == pytest.approx(15.25)


def test_first_epoch_of_a_refit_which_includes_tracing_does_not_stand_for_the_others() -> None:
    measured = pace()
    record_trial(measured, 2.0)
    measured.record_refit_epoch(9.0, first=True)
    # One of two refits has started: (5 * 2 * 1.2 + 0.5) / 2 + 5.
    assert measured.refit_seconds_left(2, 1, 5) == pytest.approx(11.25)
