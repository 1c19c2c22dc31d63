"""`bench runs`: the status of every run in a results folder, finished or not."""

from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from bench.errors import BenchError
from bench.records.ledger import RefitEnded, TrialEnded
from bench.records.record import TrialRecord
from bench.records.spec import RunSpec, SearchSpec
from bench.records.store import RunFolder, all_folders
from bench.report.markdown import plain_table
from bench.report.runs import read_record


@dataclass(frozen=True, slots=True, kw_only=True)
class RunStatus:
    """The progress of a run."""

    run_id: str
    dataset: str
    spec: RunSpec | None  # None if it cannot be read
    finished: bool
    reproduces: str | None  # run id of the published run that this one reproduced with other predictions
    reproductions: int  # of this run
    trials: int  # ended, including failed and duplicate ones
    epochs: int  # trained by them, as the budget counts
    refits: int
    started: str | None  # ISO 8601, UTC
    last_event: str | None  # ISO 8601, UTC: when it finished, or the last event in its ledger
    disk_bytes: int
    problem: str | None  # why it cannot be read


def run_statuses(results: Path) -> tuple[RunStatus, ...]:
    """The status of every run under `results`, by dataset and run id."""
    return tuple(_status(folder) for folder in all_folders(results))


def _status(folder: RunFolder) -> RunStatus:
    try:
        return _finished(folder) if folder.finished else _unfinished(folder)
    except BenchError as error:
        return _describe(folder, problem=str(error))


def _finished(folder: RunFolder) -> RunStatus:
    record = read_record(folder)
    folder.read_predictions(record)
    return _describe(
        folder,
        spec=record.spec,
        trials=record.search.trials if record.search is not None else (),
        refits=len(record.refits),
        finished=True,
        reproduces=record.reproduces,
        reproductions=len(folder.reproductions()),
        started=record.started,
        last_event=record.finished,
    )


def _unfinished(folder: RunFolder) -> RunStatus:
    spec, events = folder.read_spec(), folder.events()
    return _describe(
        folder,
        spec=spec,
        trials=tuple(event.trial for event in events if isinstance(event, TrialEnded)),
        refits=sum(isinstance(event, RefitEnded) for event in events),
        started=events[0].time if events else None,
        last_event=events[-1].time if events else None,
    )


def _describe(
    folder: RunFolder,
    *,
    spec: RunSpec | None = None,
    trials: tuple[TrialRecord, ...] = (),
    refits: int = 0,
    finished: bool = False,
    reproduces: str | None = None,
    reproductions: int = 0,
    started: str | None = None,
    last_event: str | None = None,
    problem: str | None = None,
) -> RunStatus:
    return RunStatus(
        run_id=folder.path.name,
        dataset=folder.path.parent.name,
        spec=spec,
        finished=finished,
        reproduces=reproduces,
        reproductions=reproductions,
        trials=len(trials),
        epochs=sum(trial.epochs - trial.initial_epoch for trial in trials if trial.duplicate_of is None),
        refits=refits,
        started=started,
        last_event=last_event,
        disk_bytes=folder.disk_bytes(),
        problem=problem,
    )


def runs_table(statuses: tuple[RunStatus, ...]) -> str:
    """The runs as a table for the terminal."""
    if not statuses:
        return "No runs yet."
    return plain_table(
        pd.DataFrame(
            {
                "run": status.run_id,
                "dataset": status.dataset,
                "state": state_text(status),
                "started (UTC)": status.started or "",
                "last event (UTC)": status.last_event or "",
                "disk (MB)": f"{status.disk_bytes / 1e6:.1f}",
            }
            for status in statuses
        )
    )


def state_text(status: RunStatus) -> str:
    """The state of a run; the number of trials is open, since a tuner may end early or propose duplicates."""
    if status.finished:
        reproduction = f", reproduction of {status.reproduces}" if status.reproduces is not None else ""
        return f"finished{reproduction}"
    if status.spec is None:
        return f"unreadable: {status.problem}"
    refits = f"{status.refits} of {status.spec.refit_seeds} refits"
    if not isinstance(status.spec, SearchSpec):
        return f"unfinished: {refits}"
    return f"unfinished: {status.trials} trials, {status.epochs} of {status.spec.budget.total_epochs} epochs, {refits}"
