"""Training state of a model: weights, random generators and optimizer."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from bench.training.outcome import State


def create_variables(model: keras.Model, labels: NDArray[Any], output_shape: Sequence[int]) -> None:
    """Create the variables of the optimizer and of the metrics.

    `fit` would create them while it traces the training step, and then trace it again, which takes a second.

    Args:
        model: built and compiled.
        labels: of a few examples, as `fit` receives them.
        output_shape: of the model's output, without the batch.
    """
    _build_optimizer(model)
    model.compute_metrics(None, labels, np.zeros((len(labels), *output_shape), np.float32))
    model.reset_metrics()


def get_state(model: keras.Model) -> State:
    """Copy the state of `model`."""
    return [keras.ops.convert_to_numpy(variable) for variable in _variables(model)]


def set_state(model: keras.Model, state: State) -> None:
    """Restore a state saved from a model of the same architecture."""
    _build_optimizer(model)
    for variable, value in zip(_variables(model), state, strict=True):
        variable.assign(value)


def _build_optimizer(model: keras.Model) -> None:
    if not model.optimizer.built:  # that of a mixed_float16 model would get its variables twice
        model.optimizer.build(model.trainable_variables)


def averages_weights(model: keras.Model) -> bool:
    """Whether `fit` ends by replacing the weights by their moving average (`use_ema` of the optimizer)."""
    optimizer = getattr(model, "optimizer", None)  # a model with a loop of its own may not be compiled
    return bool(getattr(getattr(optimizer, "inner_optimizer", optimizer), "use_ema", False))


@contextmanager
def averaged_weights(model: keras.Model) -> Iterator[None]:
    """Give `model` the weights with which `fit` would end now."""
    if not averages_weights(model):
        yield
        return
    weights = [keras.ops.convert_to_numpy(variable) for variable in model.trainable_variables]
    model.optimizer.finalize_variable_values(model.trainable_variables)
    yield
    for variable, value in zip(model.trainable_variables, weights, strict=True):
        variable.assign(value)


def _variables(model: keras.Model) -> Sequence[Any]:
    # `variables` includes the layers' random states, so that dropout continues its sequence.
    return [*model.variables, *model.optimizer.variables]
