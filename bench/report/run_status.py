"""`bench runs`: the status of every run in a results folder, finished or not."""

import textwrap
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd

from bench.errors import BenchError
from bench.evaluation.text import counted
from bench.records.ledger import ended_proposals, ended_refits, ended_trials
from bench.records.record import TrialRecord
from bench.records.spec import RunSpec, SearchSpec
from bench.records.store import RunFolder, all_folders
from bench.report.narrow_table import narrow_table
from bench.report.runs import read_record

MAX_PROBLEM_LENGTH = 60  # characters in the table; the JSON has the whole text


@dataclass(frozen=True, slots=True, kw_only=True)
class RunStatus:
    """The progress of a run."""

    run_id: str
    dataset: str
    spec: RunSpec | None = None  # None if it cannot be read
    finished: bool = False
    reproduces: str | None = None  # run id of the published run that this one reproduced with other predictions
    reproductions: int = 0  # of this run
    trials: int = 0  # ended, including failed and duplicate ones
    epochs: int = 0  # trained by them, which duplicates were not
    refits: int = 0
    started: str | None = None  # ISO 8601, UTC
    last_event: str | None = None  # ISO 8601, UTC: when it finished, or the last event in its ledger
    disk_bytes: int
    problem: str | None = None  # why it cannot be read


def run_statuses(results: Path) -> tuple[RunStatus, ...]:
    """The status of every run under `results`, by dataset and run id."""
    return tuple(_status(folder) for folder in all_folders(results))


def _status(folder: RunFolder) -> RunStatus:
    status = RunStatus(run_id=folder.run_id, dataset=folder.dataset, disk_bytes=folder.disk_bytes())
    try:
        return _finished(folder, status) if folder.finished else _unfinished(folder, status)
    except BenchError as error:
        return replace(status, problem=str(error))


def _finished(folder: RunFolder, status: RunStatus) -> RunStatus:
    record = read_record(folder)
    folder.read_predictions(record)
    return replace(
        status,
        spec=record.spec,
        finished=True,
        reproduces=record.reproduces,
        reproductions=len(folder.reproductions()),
        trials=len(record.trials),
        epochs=_trained_epochs(record.trials),
        refits=len(record.refits),
        started=record.started,
        last_event=record.finished,
    )


def _unfinished(folder: RunFolder, status: RunStatus) -> RunStatus:
    spec, events = folder.read_spec(), folder.events()
    return replace(
        status,
        spec=spec,
        trials=len(ended_proposals(events)),
        epochs=_trained_epochs(ended_trials(events).values()),
        refits=len(ended_refits(events)),
        started=events[0].time if events else None,
        last_event=events[-1].time if events else None,
    )


def _trained_epochs(trials: Iterable[TrialRecord]) -> int:
    return sum(trial.trained_epochs for trial in trials if trial.duplicate_of is None)


def runs_table(statuses: Sequence[RunStatus]) -> str:
    """The runs as a table for the terminal."""
    if not statuses:
        return "No runs yet."
    return narrow_table(
        pd.DataFrame(
            {
                "run": status.run_id,
                "dataset": status.dataset,
                "state": _state_text(status),
                "started (UTC)": _minute(status.started),
                "last event (UTC)": _minute(status.last_event),
                "size (MB)": f"{status.disk_bytes / 1e6:.1f}",
            }
            for status in statuses
        )
    )


def _minute(time: str | None) -> str:
    return "" if time is None else time[:16].replace("T", " ")


def _state_text(status: RunStatus) -> str:
    """The state of a run; the number of trials is open, since a tuner may end early or propose duplicates."""
    if status.finished:
        return "finished" + (f", reproduction of {status.reproduces}" if status.reproduces is not None else "")
    if status.spec is None:
        return f"unreadable: {_shortened(status)}"
    refits = f"{status.refits} of {counted(status.spec.refit_seeds, 'refit')}"
    if not isinstance(status.spec, SearchSpec):
        return f"unfinished: {refits}"
    epochs = f"{status.epochs} of {counted(status.spec.budget.total_epochs, 'epoch')}"
    return f"unfinished: {counted(status.trials, 'trial')}, {epochs}, {refits}"


def _shortened(status: RunStatus) -> str:
    """The beginning of the problem, without the path of the run's folder."""
    problem = str(status.problem)
    first_line = (problem.partition(f"/{status.run_id}/")[2] or problem).partition("\n")[0]
    return textwrap.shorten(first_line, MAX_PROBLEM_LENGTH, placeholder="...")
