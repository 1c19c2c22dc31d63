"""Plain data types of a search; imports no Keras, so that schedulers and progress displays start fast."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, auto

from bench.records.spec import TrialSpec, Value

TRIAL_PREFIX = "trial "


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How a tuner spends a budget."""

    candidates: int  # distinct hyperparameter combinations
    tasks: int  # trials, including continuations of earlier trials
    epochs: int  # trained in total


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """A trial proposed by the tuner."""

    trial_id: str
    values: Mapping[str, Value]  # active hyperparameters only
    initial_epoch: int  # where training starts, 0 unless the trial continues `parent`
    epochs: int  # at the end, counted from the candidate's first epoch
    parent: str | None  # id of the trial that it continues


class NoProposal(Enum):
    """Why a tuner proposes no trial."""

    WAIT = auto()  # it needs more results first
    END = auto()  # the search is over


@dataclass(frozen=True, slots=True, kw_only=True)
class PendingTrial:
    """A proposed trial without a result."""

    number: int  # order of proposal, from 0
    spec: TrialSpec
    parent: str | None  # id of the trial whose saved state it continues

    @property
    def name(self) -> str:
        """Task name."""
        return trial_name(self.number)


def trial_name(number: int) -> str:
    """Task name of a trial."""
    return f"{TRIAL_PREFIX}{number}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Totals:
    """The progress of a search."""

    trials: int = 0  # ended, including duplicates and failures
    failed: int = 0
    epochs: int = 0  # of all ended trials
    best: float | None = None  # score, in [0, 1]
