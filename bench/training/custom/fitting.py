"""Train a model by the `fit` of its hypermodel, and check what it reports."""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras
import keras_tuner
import numpy as np

from bench.training.batches import TrainingData
from bench.training.custom import UnsuitableModelError
from bench.training.custom.interface import ADVICE, Interface
from bench.training.custom.shared_arrays import passing_shared_tensors, shared_inputs
from bench.training.scoring import Scored

ACCURACIES = ("accuracy", "acc", "sparse_categorical_accuracy", "categorical_accuracy")
ACCURACY_TOLERANCE = 0.002  # or MAX_IMAGES: in other batches, rounding may change a few predictions
MAX_IMAGES = 2
LOSS_TOLERANCE = 0.05  # relative; older versions of Keras do not weight the last, smaller batch
OPTIONAL = ("epochs", "verbose")  # arguments that a `fit` may set itself

Logs = Mapping[str, float]
Fit = Callable[..., Any]


def fit_by_itself(
    fit: Fit,
    hp: keras_tuner.HyperParameters,
    model: keras.Model,
    data: TrainingData,
    interface: Interface,
    *,
    epochs: int,
    callbacks: Sequence[keras.callbacks.Callback],
) -> list[dict[str, float]]:
    """Call the `fit` of a hypermodel as Keras Tuner does, with arrays.

    Returns:
        What it reports for each epoch, as far as it does: `loss`, `accuracy`, `val_loss`, `val_accuracy`.
    """
    arguments: dict[str, Any] = {"epochs": epochs, "callbacks": list(callbacks), "verbose": 0}
    if data.held_back is not None:
        arguments["validation_data"] = _arrays(data, data.held_back, interface)
    if data.class_weights is not None:
        arguments["class_weight"] = dict(enumerate(map(float, data.class_weights)))
    with passing_shared_tensors(model):
        result = call(fit, hp, model, _arrays(data, data.fitted, interface), arguments)
    if isinstance(result, keras.callbacks.History):
        history = result.history.items()
        # A metric may have fewer values, such as one that is measured every second epoch.
        lengths = max((len(values) for _, values in history), default=0)
        return [known({name: values[n] for name, values in history if n < len(values)}) for n in range(lengths)]
    return [known(result)] if isinstance(result, Mapping) else []


def call(
    fit: Fit,
    hp: keras_tuner.HyperParameters,
    model: keras.Model,
    pair: tuple[Any, Any],
    arguments: Mapping[str, Any],
    *,
    own: list[str] | None = None,
) -> Any:
    """Call a `fit`, without those of the OPTIONAL arguments that it passes to `model.fit` itself.

    Args:
        fit: of a hypermodel.
        hp: hyperparameters.
        model: the model.
        pair: training images and labels.
        arguments: of `model.fit`, by name.
        own: the names of the arguments that it sets itself are appended.

    Raises:
        UnsuitableModelError: it does not take the arguments, or sets another one itself.
    """
    given = dict(arguments)
    while True:
        try:
            return fit(hp, model, *pair, **given)
        except TypeError as error:
            # Python raises it before `model.fit` is entered, so that nothing has been trained yet.
            if (name := _argument(error, "multiple values for keyword argument")) in given:
                if name not in OPTIONAL:
                    raise UnsuitableModelError(
                        f"its fit passes its own {name} to model.fit: use those that it is given, kwargs[{name!r}], too"
                    ) from error
                del given[name]
                if own is not None:
                    own.append(name)
            elif (name := _argument(error, "unexpected keyword argument")) in given:
                raise UnsuitableModelError(
                    f"its fit does not take {name}: expected def fit(self, hp, model, *args, **kwargs), which passes "
                    "on *args and **kwargs to model.fit"
                ) from error
            else:
                raise


class FitReachedError(Exception):
    """`model.fit` was called with `labels`."""

    def __init__(self, labels: Any) -> None:
        super().__init__()
        self.labels = labels


def stop(x: Any = None, y: Any = None, *_arguments: Any, **named: Any) -> None:  # noqa: ARG001 - those of model.fit
    """Takes the place of `model.fit`.

    Raises:
        FitReachedError: always.
        UnsuitableModelError: it validates on training images.
    """
    if named.get("validation_split"):
        raise UnsuitableModelError(
            "its fit must validate on the images that it is given, instead of validation_split: pass on validation_data"
        )
    raise FitReachedError(y)


def _argument(error: TypeError, problem: str) -> str:
    match = re.search(rf"{problem} '(\w+)'", str(error))
    return match[1] if match else ""


def known(logs: Mapping[str, Any]) -> dict[str, float]:
    """Loss and accuracy among the values that Keras or a `fit` reports for an epoch, under their usual names."""
    values = {}
    for prefix in ("", "val_"):
        if f"{prefix}loss" in logs:
            values[f"{prefix}loss"] = float(logs[f"{prefix}loss"])
        accuracy = next((float(logs[name]) for each in ACCURACIES if (name := prefix + each) in logs), None)
        if accuracy is not None and 0 <= accuracy <= 1:
            values[f"{prefix}accuracy"] = accuracy
    return values


def check_agreement(logs: Sequence[Logs], scored: Scored) -> None:
    """Compare what `fit` reported for the validation images with what the suite measured after it.

    The weights after `fit` may be those of the last epoch or, as with early stopping, those of an earlier one.

    Raises:
        UnsuitableModelError: no such epoch agrees.
    """
    epochs = [each for each in logs if "val_accuracy" in each or "val_loss" in each]
    if not epochs:
        return
    if not any(_agrees(each, scored) for each in epochs):
        reported = ", ".join(f"{name} {value:.4f}" for name, value in epochs[-1].items() if name.startswith("val_"))
        raise UnsuitableModelError(
            f"its fit reported {reported} in the last epoch, but on the validation images that it was given the model "
            f"has accuracy {scored.accuracy:.4f} and loss {scored.loss:.4f}: {ADVICE}, since what fit does to images "
            "never reaches the test images, and let it validate on validation_data"
        )


def _agrees(logs: Logs, scored: Scored) -> bool:
    tolerance = max(ACCURACY_TOLERANCE, (MAX_IMAGES + 0.5) / len(scored.labels))
    accuracy, loss = logs.get("val_accuracy", scored.accuracy), logs.get("val_loss", scored.loss)
    return abs(accuracy - scored.accuracy) <= tolerance and bool(
        np.isclose(loss, scored.loss, rtol=LOSS_TOLERANCE, atol=0.01)
    )


def _arrays(data: TrainingData, indices: Any, interface: Interface) -> tuple[Any, Any]:
    return shared_inputs(data.dataset, indices, interface), data.batching.labels(data.dataset.labels[indices])
