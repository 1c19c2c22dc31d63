"""Whole runs of the family `tiny` on digits: their commands and their results."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec
import numpy as np

from bench.records.ledger import RefitEnded, TrialEnded
from bench.records.predictions import Predictions
from bench.records.record import RunRecord, SearchOutcome
from bench.records.store import RunFolder, all_folders
from command_line import call, training_here

DIGITS = ("run", "--dataset", "digits")
SMALL = ("--tuner", "random", "--trials", "5", "--epochs", "10", "--refit-seeds", "2")
TINY = (*DIGITS, "--family", "tiny", *SMALL)
# Small searches that fit the ten candidates of `tiny`; the last four trials of bayesian are not random.
TUNERS = {
    "hyperband": ("--tuner", "hyperband", "--trials", "4", "--epochs", "3", "--refit-seeds", "1"),
    "bayesian": ("--tuner", "bayesian", "--trials", "6", "--epochs", "2", "--refit-seeds", "1", "--max-pending", "2"),
    "grid": ("--tuner", "grid", "--trials", "16", "--epochs", "1", "--refit-seeds", "1"),
}


@dataclass(frozen=True)
class Finished:
    """A finished run."""

    folder: RunFolder
    record: RunRecord
    stdout: str = ""
    stderr: str = ""

    @property
    def results(self) -> Path:
        return self.folder.path.parents[2]

    @property
    def predictions(self) -> Predictions:
        return self.folder.read_predictions(self.record)


def finished(results: Path, family: str, tuner: str = "random") -> Finished:
    """The only run of a family with a tuner, which must be finished."""
    (folder,) = [folder for folder in all_folders(results) if folder.path.name.startswith(f"{family}-{tuner}-")]
    return Finished(folder, folder.read_record())


def without_circumstances(record: RunRecord) -> RunRecord:
    """`record` without everything that may differ when the same run is repeated on the same machine.

    These are times, workers, sessions, run id and commit.
    """
    origin = record.origin
    if isinstance(origin, SearchOutcome):
        trials = tuple(replace(trial, fit_seconds=0.0, task_seconds=0.0, ended_seconds=0.0) for trial in origin.trials)
        origin = msgspec.structs.replace(origin, trials=trials, search_seconds=0.0, overruled_proposals=0)
    refits = tuple(replace(refit, fit_seconds=0.0, task_seconds=0.0) for refit in record.refits)
    return replace(
        record,
        run_id="",
        environment=replace(record.environment, git_commit=None),
        origin=origin,
        refits=refits,
        latency=replace(record.latency, microseconds_per_image=0.0),
        workers=0,
        started="",
        finished="",
        total_seconds=0.0,
        resumed=0,
    )


def assert_equal_runs(first: Finished, second: Finished) -> None:
    """Assert that records are equal except for times and workers, and that predictions are equal."""
    a, b = without_circumstances(first.record), without_circumstances(second.record)
    assert a == b, {name for name in RunRecord.__slots__ if getattr(a, name) != getattr(b, name)}
    for name in Predictions.__slots__:
        assert np.array_equal(getattr(first.predictions, name), getattr(second.predictions, name)), name


def ended_trials(folder: RunFolder) -> list[str]:
    """Ids of the trials with a result in the ledger, in order."""
    return [event.trial.trial_id for event in folder.events() if isinstance(event, TrialEnded)]


def ended_refits(folder: RunFolder) -> list[int]:
    """Numbers of the refits in the ledger, in order."""
    return [event.refit.number for event in folder.events() if isinstance(event, RefitEnded)]


def searches(tuners: Iterable[str], workers: int, cwd: Path) -> Path:
    """The results of searches of `tiny`."""
    with training_here():
        for tuner in tuners:
            call(*DIGITS, "--family", "tiny", "--workers", workers, *TUNERS[tuner], cwd=cwd)
    return cwd / "results"
