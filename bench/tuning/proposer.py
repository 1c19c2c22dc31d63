"""A Keras Tuner oracle as a source of proposals: in memory, and without internal hyperparameters."""

import warnings
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Protocol

from bench.compat.keras_tuner import keep_in_memory, keep_values
from bench.records.spec import Value, candidate_key
from bench.tuning.trials import NoProposal, Plan, Proposal

if TYPE_CHECKING:
    import keras_tuner

OBJECTIVE = "val_accuracy"
# Prefix of Keras Tuner's internal values, which it stores among a trial's hyperparameters.
_INTERNAL = "tuner/"


class ProposalSource(Protocol):
    """What a search needs of a Proposer, which may be in another process."""

    max_pending: int | None

    def propose(self) -> Proposal | NoProposal:
        """The next trial, or why there is none."""

    def overrule(self, trial_id: str, values: Mapping[str, Value]) -> None:
        """Replace the proposed hyperparameters of a trial by those it is trained with."""

    def report(self, trial_id: str, score: float | None, error: str | None = None) -> None:
        """Report a trial's score, validation accuracy in [0, 1]; None if it failed with `error`."""

    def promotable(self) -> set[str]:
        """Ids of trials that may still be promoted."""


class Proposer:
    """One search's oracle. The same calls in the same order give the same proposals."""

    def __init__(
        self,
        oracle: "keras_tuner.Oracle",
        epochs: int,
        *,
        max_pending: int | None = None,
        promotable: "Callable[[keras_tuner.Oracle], set[str]] | None" = None,
    ) -> None:
        """Wrap an oracle.

        Args:
            oracle: maximizes `val_accuracy`.
            epochs: length of a full trial.
            max_pending: how many trials may await their results, by default; None for no limit.
            promotable: ids of trials that the oracle may still promote; None if it promotes none.
        """
        self.oracle = oracle
        self.max_pending = max_pending
        self._epochs = epochs
        self._promotable = promotable
        self._proposed = 0
        oracle.verbose = 0
        keep_in_memory(oracle)  # the ledger stores all trials
        keep_values(oracle)

    def propose(self) -> Proposal | NoProposal:
        """The next trial, or why there is none."""
        trial = create_trial(self.oracle, self._proposed)
        if isinstance(trial, NoProposal):
            return trial
        self._proposed += 1
        values = trial.hyperparameters.values
        return Proposal(
            trial_id=trial.trial_id,
            # Bayesian optimization proposes numbers of NumPy, which JSON does not have.
            values={
                name: value.item() if hasattr(value, "item") else value
                for name, value in values.items()
                if not name.startswith(_INTERNAL)
            },
            initial_epoch=int(values.get("tuner/initial_epoch", 0)),
            epochs=int(values.get("tuner/epochs", self._epochs)),
            parent=values.get("tuner/trial_id"),
        )

    def overrule(self, trial_id: str, values: Mapping[str, Value]) -> None:
        """Replace the proposed hyperparameters of a trial by those it is trained with."""
        hyperparameters = self.oracle.get_trial(trial_id).hyperparameters
        internal = {name: value for name, value in hyperparameters.values.items() if name.startswith(_INTERNAL)}
        hyperparameters.values = {**values, **internal}

    def report(self, trial_id: str, score: float | None, error: str | None = None) -> None:
        """Report a trial's score, validation accuracy in [0, 1]; None if it failed with `error`."""
        trial = self.oracle.get_trial(trial_id)
        if score is None:
            trial.status, trial.message = "FAILED", error
        else:
            self.oracle.update_trial(trial_id, {OBJECTIVE: score})
            trial.status = "COMPLETED"
        self.oracle.end_trial(trial)

    def promotable(self) -> set[str]:
        """Ids of trials that the oracle may still promote; saved states of all others are deleted."""
        return set() if self._promotable is None else self._promotable(self.oracle)


def create_trial(oracle: "keras_tuner.Oracle", slot: int) -> Any:
    """The oracle's next trial for the worker number `slot`, or the NoProposal that says why there is none."""
    with warnings.catch_warnings():
        # scikit-learn's Gaussian process warns about every bound it reaches.
        warnings.filterwarnings("ignore", module="sklearn")
        trial = oracle.create_trial(f"slot{slot}")
    return {"IDLE": NoProposal.WAIT, "STOPPED": NoProposal.END}.get(trial.status, trial)


def simulate(proposer: Proposer) -> Plan:
    """Count the trials that a search will train, by simulating it with equal scores."""
    proposals = []
    while isinstance(proposal := proposer.propose(), Proposal):
        proposer.report(proposal.trial_id, 0.5)
        proposals.append(proposal)
    return Plan(
        candidates=len({candidate_key(proposal.values) for proposal in proposals}),
        trials=len(proposals),
        epochs=sum(proposal.epochs - proposal.initial_epoch for proposal in proposals),
    )
