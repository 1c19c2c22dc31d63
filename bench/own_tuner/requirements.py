"""What a search can honor: which tuners, and which arguments. Everything else is an error with a remedy."""

import io
import pickle
from collections.abc import Iterator, Mapping
from dataclasses import fields
from difflib import get_close_matches
from types import GeneratorType
from typing import Any

import cloudpickle

from bench.compat import own_tuner as compat
from bench.errors import SpecError
from bench.own_tuner.options import Options
from bench.training.own_tuner.content import KerasSettings, keras_settings
from bench.training.own_tuner.payload import is_large

INSTEAD = "or use tuner.search"
OPTIONS = (*(field.name for field in fields(Options)), "progress")


def check(tuner: Any, arguments: tuple[Any, ...], named: Mapping[str, Any], options: Options) -> None:
    """Check that a search with `tuner` and these arguments of `fit` can run in other processes.

    Raises:
        SpecError: it cannot.
    """
    check_tuner(tuner)
    check_options(tuner, options)
    check_names(tuner, named)
    check_arguments(arguments, named)
    check_data(tuner, arguments, named)
    check_keras(tuner, keras_settings())


def check_tuner(tuner: Any) -> None:
    """Check that the trials of `tuner` can run in other processes.

    Raises:
        SpecError: they cannot.
    """
    if not hasattr(tuner, "oracle") or not hasattr(tuner, "project_dir"):
        if hasattr(getattr(tuner, "__self__", None), "oracle"):
            raise SpecError(f"expected a tuner, got its method {tuner.__name__}: call bench.search(tuner, ...)")
        got = getattr(tuner, "__name__", type(tuner).__name__)
        example = f"keras_tuner.Hyperband({got}, ...)" if callable(tuner) else "keras_tuner.Hyperband(...)"
        raise SpecError(f"expected a Keras Tuner tuner as the first argument, such as {example}, got {got}")
    name = type(tuner).__name__
    if not hasattr(tuner.oracle, "trials"):
        raise SpecError(
            "the tuner's oracle is in another process (KERASTUNER_ORACLE_IP is set): unset the KERASTUNER_ variables, "
            "and choose workers or a scheduler here"
        )
    for method in ("search", "_try_run_and_update_trial", "_run_and_update_trial"):
        if compat.overridden(tuner, method):
            raise SpecError(
                f"{name} overrides {method}, which bench.search replaces: move what it does into run_trial, on_search_"
                f"begin or on_trial_end, {INSTEAD}"
            )
    if getattr(tuner, "distribution_strategy", None) is not None:
        raise SpecError(
            "the tuner has a distribution_strategy, but every worker trains one model on one core: create the tuner "
            f"without it, {INSTEAD}"
        )


def check_keras(tuner: Any, settings: KerasSettings) -> None:
    """Check that workers can train with the script's global settings of Keras.

    Keras Tuner resets the dtype policy before it builds a model, which may set it again.

    Raises:
        SpecError: they cannot.
    """
    if settings.backend != "tensorflow":
        raise SpecError(
            f"Keras runs on {settings.backend}, but workers train with TensorFlow: set KERAS_BACKEND=tensorflow, "
            f"{INSTEAD}"
        )
    own_trial = tuner.hypermodel is None or compat.overridden(tuner, "run_trial")
    if settings.dtype_policy != "float32" and own_trial:
        raise SpecError(
            f"the global dtype policy of Keras is {settings.dtype_policy}: leave it at float32, and choose "
            f"bench.search(..., precision=...) or set the policy inside run_trial, {INSTEAD}"
        )


def check_options(tuner: Any, options: Options) -> None:
    """Check that no option that is set is also an argument of the user's `run_trial` or `fit`, which would not get it.

    Raises:
        SpecError: one is.
    """
    from bench.training.own_tuner.arguments import declared_arguments

    names, _ = declared_arguments(tuner)
    for field in fields(options):
        if field.name in names and getattr(options, field.name) != field.default:
            raise SpecError(
                f"{field.name} is an option of bench.search, and an argument of your run_trial or fit, which does not "
                "get it: rename that argument"
            )


def check_names(tuner: Any, named: Mapping[str, Any]) -> None:
    """Check that `fit` has the named arguments, among which are misspelled options of the search.

    Raises:
        SpecError: it has not, or a name which it may have or not is almost that of an option.
    """
    from bench.training.own_tuner.arguments import declared_arguments

    names, more = declared_arguments(tuner)
    if not more and tuner.hypermodel is not None and not named.keys() <= names:
        # Models of the user's own class may have another `fit`.
        names, more = declared_arguments(tuner, tuner.hypermodel.build(tuner.oracle.get_space()))
    for name in named.keys() - names:
        candidates, similarity = (OPTIONS, 0.75) if more else ((*OPTIONS, *sorted(names)), 0.6)
        nearest = get_close_matches(name, candidates, n=1, cutoff=similarity)
        if more and not nearest:
            continue
        hint = f"did you mean {nearest[0]}?" if nearest else "correct its name, or leave it out"
        if hasattr(tuner, name) or hasattr(tuner.oracle, name):
            hint = "give it to the tuner when you create it"
        remedy = " If fit uses it, add it to the parameters of fit" if more else ""
        raise SpecError(f"bench.search has no option {name!r}, and fit has no such argument: {hint}{remedy}")


