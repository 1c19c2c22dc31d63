"""Which labels and outputs a compiled loss expects."""

from typing import Any, Literal

import keras
import numpy as np

from bench.training.custom import UnsuitableModelError, one_line

Encoding = Literal["integer", "one-hot"]

_INTEGER = ("sparse_categorical_crossentropy", "categorical_generalized_cross_entropy")


def encoding_of(model: keras.Model, classes: int) -> Encoding:
    """The label encoding that the loss of a compiled model expects.

    A loss that is not Keras' own is tried with both.

    Raises:
        UnsuitableModelError: it accepts neither.
    """
    loss = model.loss
    if loss is None:  # computed by the model itself
        return "integer"
    if isinstance(loss, list | tuple | dict):
        raise UnsuitableModelError(f"expected one loss, since there is one output, found {len(loss)}")
    name, is_built_in = _name(loss), _is_built_in(loss)
    if any(name == each or name == each.replace("_", "") for each in _INTEGER):
        return "integer"
    return "one-hot" if is_built_in else _by_trial(loss, classes)


def expects_probabilities(loss: Any) -> bool:
    """Whether a loss is a cross-entropy of Keras that expects probabilities, not logits."""
    return _is_built_in(loss) and "crossentropy" in _name(loss).replace("_", "") and not expects_logits(loss)


def expects_logits(loss: Any) -> bool:
    """Whether a loss has from_logits=True."""
    return isinstance(loss, keras.losses.Loss) and _is_built_in(loss) and loss.get_config().get("from_logits", False)


def loss_name(model: keras.Model) -> str:
    """For readers."""
    return "its own loss" if model.loss is None else _name(model.loss)


def _name(loss: Any) -> str:
    function = _function(loss)
    return str(getattr(function, "__name__", type(function).__name__)).lower()


def _is_built_in(loss: Any) -> bool:
    return str(getattr(_function(loss), "__module__", "")).startswith("keras.")


def _function(loss: Any) -> Any:
    """The function or class that a loss names or wraps."""
    if isinstance(loss, str):
        loss = keras.losses.get(loss)
    if isinstance(loss, keras.losses.Loss):
        loss = getattr(loss, "fn", None) or type(loss)
    return loss


def _by_trial(loss: Any, classes: int) -> Encoding:
    """Try integer labels, then one-hot ones, on a batch whose size is not the number of classes."""
    size = classes + 1
    labels = np.arange(size) % classes
    outputs = keras.ops.convert_to_tensor(np.full((size, classes), 1 / classes, dtype=np.float32))
    encodings: dict[Encoding, Any] = {"integer": labels, "one-hot": np.eye(classes, dtype=np.float32)[labels]}
    errors = []
    for encoding, encoded in encodings.items():
        try:
            value = keras.ops.convert_to_numpy(loss(keras.ops.convert_to_tensor(encoded), outputs))
        except Exception as error:  # noqa: BLE001 - a user's code may raise anything
            errors.append(f"{encoding} labels: {one_line(error)}")
            continue
        if value.shape in ((), (size,)) and np.isfinite(value).all():
            return encoding
        errors.append(f"{encoding} labels: values of shape {value.shape}")
    raise UnsuitableModelError(f"the loss accepts neither integer nor one-hot labels: {'; '.join(errors)}")
