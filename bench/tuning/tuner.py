"""The contract for tuners: one file that defines `TUNER`, an instance of a `Tuner` subclass."""

from abc import ABC, abstractmethod
from typing import Any

import keras_tuner

from bench.records.spec import SearchSpec
from bench.seeds import derive_seed
from bench.tuning.proposer import OBJECTIVE, Proposer, simulate
from bench.tuning.trials import Plan

# Keras Tuner ends a search after a few consecutive failures; here only the budget does.
_NEVER = 10**9


class Tuner(ABC):
    """A search strategy: how it spends a budget, and the Keras Tuner oracle that proposes its trials."""

    # How many trials may await their results at once, by default. None if the oracle itself waits for the results that
    # it needs, as Hyperband's does at the end of a rung: then everything that it proposes may be trained at once.
    max_pending: int | None = None
    # Whether grid search replaces it if the budget covers the whole space; no search can do better.
    grid_may_replace: bool = True

    @abstractmethod
    def oracle(self, spec: SearchSpec, hyperparameters: keras_tuner.HyperParameters) -> keras_tuner.Oracle:
        """A new oracle for the declared space; `settings` returns the arguments that all oracles share.

        It may train a candidate in several trials, as Hyperband does: a trial's values `tuner/initial_epoch` and
        `tuner/epochs` are where it starts and ends, and `tuner/trial_id` is the trial that it continues.

        Raises:
            SearchError: the space does not fit the tuner and the budget.
        """

    def plan(self, spec: SearchSpec, hyperparameters: keras_tuner.HyperParameters) -> Plan:
        """The trials that the search will train.

        Raises:
            SearchError: the space does not fit the tuner and the budget.
        """
        budget = spec.budget
        if self.max_pending is not None:
            # Proposals depend on results, which cost too much to simulate: all trials at full length.
            return Plan(candidates=budget.trials, trials=budget.trials, epochs=budget.total_epochs)
        return simulate(Proposer(self.oracle(spec, hyperparameters), budget.epochs))

    def proposer(self, spec: SearchSpec, hyperparameters: keras_tuner.HyperParameters) -> Proposer:
        """A new source of the search's proposals.

        Raises:
            SearchError: the space does not fit the tuner and the budget.
        """
        return Proposer(
            self.oracle(spec, hyperparameters),
            spec.budget.epochs,
            max_pending=self.max_pending,
            promotable=self.promotable,
        )

    def promotable(self, oracle: keras_tuner.Oracle) -> set[str]:  # noqa: ARG002 - for tuners that promote
        """Ids of trials that `oracle` may still promote; saved states of all others are deleted."""
        return set()


def settings(spec: SearchSpec, hyperparameters: keras_tuner.HyperParameters) -> dict[str, Any]:
    """Arguments of every oracle: objective, declared space, seed; failed trials never end a search."""
    return {
        "objective": keras_tuner.Objective(OBJECTIVE, "max"),
        "hyperparameters": hyperparameters,
        "allow_new_entries": False,
        "seed": derive_seed(spec.seed, "oracle"),
        "max_consecutive_failed_trials": _NEVER,
    }
