"""The names of the arguments of `fit`, which a search passes on to a tuner, its hypermodel and its models."""

import inspect
from collections.abc import Collection, Sequence
from typing import Any

import keras

from bench.compat import own_tuner as compat
from bench.training.own_tuner.content import VARIABLE


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
    own_trial = _has_own_trial(tuner)
    if more or own_trial:
        model_names, more = _keywords(model.fit, 0)
        names |= model_names
        more = more or own_trial or not fit.__module__.startswith("keras_tuner.")
    return names, more


def missing_arguments(tuner: Any, arguments: Sequence[Any], named: Collection[str]) -> list[str]:
    """Names of the parameters of the user's own `run_trial` or `fit` that would get no value.

    Args:
        tuner: the user's.
        arguments: of its search.
        named: names of its other arguments.
    """
    missing = [name for name in _required(tuner.run_trial, 1 + len(arguments)) if name not in named]
    if tuner.hypermodel is not None and not _has_own_trial(tuner):
        given = {*named, "callbacks", "epochs", "initial_epoch"}  # Keras Tuner gives the last three
        missing += [name for name in _required(tuner.hypermodel.fit, 2 + len(arguments)) if name not in given]
    return missing


def trains_by_keras(tuner: Any, callbacks: Collection[Any]) -> bool:
    """Whether trials do nothing but call the `fit` of Keras, without any code of the user's own; builds a model."""
    hypermodel = tuner.hypermodel
    if hypermodel is None or any(isinstance(each, keras.callbacks.LambdaCallback) for each in callbacks):
        return False
    modules = [each.__module__ for each in (type(tuner), hypermodel.fit, *map(type, callbacks))]
    if not all(each.startswith(("keras.", "keras_tuner.")) for each in modules):
        return False
    try:
        model = hypermodel.build(tuner.oracle.get_space())
    except Exception:  # noqa: BLE001 - the user's code may raise anything; trials report it
        return False
    return type(model).__module__.startswith("keras.") and "fit" not in vars(model)


def takes(function: Any, name: str) -> bool:
    """Whether a function may be called with an argument of that name."""
    names, more = _keywords(function, 0)
    return more or name in names


def _has_own_trial(tuner: Any) -> bool:
    return compat.overridden(tuner, "run_trial") or compat.overridden(tuner, "_build_and_fit_model")


def _required(function: Any, first: int) -> list[str]:
    """Names of the parameters of a function from the one at index `first` that have no default."""
    # Not of a function that it may wrap, with other arguments.
    parameters = list(inspect.signature(function, follow_wrapped=False).parameters.values())[first:]
    return [each.name for each in parameters if each.default is each.empty and each.kind not in VARIABLE]


def _keywords(function: Any, first: int) -> tuple[set[str], bool]:
    """Names of the parameters of a function from the one at index `first`, and whether it has `**named`."""
    parameters = list(inspect.signature(function).parameters.values())
    return {each.name for each in parameters[first:]}, any(each.kind is each.VAR_KEYWORD for each in parameters)