def check_arguments(arguments: tuple[Any, ...], named: Mapping[str, Any]) -> None:
    """Check that the arguments of `fit` can be used by several other processes.

    Raises:
        SpecError: one of them cannot.
    """
    callbacks = named.get("callbacks")
    if not isinstance(callbacks, list | None):
        raise SpecError(f"callbacks must be a list, such as callbacks=[...], got {type(callbacks).__name__}")
    for callback in callbacks or ():
        if any(each.__name__ == "BackupAndRestore" for each in type(callback).__mro__):
            raise SpecError(
                f"the callback {type(callback).__name__} would restore the model of another trial, since trials run at "
                "the same time: leave it out; after a kill, bench.search continues with the trials that had ended"
            )
    for label, value in _labeled(arguments, named):
        if isinstance(value, GeneratorType):
            raise SpecError(
                f"{label} is a generator, which only one process can use: pass the function that makes it, without "
                "calling it"
            )
        if _is_dataset(value):
            raise SpecError(
                f"{label} is a tf.data.Dataset, which cannot be sent to worker processes: pass a function that makes "
                "it, such as `def make_data(): return tf.data.Dataset...` and then make_data, without calling it; a "
                "run_trial of your own gets the function, and calls it"
            )


def check_data(tuner: Any, arguments: tuple[Any, ...], named: Mapping[str, Any]) -> None:
    """Check that trials get data, and the objective its validation data, where they certainly need them.

    Raises:
        SpecError: they do not.
    """
    from bench.training.own_tuner.arguments import missing_arguments, trains_by_keras

    if missing := missing_arguments(tuner, arguments, named):
        raise SpecError(
            f"trials need {' and '.join(missing)}: pass what tuner.search got, as in bench.search(tuner, x, y)"
        )
    objective = tuner.oracle.objective
    names = [each.name for each in getattr(objective, "objectives", [objective])]
    validated = named.get("validation_data") is not None or named.get("validation_split") or len(arguments) > 6
    unknown = [] if validated else [name for name in names if name.startswith("val_")]
    has_data = bool(arguments) or named.get("x") is not None
    if (has_data and not unknown) or not trains_by_keras(tuner, named.get("callbacks") or ()):
        return
    if not has_data:
        raise SpecError(
            "no training data: pass it as you would to tuner.search, such as bench.search(tuner, x_train, y_train, "
            "validation_data=...)"
        )
    raise SpecError(f"the objective {unknown[0]} needs validation_data or validation_split")


def check_objects(tuner: Any, arguments: tuple[Any, ...], named: Mapping[str, Any]) -> None:
    """Explain which object cannot be sent to other processes, after pickling all of them has failed.

    Raises:
        SpecError: one of them cannot be pickled.
    """
    callbacks = named.get("callbacks") or ()
    objects = {
        "the hypermodel": getattr(tuner, "hypermodel", None),
        **{f"the callback {type(each).__name__}": each for each in callbacks},
        **dict(_labeled(arguments, {name: value for name, value in named.items() if name != "callbacks"})),
        **{f"the tuner's {name}": value for name, value in vars(tuner).items() if name not in ("oracle", "hypermodel")},
    }
    for label, value in objects.items():
        if (problem := _pickling_problem(value)) is not None:
            raise SpecError(
                f"{label} cannot be sent to worker processes ({problem}): create such objects inside build, fit or "
                f"the function that makes the data, {INSTEAD}"
            )


def _labeled(arguments: tuple[Any, ...], named: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Every argument, and every member of a tuple among them, with a label."""
    positions: list[tuple[int | str, Any]] = [*enumerate(arguments), *named.items()]
    for position, value in positions:
        label = position if isinstance(position, str) else f"argument {position + 1}"
        members = value if isinstance(value, tuple | list) and len(value) <= 3 else ()
        yield from ((f"{label}[{index}]", member) for index, member in enumerate(members))
        yield label, value


def _is_dataset(value: Any) -> bool:
    return any(
        each.__module__.startswith("tensorflow.python.data.") and each.__name__ == "DatasetV2"
        for each in type(value).__mro__
    )


class _Dry(cloudpickle.Pickler):  # type: ignore[misc]
    """Pickles without the content of large arrays."""

    def persistent_id(self, obj: Any) -> str | None:
        return "array" if is_large(obj) else None


def _pickling_problem(value: Any) -> str | None:
    try:
        _Dry(io.BytesIO(), protocol=pickle.HIGHEST_PROTOCOL).dump(value)
    except Exception as error:  # noqa: BLE001 - an object may raise anything
        return f"{type(error).__name__}: {error}"
    return None
