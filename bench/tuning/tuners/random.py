"""Random search: independent uniform draws from the space, each trained to full length."""

import keras_tuner

from bench.records.spec import SearchSpec
from bench.tuning.tuner import Tuner, settings


class RandomSearch(Tuner):
    """Random search, without repetition.

    Source: Bergstra and Bengio, Random Search for Hyper-Parameter Optimization, JMLR 13, 2012.
    """

    needs_results = False

    def oracle(self, spec: SearchSpec, hyperparameters: keras_tuner.HyperParameters) -> keras_tuner.Oracle:
        """Keras Tuner's random search over as many trials as the budget has."""
        return keras_tuner.oracles.RandomSearchOracle(max_trials=spec.budget.trials, **settings(spec, hyperparameters))


TUNER = RandomSearch()
