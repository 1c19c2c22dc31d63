"""The state of a model in training: weights, random generators and optimizer."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

State = list[NDArray[np.generic]]  # every variable of the model, then every variable of its optimizer


def get_state(model: keras.Model) -> State:
    """A copy of the state of `model`."""
    return [keras.ops.convert_to_numpy(variable) for variable in _variables(model)]


def set_state(model: keras.Model, state: State) -> None:
    """Continue from `state`, which a model of the same architecture had."""
    model.optimizer.build(model.trainable_variables)
    for variable, value in zip(_variables(model), state, strict=True):
        variable.assign(value)


def _variables(model: keras.Model) -> Sequence[Any]:
    # `variables` includes the layers' random states, so that dropout continues its sequence.
    return [*model.variables, *model.optimizer.variables]
