"""The state of every run in a results folder, finished or not: what `bench runs` shows."""

from dataclasses import dataclass
from pathlib import Path

from tabulate import tabulate

from bench.errors import BenchError
from bench.records.record import RefitRecord, TrialRecord
from bench.records.spec import RunSpec
from bench.records.store import RunFolder, all_folders
from bench.report.runs import read_record


@dataclass(frozen=True, slots=True, kw_only=True)
class RunState:
    """How far a run has come."""

    run_id: str
    dataset: str
    spec: RunSpec | None  # None where it cannot be read
    finished: bool
    trials: int  # told, failed and repeated ones included
    epochs: int  # trained by them; what the budget counts
    refits: int
    started: str | None  # ISO 8601, UTC
    last: str | None  # ISO 8601, UTC: when it was finished, or when something was last known of it
    disk_bytes: int
    problem: str | None  # why it cannot be read


def run_states(results: Path) -> tuple[RunState, ...]:
    """The state of every run under `results`, in the order of dataset and run id."""
    return tuple(_state(folder) for folder in all_folders(results))


def _state(folder: RunFolder) -> RunState:
    try:
        return _finished(folder) if folder.finished else _unfinished(folder)
    except BenchError as error:
        return _describe(folder, problem=str(error))


def _finished(folder: RunFolder) -> RunState:
    record = read_record(folder)
    folder.read_predictions(record)
    return _describe(
        folder,
        spec=record.spec,
        trials=record.trials,
        refits=record.refits,
        finished=True,
        started=record.started,
        last=record.finished,
    )


def _unfinished(folder: RunFolder) -> RunState:
    spec = folder.read_spec()
    events = folder.events()
    return _describe(
        folder,
        spec=spec,
        trials=tuple(event.trial for event in events if event.trial is not None),
        refits=tuple(event.refit for event in events if event.refit is not None),
        started=events[0].time if events else None,
        last=events[-1].time if events else None,
    )


def _describe(
    folder: RunFolder,
    *,
    spec: RunSpec | None = None,
    trials: tuple[TrialRecord, ...] = (),
    refits: tuple[RefitRecord, ...] = (),
    finished: bool = False,
    started: str | None = None,
    last: str | None = None,
    problem: str | None = None,
) -> RunState:
    return RunState(
        run_id=folder.path.name,
        dataset=folder.path.parent.name,
        spec=spec,
        finished=finished,
        trials=len(trials),
        epochs=sum(trial.epochs - trial.initial_epoch for trial in trials if trial.repeats is None),
        refits=len(refits),
        started=started,
        last=last,
        disk_bytes=folder.disk_bytes(),
        problem=problem,
    )


def runs_table(results: Path) -> str:
    """Every run under `results` as a plain-text table."""
    states = run_states(results)
    if not states:
        return "No runs yet."
    rows = [
        {
            "run": state.run_id,
            "dataset": state.dataset,
            "state": progress(state),
            "started (UTC)": state.started or "",
            "last (UTC)": state.last or "",
            "disk, MB": f"{state.disk_bytes / 1e6:.1f}",
        }
        for state in states
    ]
    return tabulate(rows, headers="keys", tablefmt="simple", disable_numparse=True, colalign=["left"] * 5 + ["right"])


def progress(state: RunState) -> str:
    """How far a run has come, in words; trials have no known total, since a tuner may end early or repeat itself."""
    if state.finished:
        return "finished"
    if state.spec is None:
        return f"cannot be read: {state.problem}"
    return (
        f"unfinished: {state.trials} trials, {state.epochs} epochs of a budget of {state.spec.budget.total_epochs}, "
        f"{state.refits} of {state.spec.refit_seeds} refits"
    )
