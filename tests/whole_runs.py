"""Whole runs of the family `tiny` on digits: their commands, and what they leave."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bench.records.predictions import Predictions
from bench.records.record import RunRecord, comparable
from bench.records.store import RunFolder, all_folders
from command_line import run

DIGITS = ("run", "--dataset", "digits")
SMALL = ("--tuner", "random", "--trials", "5", "--epochs", "10", "--seeds", "2")
TINY = (*DIGITS, "--family", "tiny", *SMALL)
# Small searches that the other tuners accept for the ten candidates of `tiny`; bayesian's last four are not random.
TUNERS = {
    "hyperband": ("--tuner", "hyperband", "--trials", "4", "--epochs", "3", "--seeds", "1"),
    "bayesian": ("--tuner", "bayesian", "--trials", "6", "--epochs", "2", "--seeds", "1", "--lookahead", "2"),
    "grid": ("--tuner", "grid", "--trials", "10", "--epochs", "1", "--seeds", "1"),
}


@dataclass(frozen=True)
class Finished:
    """A run with its record."""

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
    """The one finished run of a family by a tuner."""
    (folder,) = [folder for folder in all_folders(results) if folder.path.name.startswith(f"{family}-{tuner}-")]
    return Finished(folder, folder.read_record())


def assert_equal_runs(one: Finished, other: Finished) -> None:
    """Records equal but for what may differ, predictions equal without exception."""
    here, there = comparable(one.record), comparable(other.record)
    assert here == there, {name for name in RunRecord.__slots__ if getattr(here, name) != getattr(there, name)}
    for name in Predictions.__slots__:
        assert np.array_equal(getattr(one.predictions, name), getattr(other.predictions, name)), name


def told(folder: RunFolder) -> list[str]:
    """Ids of the trials that the ledger has results of."""
    return [event.trial.trial_id for event in folder.events() if event.trial is not None]


def refitted(folder: RunFolder) -> list[int]:
    return [event.refit.number for event in folder.events() if event.refit is not None]


def searches(tuners: Iterable[str], workers: int, cwd: Path) -> Path:
    """The results of searches of `tiny`."""
    for tuner in tuners:
        run(*DIGITS, "--family", "tiny", "--workers", workers, *TUNERS[tuner], cwd=cwd)
    return cwd / "results"
