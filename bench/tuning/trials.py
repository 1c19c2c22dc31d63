"""Plain data types of a search; imports no Keras, so that schedulers and progress displays start fast."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, auto

from bench.records.record import Curve, TrialRecord
from bench.records.spec import SearchSpec, TrialSpec, Value, trial_seed


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How a tuner spends a budget."""

    candidates: int  # distinct hyperparameter combinations
    trials: int  # including continuations of earlier trials
    epochs: int  # trained in total


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """A trial proposed by the tuner, with the fields of its line in the ledger."""

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
    trial_id: str
    spec: TrialSpec
    parent: str | None  # id of the trial whose saved state it continues
    parent_curve: Curve  # empty without a parent

    @property
    def name(self) -> str:
        """Task name."""
        return trial_name(self.number)

    def record(
        self,
        *,
        ended_seconds: float,
        curve: Curve = Curve(),  # noqa: B008 - immutable
        parameters: int | None = None,
        fit_seconds: float = 0.0,
        task_seconds: float = 0.0,
        error: str | None = None,
        cut: bool = False,
        objective_score: float | None = None,
        unsearched: Mapping[str, Value] | None = None,
        retrained_epochs: int = 0,
    ) -> TrialRecord:
        """The record of this trial, which has ended.

        Args:
            ended_seconds: seconds since the start of the run, excluding pauses and waits for other runs.
            curve: of the epochs that it trained itself.
            parameters: number of weights; None if the model could not be built.
            fit_seconds: wall clock inside fit.
            task_seconds: wall clock of the whole task, in all attempts.
            error: why it failed; None on success.
            cut: whether the time limit ended it.
            objective_score: objective after training; None if it is the last validation accuracy of the curve.
            unsearched: hyperparameters that it used at their defaults, since they are not in the space.
            retrained_epochs: epochs before its first one that were trained again; `curve` then includes them.
        """
        continues = error is None and not retrained_epochs
        curve = self.parent_curve + curve if continues else curve
        return TrialRecord(
            number=self.number,
            trial_id=self.trial_id,
            values=self.spec.values,
            status="failed" if error is not None else "cut" if cut else "ok",
            error=error,
            seed=self.spec.seed,
            parent=self.parent,
            duplicate_of=None,
            initial_epoch=self.spec.initial_epoch,
            epochs=len(curve.validation_accuracy) if cut else self.spec.epochs,
            parameters=parameters,
            curve=curve,
            fit_seconds=fit_seconds,
            task_seconds=task_seconds,
            ended_seconds=ended_seconds,
            objective_score=objective_score,
            unsearched=unsearched or None,
            retrained_epochs=retrained_epochs,
        )


def trial_name(number: int) -> str:
    """Task name of a trial."""
    return f"trial {number}"


def trial_spec(
    spec: SearchSpec, values: Mapping[str, Value], *, initial_epoch: int = 0, epochs: int | None = None
) -> TrialSpec:
    """Training of a candidate of a search, to full length unless `epochs` is given."""
    full = spec.budget.epochs
    return TrialSpec(
        dataset=spec.dataset,
        model=spec.family,
        values=values,
        split=spec.split,
        part="train",
        seed=trial_seed(spec.seed, values),
        initial_epoch=initial_epoch,
        epochs=full if epochs is None else epochs,
        horizon=full,
        multiply_adds=spec.budget.multiply_adds,
        precision=spec.precision,
        keep_state=epochs is not None and epochs < full,
        source=spec.source,
        definition=spec.definition,
        objective=spec.objective,
        class_weights=spec.class_weights,
        pixel_range=spec.pixel_range,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Totals:
    """The progress of a search."""

    trials: int = 0  # ended, including duplicates and failures
    failed: int = 0
    epochs: int = 0  # of all ended trials
    best: float | None = None  # score, in [0, 1]
