"""Training state of a model: weights, random generators and optimizer."""

from collections.abc import Sequence
from typing import Any

import keras

from bench.training.outcome import State


def get_state(model: keras.Model) -> State:
    """Copy the state of `model`."""
    return [keras.ops.convert_to_numpy(variable) for variable in _variables(model)]


def set_state(model: keras.Model, state: State) -> None:
    """Restore a state saved from a model of the same architecture."""
    model.optimizer.build(model.trainable_variables)
    for variable, value in zip(_variables(model), state, strict=True):
        variable.assign(value)


def _variables(model: keras.Model) -> Sequence[Any]:
    # `variables` includes the layers' random states, so that dropout continues its sequence.
    return [*model.variables, *model.optimizer.variables]
