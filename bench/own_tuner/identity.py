"""What makes two searches the same: settings that must agree before one resumes the other."""

import hashlib
import json
from collections.abc import Collection, Mapping
from typing import Any

from bench import compat
from bench.errors import SearchError
from bench.own_tuner.ledger import Settings
from bench.own_tuner.options import Options
from bench.training.own_tuner.exchange import Config

PLAIN = (bool, int, float, str, type(None))
# By whether proposals need results. If they do not, any number of trials may be trained at once; otherwise as many as
# by the tuner `bayesian` of this package.
MAX_PENDING = {False: 32, True: 4}
FAILURES = ("max_retries_per_trial", "max_consecutive_failed_trials")
MAY_CHANGE = ("max_trials", "hyperparameters", "seed", "objective", *FAILURES)
CHANGED_MODEL = "the hyperparameters of the hypermodel are not those of the trials in"
FIX = "Restore it, create the tuner with overwrite=True, or choose another project_name"


def settings(tuner: Any, named: Mapping[str, Any], options: Options, space: Config) -> Settings:
    """The settings of a search.

    Args:
        tuner: the user's.
        named: arguments of `fit`.
        options: of the execution.
        space: initial, of the oracle.
    """
    oracle = tuner.oracle
    created = compat.oracle_settings(oracle) or {}
    return Settings(
        tuner=_class_name(tuner),
        oracle=_class_name(oracle),
        objective=str(oracle.objective),
        options=_plain(created, MAY_CHANGE),
        executions_per_trial=int(getattr(tuner, "executions_per_trial", 1)),
        arguments=_plain(named, ("verbose",)),
        precision=options.precision,
        max_pending=options.max_pending or MAX_PENDING[compat.needs_results(oracle)],
        space=space_digest(space),
    )


def space_digest(space: Config) -> str:
    """Twelve hexadecimal digits that depend on the hyperparameters of a space, not on their current values."""
    return hashlib.sha256(json.dumps(space["space"], sort_keys=True).encode()).hexdigest()[:12]


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
        raise SearchError(f"{ledger} has an earlier search, since which something has changed: {changes}. {FIX}")


def _plain(values: Mapping[str, Any], ignored: Collection[str]) -> dict[str, str]:
    """The representations of plain values; that of another object may be a memory address."""
    return {
        name: repr(value) for name, value in sorted(values.items()) if isinstance(value, PLAIN) and name not in ignored
    }


def _class_name(obj: Any) -> str:
    return f"{type(obj).__module__}.{type(obj).__qualname__}"
