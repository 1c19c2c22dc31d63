"""Random search: random candidates, without repetition, trained to full length."""

import keras_tuner

from bench.records.spec import SearchSpec
from bench.tuning.tuner import Tuner, settings


class RandomSearch(Tuner):
    """Random search, without repetition.

    Source: Bergstra and Bengio, Random Search for Hyper-Parameter Optimization, JMLR 13, 2012.
    """

    def oracle(self, spec: SearchSpec, hyperparameters: keras_tuner.HyperParameters) -> keras_tuner.Oracle:
        """Keras Tuner's random search, with the budget's number of trials."""
        return keras_tuner.oracles.RandomSearchOracle(max_trials=spec.budget.trials, **settings(spec, hyperparameters))


TUNER = RandomSearch()
