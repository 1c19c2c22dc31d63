"""The contract of a tuner: one file with one object, `TUNER`, an instance of a subclass of `Tuner`."""

from abc import ABC, abstractmethod
from typing import Any

import keras_tuner

from bench.records.spec import SearchSpec
from bench.seeds import derive_seed
from bench.tuning.proposer import OBJECTIVE, Proposer, rehearse
from bench.tuning.trials import Plan

# Keras Tuner ends a search after a few failures in a row; here only the budget does.
_NEVER = 10**9


class Tuner(ABC):
    """A search strategy: how it spends a budget, and the Keras Tuner oracle that makes its proposals."""

    # Whether later proposals depend on the scores of earlier trials. If not, trials are proposed far ahead, so that
    # any number of workers stays busy.
    needs_results: bool = True

    @abstractmethod
    def oracle(self, spec: SearchSpec, hyperparameters: keras_tuner.HyperParameters) -> keras_tuner.Oracle:
        """A new oracle over the space that `hyperparameters` declare; `settings` gives its usual arguments.

        It may train a candidate in several trials, as Hyperband does: `tuner/initial_epoch` and `tuner/epochs` among
        a trial's values are where it starts and ends, `tuner/trial_id` is the trial that it continues.

        Raises:
            SearchError: the space does not fit the tuner and the budget.
        """

    def plan(self, spec: SearchSpec, hyperparameters: keras_tuner.HyperParameters) -> Plan:
        """The trials that the search will train.

        Raises:
            SearchError: the space does not fit the tuner and the budget.
        """
        return rehearse(Proposer(self.oracle(spec, hyperparameters), spec.budget.epochs))

    def promotable(self, oracle: keras_tuner.Oracle) -> set[str]:  # noqa: ARG002 - for tuners that promote
        """Ids of the trials that `oracle` may still continue; the saved states of all others are removed."""
        return set()


def settings(spec: SearchSpec, hyperparameters: keras_tuner.HyperParameters) -> dict[str, Any]:
    """The arguments that every oracle takes: objective, declared space, seed; failed trials never end a search."""
    return {
        "objective": keras_tuner.Objective(OBJECTIVE, "max"),
        "hyperparameters": hyperparameters,
        "allow_new_entries": False,
        "seed": derive_seed(spec.seed, "oracle"),
        "max_consecutive_failed_trials": _NEVER,
    }
