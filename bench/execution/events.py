"""What a run tells while it goes on; progress.py shows it."""

from dataclasses import dataclass

from bench.records.store import RunFolder


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One line for the user."""

    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far one family has come."""

    run: str  # dataset and family
    stage: str  # "searching", "refitting", "judging"
    trials: int  # ended
    trials_total: int  # 0 where nothing is searched
    failed: int  # of the trials that ended
    epochs: int  # trained in this stage, running ones included
    epochs_total: int
    best_validation_accuracy: float | None  # so far, fraction in [0, 1]
    seconds_left: float | None  # of this family, None while nothing is measured yet


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished:
    """A run has its record."""

    folder: RunFolder
    trained: bool  # False where it was finished before


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFailed:
    """A run cannot end; the others of the same call go on."""

    folder: RunFolder
    reason: str


Event = Message | Progress | Finished | RunFailed
