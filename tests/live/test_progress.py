"""The progress of a run as its ledger shows it."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from bench.live.page import dots, facts, live_page
from bench.live.progress import RunProgress, run_progress, unfinished_runs
from bench.records.ledger import (
    LedgerEvent,
    PlannedSearch,
    RefitEnded,
    SessionOptions,
    SessionStarted,
    TrialEnded,
    TrialProposed,
)
from bench.records.record import TrialRecord
from bench.records.spec import Budget, RunSpec
from builders import (
    add_run,
    make_dataset,
    make_environment,
    make_failed_trial,
    make_predictions,
    make_reference_spec,
    make_refit,
    make_run,
    make_spec,
    make_trial,
    write_unfinished_run,
)

START = datetime(2026, 1, 1, tzinfo=UTC)
PLAN = PlannedSearch(trials=6, epochs=18)


def at(seconds: float) -> str:
    return (START + timedelta(seconds=seconds)).isoformat(timespec="milliseconds")


def started(workers: int = 2, plan: PlannedSearch | None = PLAN, scheduler: str | None = None) -> SessionStarted:
    options = SessionOptions(workers=workers, scheduler=scheduler)
    return SessionStarted(
        time=at(0), environment=make_environment(), dataset=make_dataset(), options=options, plan=plan
    )


def proposed(trial: TrialRecord) -> TrialProposed:
    return TrialProposed(
        time=at(1),
        trial_id=trial.trial_id,
        values=trial.values,
        initial_epoch=trial.initial_epoch,
        epochs=3,
        parent=trial.parent,
    )


def ended(number: int, accuracy: float = 0.8, second: float = 100) -> list[LedgerEvent]:
    """Three epochs of 10 s each, in a task of 36 s, so that 6 s are overhead."""
    trial = make_trial(number, accuracy, fit_seconds=30.0, task_seconds=36.0, ended_seconds=second)
    return [proposed(trial), TrialEnded(time=at(second), trial=trial)]


def shown(
    events: Sequence[LedgerEvent], spec: RunSpec | None = None, second: float = 100, *, is_running: bool = True
) -> RunProgress:
    spec = spec or make_spec(budget=Budget(trials=6, epochs=3))
    return run_progress("run", spec, events, START + timedelta(seconds=second), is_running=is_running)


def flat(parts: Sequence[Sequence[LedgerEvent]]) -> list[LedgerEvent]:
    return [event for part in parts for event in part]


def test_run_that_has_just_started_has_no_score_and_no_time() -> None:
    progress = shown([started()])
    assert (progress.stage, progress.ended_trials, progress.best, progress.seconds_left) == ("search", 0, None, None)
    assert facts(progress)["best validation accuracy"] == "no score yet"


def test_trials_and_epochs_are_counted_and_the_best_is_named() -> None:
    failed = make_failed_trial(2, "ValueError")
    events = [started(), *ended(0, 0.7), *ended(1, 0.9), proposed(failed), TrialEnded(time=at(90), trial=failed)]
    progress = shown(events)
    assert (progress.ended_trials, progress.epochs) == (3, 9)
    assert progress.best is not None
    assert progress.best.trial_id == "0001"
    assert facts(progress)["trials"] == "3 of 6 (1 failed)"
    assert facts(progress)["best validation accuracy"] == "90.00%"
    assert [dot.is_best for dot in dots(progress)] == [False, True]


def test_duplicate_of_an_ended_trial_has_ended_too() -> None:
    duplicate = make_trial(0, 0.8, trial_id="0009")
    assert shown([started(), *ended(0), proposed(duplicate)]).ended_trials == 2


def test_time_left_of_a_search_is_that_of_trials_refits_and_evaluation() -> None:
    # 4 of 6 trials have ended. The last two are running: 6 epochs of 10 s on 2 workers, 30 s.
    # 3 refits on 2 workers take two rounds of 6 s + 3 epochs of 1.2 * 10 s, 84 s; the evaluation 5 s.
    events = [started(), *flat([ended(number) for number in range(4)])]
    assert shown(events).seconds_left == pytest.approx(30 + 84 + 5)
    assert shown(events, second=120).seconds_left == pytest.approx(30 + 84 + 5 - 20)
    assert shown(events, second=900).seconds_left == 0


def test_time_limit_cuts_the_search_short() -> None:
    # As above, but after 100 of 200 s. Refits and evaluation take 89 s, so that the search has only 11 s left.
    events = [started(), *flat([ended(number) for number in range(4)])]
    spec = make_spec(budget=Budget(trials=6, epochs=3), time_limit=200)
    assert shown(events, spec).seconds_left == pytest.approx(100, abs=0.1)
    assert shown(events, spec, second=120).seconds_left == pytest.approx(80, abs=0.1)


def test_time_left_of_refits() -> None:
    # One refit of 3 epochs, which take 20 s / 3 each, is left; the evaluation takes 5 s.
    search = flat([ended(number) for number in range(6)])
    refits = [RefitEnded(time=at(100), refit=make_refit(number, fit_seconds=20.0)) for number in range(2)]
    progress = shown([started(), *search, *refits])
    assert progress.stage == "refit"
    assert progress.seconds_left == pytest.approx(20 + 5)


def test_share_covers_search_and_refits_and_never_decreases() -> None:
    # 18 epochs of trials; 3 refits of 3 epochs, which cost 1.2 of a trial each: 10.8. Together 28.8.
    refits: list[LedgerEvent] = [RefitEnded(time=at(100), refit=make_refit(number)) for number in range(3)]
    search = flat([ended(number) for number in range(6)])
    cut = TrialEnded(time=at(100), trial=make_trial(1, 0.8, status="cut"))
    assert shown([started(), *search[:6]]).share == pytest.approx(9 / 28.8)
    assert shown([started(), *search]).share == pytest.approx(18 / 28.8)
    assert shown([started(), *ended(0), cut]).share == pytest.approx(18 / 28.8)
    assert shown([started(), *search, refits[0]]).share == pytest.approx(21.6 / 28.8)
    assert shown([started(), *search, *refits]).share == pytest.approx(1)
    assert shown([started(plan=None), refits[0]], make_reference_spec()).share == pytest.approx(1 / 3)


def test_time_on_a_cluster_of_unknown_size_is_unknown() -> None:
    events = [started(scheduler="tcp://127.0.0.1:1"), *flat([ended(number) for number in range(4)])]
    assert shown(events).seconds_left is None


def test_interrupted_run_has_no_time_left() -> None:
    events = [started(), *flat([ended(number) for number in range(4)])]
    progress = shown(events, is_running=False)
    assert progress.seconds_left is None
    assert facts(progress)["stage"] == "search, interrupted"
    assert "time left" not in facts(progress)


def test_stage_follows_trials_refits_and_a_time_limit() -> None:
    search = flat([ended(number) for number in range(6)])
    refits: list[LedgerEvent] = [RefitEnded(time=at(100), refit=make_refit(number)) for number in range(3)]
    cut = TrialEnded(time=at(100), trial=make_trial(1, 0.8, status="cut"))
    assert shown([started(), *search[:-1]]).stage == "search"
    assert shown([started(), *search]).stage == "refit"
    assert shown([started(), *ended(0), cut]).stage == "refit"
    assert shown([started(), *search, *refits]).stage == "evaluation"
    assert shown([started(plan=None)], make_reference_spec()).stage == "refit"


def test_ledger_without_a_plan_shows_the_budget() -> None:
    progress = shown([started(plan=None), *ended(0)])
    assert facts(progress)["trials"] == "1"
    assert facts(progress)["epochs (completed trials)"] == "3 of 18"


def test_running_runs_come_first(tmp_path: Path) -> None:
    names = ("cnn", "dense")
    record = make_run(make_predictions(), spec=make_spec())
    folders = {name: write_unfinished_run(tmp_path, make_spec(family=name), record) for name in names}
    for name in names:
        with folders[name].lock():
            first, second = unfinished_runs(tmp_path)
        assert isinstance(first, RunProgress)
        assert isinstance(second, RunProgress)
        assert (first.spec.model, first.is_running, second.is_running) == (name, True, False)


def test_only_unfinished_runs_are_shown_and_damaged_ones_are_named(tmp_path: Path) -> None:
    add_run(tmp_path)
    assert unfinished_runs(tmp_path) == ()
    waiting = live_page(tmp_path, ()).html
    assert f"No unfinished run in <code>{tmp_path}</code>: waiting for one." in waiting
    assert f"python -m bench run --family cnn --results {tmp_path}" in waiting
    assert f'data-command="python -m bench serve --results {tmp_path}"' in waiting
    spec = make_spec(family="cnn")
    record = make_run(make_predictions(), spec=spec)
    folder = write_unfinished_run(tmp_path, spec, record, refits=1)
    (run,) = unfinished_runs(tmp_path)
    html = live_page(tmp_path, (run,)).html
    assert spec.name in html
    assert "1 of 3" in html
    assert "from 80.00% to 91.00%" in html
    assert f"python -m bench resume {folder.path.name} --results {tmp_path}" in html
    with folder.lock():
        assert "python -m bench resume" not in live_page(tmp_path, unfinished_runs(tmp_path)).html
    folder.spec_file.write_text("{")
    assert "cannot be read" in live_page(tmp_path, unfinished_runs(tmp_path)).html
