"""The progress of an unfinished run, from its files alone, so that any process can show it."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from bench.errors import BenchError
from bench.execution.eta import EVALUATION_SECONDS, REFIT_EPOCH, Pace
from bench.execution.session import session_seconds
from bench.records.ledger import LedgerEvent, PlannedSearch, ended_proposals, ended_refits, ended_trials, sessions
from bench.records.record import TrialRecord
from bench.records.spec import RunSpec, SearchSpec
from bench.records.store import RunFolder, all_folders

Stage = Literal["search", "refit", "evaluation"]


@dataclass(frozen=True, slots=True, kw_only=True)
class RunProgress:
    """What an unfinished run has done so far."""

    run_id: str
    spec: RunSpec
    dataset: str  # title
    stage: Stage
    is_running: bool  # otherwise it was interrupted
    trials: tuple[TrialRecord, ...]  # ended, in the order of their end, without duplicates
    ended_trials: int  # including duplicates
    epochs: int  # of ended trials, including duplicates
    planned_trials: int | None  # None for a reference model, and if the ledger is of an earlier version
    planned_epochs: int  # at most; 0 for a reference model
    refits: int
    idle_seconds: float  # since the last event
    seconds_left: float | None  # None if unknown, and for an interrupted run

    @property
    def best(self) -> TrialRecord | None:
        """The trial with the best score; None if no trial has one."""
        return max((trial for trial in self.trials if trial.status == "ok"), key=lambda each: each.score, default=None)

    @property
    def share(self) -> float:
        """How much of the planned training of search and refits is done, in [0, 1], by epochs.

        A search that ended early counts as done, so that the share never decreases from stage to stage.
        """
        spec = self.spec
        refit = spec.refit_epochs * REFIT_EPOCH[spec.precision] if isinstance(spec, SearchSpec) else 1
        search = min(self.epochs, self.planned_epochs) if self.stage == "search" else self.planned_epochs
        return (search + self.refits * refit) / (self.planned_epochs + spec.refit_seeds * refit)


@dataclass(frozen=True, slots=True, kw_only=True)
class UnreadableRun:
    """A run whose files cannot be read."""

    run_id: str
    problem: str


def unfinished_runs(results: Path) -> tuple[RunProgress | UnreadableRun, ...]:
    """Every unfinished run of a results folder: running ones first, then those with the latest events."""
    runs = []
    for folder in all_folders(results):
        is_running = folder.in_use  # asked first, since a run that finishes at this moment was not interrupted
        if not folder.finished:
            runs.append(_run(folder, is_running=is_running))
    return tuple(sorted(runs, key=_place))


def _place(run: RunProgress | UnreadableRun) -> tuple[bool, float]:
    return (not run.is_running, run.idle_seconds) if isinstance(run, RunProgress) else (False, 0.0)


def _run(folder: RunFolder, *, is_running: bool) -> RunProgress | UnreadableRun:
    try:
        return run_progress(
            folder.run_id, folder.read_spec(), folder.events(), datetime.now(UTC), is_running=is_running
        )
    except BenchError as error:
        return UnreadableRun(run_id=folder.run_id, problem=str(error))


def run_progress(
    run_id: str, spec: RunSpec, events: Sequence[LedgerEvent], now: datetime, *, is_running: bool
) -> RunProgress:
    """The progress that a ledger shows at the time `now`."""
    started = sessions(events)
    trials, refits, ended = tuple(ended_trials(events).values()), ended_refits(events), ended_proposals(events)
    plan = next((event.plan for event in reversed(started) if event.plan is not None), None)
    budget = spec.budget.total_epochs if isinstance(spec, SearchSpec) else 0
    idle = 0.0 if not events else (now - datetime.fromisoformat(events[-1].time)).total_seconds()
    progress = RunProgress(
        run_id=run_id,
        spec=spec,
        dataset=started[-1].dataset.title if started else spec.dataset,
        stage=_stage(spec, plan, trials, len(ended), len(refits)),
        is_running=is_running,
        trials=trials,
        ended_trials=len(ended),
        epochs=sum(event.epochs - event.initial_epoch for event in ended),
        planned_trials=None if plan is None else plan.trials,
        planned_epochs=budget if plan is None else plan.epochs,
        refits=len(refits),
        idle_seconds=max(0.0, idle),
        seconds_left=None,
    )
    return _with_time_left(progress, events) if is_running else progress


def _stage(spec: RunSpec, plan: PlannedSearch | None, trials: Sequence[TrialRecord], ended: int, refits: int) -> Stage:
    if refits == spec.refit_seeds:
        return "evaluation"
    is_cut = any(trial.status == "cut" for trial in trials)
    is_over = is_cut or refits > 0 or (plan is not None and ended >= plan.trials)
    return "search" if isinstance(spec, SearchSpec) and not is_over else "refit"


def _with_time_left(progress: RunProgress, events: Sequence[LedgerEvent]) -> RunProgress:
    """With the time left as `bench run` estimates it, from whole trials and refits instead of single epochs."""
    options = next((session.options for session in reversed(sessions(events))), None)
    if options is None or options.scheduler is not None:  # the number of workers of a cluster is unknown
        return progress
    spec, idle = progress.spec, progress.idle_seconds
    limit = None
    if isinstance(spec, SearchSpec) and spec.time_limit is not None:
        limit = spec.time_limit - session_seconds(events)  # from the last event
    pace = Pace(spec, options.workers, limit=limit)
    pace.record_ledger(events)
    left = _seconds_after_last_event(progress, pace, options.workers)
    return replace(progress, seconds_left=None if left is None else max(0.0, left - idle))


def _seconds_after_last_event(progress: RunProgress, pace: Pace, workers: int) -> float | None:
    if progress.stage == "evaluation":
        return EVALUATION_SECONDS
    if progress.stage == "search":
        trials = (progress.planned_trials or 0) - progress.ended_trials
        return pace.search_seconds_left(trials - workers, progress.planned_epochs - progress.epochs)
    refits = progress.spec.refit_seeds - progress.refits
    return pace.refit_seconds_left(refits, min(refits, workers), refits * progress.spec.refit_epochs)
