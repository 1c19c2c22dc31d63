"""No search: trains the default value of every hyperparameter, as a model is built without a tuner."""

from typing import Any

import keras_tuner

from bench.records.spec import SearchSpec
from bench.tuning.tuner import Tuner, settings


class DefaultOnly(Tuner):
    """A single trial, whatever the budget: to measure a model, rather than the best of a family."""

    grid_may_replace = False

    def oracle(self, spec: SearchSpec, hyperparameters: keras_tuner.HyperParameters) -> keras_tuner.Oracle:
        """An oracle that proposes the defaults."""
        return _Defaults(**settings(spec, hyperparameters))


class _Defaults(keras_tuner.Oracle):  # type: ignore[misc]
    def populate_space(self, trial_id: str) -> dict[str, Any]:  # noqa: ARG002 - Keras Tuner's signature
        """The defaults of the active hyperparameters, once."""
        if self.trials:
            return {"status": "STOPPED", "values": None}
        hp = self.hyperparameters.copy()
        hp.values = {}
        for each in hp.space:  # parents before dependents
            if hp.is_active(each):
                hp.values[each.name] = each.default
        return {"status": "RUNNING", "values": dict(hp.values)}


TUNER = DefaultOnly()
