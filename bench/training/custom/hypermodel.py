"""What a user's object is: a hypermodel, a class of them, or a function; how it is called."""

import inspect
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import keras
import keras_tuner

from bench.compat.own_tuner import overridden
from bench.machine import silence_prints
from bench.training.custom import UnsuitableModelError

EXPECTED = "expected a subclass of Family, a keras_tuner.HyperModel (class or instance), or a function build_model(hp)"


@dataclass(frozen=True, slots=True, kw_only=True)
class Hypermodel:
    """How to build candidates and, if the hypermodel overrides `fit`, how to train them."""

    build: Callable[[keras_tuner.HyperParameters], Any]
    fit: Callable[..., Any] | None  # takes hp, the model, and the arguments of keras.Model.fit; None if not overridden


def hypermodel(obj: Any, image_shape: tuple[int, int, int], classes: int) -> Hypermodel:
    """Convert what `--family` names.

    Parameters called `input_shape`, `image_shape`, `classes`, `num_classes` or `n_classes`, of the function or of the
    class's `__init__`, are given those of the dataset.

    Raises:
        UnsuitableModelError: it is something else, or needs other arguments.
    """
    known: dict[str, Any] = dict.fromkeys(("input_shape", "image_shape"), image_shape)
    known |= dict.fromkeys(("classes", "num_classes", "n_classes"), classes)
    if isinstance(obj, type) and issubclass(obj, keras_tuner.HyperModel):
        obj = _silently(obj)(**_arguments(obj, known, skipped=0))
    if isinstance(obj, keras_tuner.HyperModel):
        return Hypermodel(build=_silently(obj.build), fit=_silently(obj.fit) if overridden(obj, "fit") else None)
    if isinstance(obj, keras.Model) or not callable(obj):
        article = "a model" if isinstance(obj, keras.Model) else repr(obj)
        raise UnsuitableModelError(f"it is {article}: {EXPECTED}")
    arguments = _arguments(obj, known, skipped=1)
    return Hypermodel(build=_silently(partial(obj, **arguments)), fit=None)


def _silently(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function without what it prints, such as a summary of the model or a progress bar, and without warnings.

    Otherwise each candidate would repeat them.
    """

    def silent(*arguments: Any, **named: Any) -> Any:
        with silence_prints(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return function(*arguments, **named)

    return silent


def _arguments(function: Callable[..., Any], known: dict[str, Any], skipped: int) -> dict[str, Any]:
    """The arguments of a function, after the first `skipped` ones, whose values are known."""
    name = getattr(function, "__name__", repr(function))
    parameters = list(inspect.signature(function).parameters.values())
    named = [each for each in parameters if each.kind not in (each.VAR_POSITIONAL, each.VAR_KEYWORD)]
    if len(named) < skipped and not any(each.kind is each.VAR_POSITIONAL for each in parameters):
        raise UnsuitableModelError(f"{name} takes no hyperparameters: expected a function build_model(hp)")
    others = named[skipped:]
    missing = [each.name for each in others if each.default is each.empty and each.name not in known]
    if missing:
        raise UnsuitableModelError(
            f"{name} needs the argument{'s' if len(missing) > 1 else ''} {', '.join(missing)}: give defaults, or name "
            f"an instance; known are only {', '.join(known)}"
        )
    return {each.name: known[each.name] for each in others if each.name in known}
