"""Bayesian optimization: a Gaussian process fitted to earlier results chooses the next candidate."""

import keras_tuner

from bench.records.spec import SearchSpec
from bench.tuning.tuner import Tuner, settings


class BayesianOptimization(Tuner):
    """Bayesian optimization with an upper confidence bound; the first proposals are random.

    Source: https://keras.io/api/keras_tuner/tuners/bayesian/
    """

    max_pending = 4

    def oracle(self, spec: SearchSpec, hyperparameters: keras_tuner.HyperParameters) -> keras_tuner.Oracle:
        """Keras Tuner's oracle; the first third of the trials, and at least the maximum pending, are random."""
        trials = spec.budget.trials
        return keras_tuner.oracles.BayesianOptimizationOracle(
            max_trials=trials,
            num_initial_points=max(spec.max_pending or self.max_pending, trials // 3),
            **settings(spec, hyperparameters),
        )


TUNER = BayesianOptimization()
