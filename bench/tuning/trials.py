"""Plain data of a search. Imports no Keras, so that schedulers and progress displays start fast."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, auto

from bench.records.spec import TrialSpec, Value

TRIAL_PREFIX = "trial "


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How a tuner spends a budget."""

    candidates: int  # distinct hyperparameter values
    tasks: int  # trainings, those that continue an earlier trial included
    epochs: int  # trained in total


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """A trial that the tuner wants trained."""

    trial_id: str
    values: Mapping[str, Value]  # active hyperparameters only
    initial_epoch: int  # where training starts, 0 unless the trial continues `parent`
    epochs: int  # reached at the end, counted from the candidate's first epoch
    parent: str | None  # trial id that this one continues


class NoProposal(Enum):
    """Why a tuner proposes nothing."""

    WAIT = auto()  # it needs more results first
    END = auto()  # the search is over


@dataclass(frozen=True, slots=True, kw_only=True)
class PendingTrial:
    """A proposed trial that has no result yet."""

    number: int  # order of proposal, from 0
    spec: TrialSpec
    parent: str | None  # trial id whose saved state it can continue from

    @property
    def name(self) -> str:
        """The name of the task that trains it."""
        return trial_name(self.number)


def trial_name(number: int) -> str:
    """The task name of the trial with that number."""
    return f"{TRIAL_PREFIX}{number}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Totals:
    """The progress of a search."""

    trials: int = 0  # ended, duplicates and failed ones included
    failed: int = 0
    epochs: int = 0  # of all ended trials
    best: float | None = None  # score, in [0, 1]
