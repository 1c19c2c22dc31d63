"""What makes two searches the same: settings that must agree before one resumes the other."""

import hashlib
import json
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np

from bench.compat import own_tuner as compat
from bench.errors import SearchError
from bench.own_tuner.ledger import Settings
from bench.own_tuner.options import Options
from bench.training.own_tuner.exchange import Config

PLAIN = (bool, int, float, str, type(None))
# By whether proposals need results, for which a tuner may have an `on_trial_end` of its own. If they do not, any number
# of trials may be trained at once; otherwise as many as by the tuner `bayesian` of this package.
MAX_PENDING = {False: 32, True: 4}
# Of the arguments of `fit`: other data are a warning, and scores hardly depend on callbacks.
NOT_COMPARED = ("verbose", "callbacks", "x", "y", "sample_weight", "validation_data")
MAX_TEXT = 1_000  # characters of a list or a dictionary; longer ones are data
TUNER_OPTIONS = ("loss", "optimizer", "metrics", "max_model_size", "cv", "scoring")  # the last two of SklearnTuner
FAILURES = ("max_retries_per_trial", "max_consecutive_failed_trials")
MAY_CHANGE = ("max_trials", "hyperparameters", "seed", "objective", *FAILURES)
FIX = "Restore it, create the tuner with overwrite=True, or choose another project_name"


def labeled(arguments: Sequence[Any], named: Mapping[str, Any]) -> dict[str, Any]:
    """Arguments of `fit` with a name, and those of its others that are numbers or strings."""
    plain = (*PLAIN, np.number)
    positional = {f"argument {number}": each for number, each in enumerate(arguments, 1) if isinstance(each, plain)}
    return positional | dict(named)


def settings(tuner: Any, arguments: Mapping[str, Any], options: Options, space: Config) -> Settings:
    """The settings of a search.

    Args:
        tuner: the user's.
        arguments: of `fit`, labeled.
        options: of the execution.
        space: initial, of the oracle.
    """
    oracle = tuner.oracle
    created = dict(compat.oracle_settings(oracle) or {})
    # Only if they are set, as they were not always part of the settings.
    created |= {name: value for name in TUNER_OPTIONS if (value := getattr(tuner, name, None)) is not None}
    needs_results = compat.needs_results(oracle) or compat.overridden(tuner, "on_trial_end")
    return Settings(
        tuner=_class_name(tuner),
        oracle=_class_name(oracle),
        objective=str(oracle.objective),
        options=_plain(created, MAY_CHANGE),
        executions_per_trial=int(getattr(tuner, "executions_per_trial", 1)),
        arguments=_plain(arguments, NOT_COMPARED),
        precision=options.precision,
        max_pending=options.max_pending or MAX_PENDING[needs_results],
        space=space_digest(space),
    )


def space_digest(space: Config) -> str:
    """Twelve hexadecimal digits that depend on the hyperparameters of a space, not on their current values."""
    return hashlib.sha256(json.dumps(space["space"], sort_keys=True).encode()).hexdigest()[:12]


def declared_space(hypermodel: Any) -> str:
    """Digest of the hyperparameters that a hypermodel declares by default; empty if they are unknown.

    It is built in this process, as Keras Tuner does when a tuner is created.

    Args:
        hypermodel: of the tuner; None if it has none.
    """
    found = compat.hyperparameters_of({"space": [], "values": {}})
    try:
        hypermodel.build(found)
    except Exception:  # noqa: BLE001 - the user's code may raise anything
        return ""
    return space_digest(compat.space_config(found))


def check_model(before: str, now: str, ledger: str) -> None:
    """Check that the hypermodel has not changed: Keras Tuner would continue with the space of the earlier trials.

    Args:
        before: digest of the hyperparameters that it declared; empty if they are unknown.
        now: the same in this call.
        ledger: of the search.

    Raises:
        SearchError: it declares others.
    """
    if "" not in (before, now) and before != now:
        raise SearchError(f"the hyperparameters of the hypermodel are not those of the trials in {ledger}. {FIX}")


def check_same(before: Settings, now: Settings, ledger: str) -> None:
    """Check that a search may continue another one.

    Raises:
        SearchError: a setting differs.
    """
    for field in Settings.__struct_fields__:
        old, new = getattr(before, field), getattr(now, field)
        if old == new:
            continue
        if isinstance(old, Mapping):
            names = sorted(name for name in {*old, *new} if old.get(name) != new.get(name))
            changes = ", ".join(f"{name} from {old.get(name, 'unset')} to {new.get(name, 'unset')}" for name in names)
        else:
            changes = f"{field} from {old!r} to {new!r}"
        raise SearchError(f"{ledger}: the earlier search had other settings: {changes}. {FIX}")


def _plain(values: Mapping[str, Any], ignored: Collection[str]) -> dict[str, str]:
    """The representations of plain values; that of another object may be a memory address."""
    described = {name: _described(value) for name, value in sorted(values.items()) if name not in ignored}
    texts = {name: repr(value) for name, value in described.items() if _is_plain(value)}
    return {name: text for name, text in texts.items() if len(text) <= MAX_TEXT}


def _described(value: Any) -> Any:
    """`value` with plain values in place of NumPy's numbers, and of objects of Keras and scikit-learn."""
    library = type(value).__module__.partition(".")[0]
    if isinstance(value, np.generic):
        return value.item()
    if library == "sklearn":
        return repr(value)
    if library == "keras" and hasattr(value, "get_config"):
        config = {"class": type(value).__name__, **value.get_config()}
        return _described({name: each for name, each in config.items() if name != "name"})  # it may be numbered
    if isinstance(value, Mapping):
        return {_described(name): _described(each) for name, each in value.items()}
    return [*map(_described, value)] if isinstance(value, list) else value


def _is_plain(value: Any) -> bool:
    if isinstance(value, Mapping):
        return all(map(_is_plain, (*value, *value.values())))
    return all(map(_is_plain, value)) if isinstance(value, list | tuple) else isinstance(value, PLAIN)


def _class_name(obj: Any) -> str:
    return f"{type(obj).__module__}.{type(obj).__qualname__}"
