"""Events that a run reports while it executes; the command line shows them."""

from collections.abc import Callable
from dataclasses import dataclass

from bench.records.reproductions import Reproduction
from bench.records.store import RunFolder


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One line for the user."""

    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Detail:
    """One line for users who want to see every trial and refit."""

    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """The progress of one run."""

    key: str  # of the run, unique within a call
    run: str  # dataset and model
    stage: str  # "search", "refit", "evaluation"
    trials: int = 0  # ended, failed ones included
    trials_total: int = 0  # 0 for a reference model, or if it is unknown
    failed: int = 0  # trials
    epochs: int  # trained in this stage, including running tasks
    epochs_total: int = 0  # 0 if it is unknown
    best: str | None = None  # score so far, with its name
    seconds_left: float | None  # of this run; None before anything is measured


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFinished:
    """A run is complete."""

    folder: RunFolder  # with its results: the published run if it was reproduced bit for bit
    trained: bool  # False if it was already complete
    reproduction: Reproduction | None = None  # if the run reproduced a published one
    published: RunFolder | None = None  # the run that it reproduced
    warnings: tuple[str, ...] = ()  # lines for the user that --quiet does not hide


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFailed:
    """A run failed; other runs of the same call continue."""

    folder: RunFolder
    reason: str


Outcome = RunFinished | RunFailed
Event = Message | Detail | Progress | Outcome
Report = Callable[[Event], None]
