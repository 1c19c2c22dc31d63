"""The names of the arguments of `fit`, which a search passes on to a tuner, its hypermodel and its models."""

import inspect
from typing import Any

import keras

from bench import compat


def declared_arguments(tuner: Any, model: Any = keras.Model) -> tuple[set[str], bool]:
    """Names of the arguments that the trials of a tuner declare, and whether they may use others, too.

    Args:
        tuner: the user's.
        model: one that its hypermodel builds, or its class.
    """
    names, more = _keywords(tuner.run_trial, 1)
    if not more or tuner.hypermodel is None:
        return names, more
    fit = tuner.hypermodel.fit
    fit_names, more = _keywords(fit, 2)
    names |= fit_names | {"callbacks"}
    own_trial = compat.overridden(tuner, "run_trial") or compat.overridden(tuner, "_build_and_fit_model")
    if more or own_trial:
        model_names, more = _keywords(model.fit, 0)
        names |= model_names
        more = more or own_trial or not fit.__module__.startswith("keras_tuner.")
    return names, more


def _keywords(function: Any, first: int) -> tuple[set[str], bool]:
    """Names of the parameters of a function from the one at index `first`, and whether it has `**named`."""
    parameters = list(inspect.signature(function).parameters.values())
    return {each.name for each in parameters[first:]}, any(each.kind is each.VAR_KEYWORD for each in parameters)
