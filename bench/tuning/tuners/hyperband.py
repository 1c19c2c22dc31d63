"""Hyperband: many short trials, the best of which are promoted to longer ones."""

from itertools import pairwise
from typing import Any

import keras_tuner
import numpy as np

from bench.compat.keras_tuner import draw_in_turn, hyperband_brackets
from bench.errors import SearchError
from bench.records.spec import SearchSpec
from bench.seeds import derive_seed
from bench.tuning.proposer import Proposer, simulate
from bench.tuning.space import count_candidates, enumerate_candidates, parameters
from bench.tuning.trials import Plan
from bench.tuning.tuner import Tuner, settings


class Hyperband(Tuner):
    """Hyperband, with as many full iterations as the epoch budget allows.

    Args:
        factor: the epochs of a rung are those of the previous one times this factor, and about one trial of so many is
            promoted.

    Source: Li et al., Hyperband: A Novel Bandit-Based Approach to Hyperparameter Optimization, JMLR 18, 2018.
    """

    def __init__(self, factor: int = 3) -> None:
        self.factor = factor

    def oracle(self, spec: SearchSpec, hyperparameters: keras_tuner.HyperParameters) -> keras_tuner.Oracle:
        """Keras Tuner's Hyperband.

        In a space with fewer than twice as many candidates as are drawn, every candidate is drawn before any is drawn
        again. Random draws would repeat earlier ones so often that Keras Tuner might end the search.

        Raises:
            SearchError: the budget is below one iteration.
        """
        budget, once = spec.budget, self._one_iteration(spec)
        iterations = budget.total_epochs // once.epochs
        if iterations < 1:
            raise SearchError(
                f"one Hyperband iteration with --epochs {budget.epochs} trains {once.epochs} epochs, but the budget is "
                f"{budget.trials} trials x {budget.epochs} = {budget.total_epochs}: "
                f"raise --trials to {-(-once.epochs // budget.epochs)} or choose --tuner random"
            )
        oracle = self._oracle(spec, hyperparameters, iterations)
        space = parameters(hyperparameters)
        size = count_candidates(space)
        if size is not None and size < 2 * once.candidates * iterations:
            candidates = list(enumerate_candidates(space))
            random = np.random.default_rng(derive_seed(spec.seed, "order"))
            draw_in_turn(oracle, [candidates[index] for index in random.permutation(size)])
        return oracle

    def promotable(self, oracle: keras_tuner.Oracle) -> set[str]:
        """In each rung, the best trials that still fit into the next rung, and trials without a score."""
        promotable: set[str] = set()
        for bracket in hyperband_brackets(oracle):
            for rung, next_rung in pairwise(bracket):
                room = next_rung.size - len(next_rung.trials)
                trials = [oracle.trials[trial_id] for trial_id in rung.trials if trial_id not in next_rung.promoted]
                # Stable and descending, as HyperbandOracle.populate_space chooses.
                scored = sorted((t for t in trials if t.status == "COMPLETED"), key=lambda t: t.score, reverse=True)
                pending = (t for t in trials if t.status not in ("COMPLETED", "FAILED", "INVALID"))
                promotable |= {t.trial_id for t in (*scored[:room], *(pending if room else ()))}
        return promotable

    def _one_iteration(self, spec: SearchSpec) -> Plan:
        # With an infinite space: in a small one Hyperband runs out of new candidates, and the simulation would end
        # early.
        infinite = keras_tuner.HyperParameters()
        infinite.Float("any", 0, 1)
        return simulate(Proposer(self._oracle(spec, infinite, 1), spec.budget.epochs))

    def _oracle(self, spec: SearchSpec, hyperparameters: keras_tuner.HyperParameters, iterations: int) -> Any:
        return keras_tuner.oracles.HyperbandOracle(
            max_epochs=spec.budget.epochs,
            factor=self.factor,
            hyperband_iterations=iterations,
            **settings(spec, hyperparameters),
        )


TUNER = Hyperband()
