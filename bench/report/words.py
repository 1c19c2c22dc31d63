"""Hyperparameters and errors in a few words."""

import shlex

from bench.records.record import Condition, Parameter, RunRecord, TrialRecord
from bench.records.spec import Value, candidate_values

MAX_LISTED = 8  # values of a hyperparameter that are listed one by one
MAX_REASON = 160  # characters of an error


def value_text(value: Value) -> str:
    """A hyperparameter's value, fractions with four significant digits."""
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def range_text(parameter: Parameter) -> str:
    """What a hyperparameter may be."""
    first, last = value_text(parameter.values[0]), value_text(parameter.values[-1])
    if not parameter.finite:
        return f"{first} to {last}"
    if len(parameter.values) > MAX_LISTED:
        return f"{first} to {last}, {len(parameter.values)} values"
    return ", ".join(value_text(value) for value in parameter.values)


def conditions_text(parameter: Parameter) -> str:
    """Where a hyperparameter exists."""
    return " and ".join(_condition(one) for one in parameter.conditions) or "always"


def _condition(condition: Condition) -> str:
    return f"{condition.name} is {' or '.join(value_text(value) for value in condition.values)}"


def chosen_text(parameter: Parameter, trial: TrialRecord) -> str:
    """What a trial chose for a hyperparameter."""
    return value_text(trial.values[parameter.name]) if parameter.name in trial.values else "not used"


def candidate_text(trial: TrialRecord) -> str:
    """All hyperparameters of a trial."""
    return ", ".join(f"{name}={value_text(value)}" for name, value in candidate_values(trial.values).items())


def status_text(trial: TrialRecord, winner: str | None) -> str:
    """What became of a trial, and which other one it has its result or its start from."""
    status = "winner" if trial.trial_id == winner else trial.status
    if trial.repeats is not None:
        return f"{status}, same as {trial.repeats}"
    if trial.parent is not None:
        return f"{status}, goes on from {trial.parent}"
    return status


def reason_text(error: str) -> str:
    """The last line of an error, where Python puts its name and message, cut where it is long."""
    lines = error.strip().splitlines() or ["no reason given"]
    last = lines[-1].strip()
    return last if len(last) <= MAX_REASON else f"{last[:MAX_REASON]} ..."


def signature_text(record: RunRecord) -> str:
    """Everything that is needed to repeat a run, as name=value on one line."""
    spec, data, machine = record.spec, record.dataset, record.environment
    asked = (
        {"recipe": "as published", "seed": spec.seed}
        if spec.fixed
        else {
            "tuner": spec.tuner,
            "trials": spec.budget.trials,
            "epochs": spec.budget.epochs,
            "seconds": spec.time_limit or "unlimited",
            "seed": spec.seed,
            "lookahead": spec.lookahead,
            "search-precision": spec.precision,
        }
    )
    found = {
        "dataset": data.name,
        "checksum": data.checksum[:12],
        "split": f"{data.n_train}/{data.n_validation}/{data.n_test}",
        "protocol": spec.protocol,
        "model": spec.family,
        "code": spec.source,
        **asked,
        "seeds": spec.refit_seeds,
        "refit-precision": record.precision_refit,
        "threads": machine.threads,
        "onednn": machine.onednn,
        "cpu": machine.cpu,
        "python": machine.python,
        "tensorflow": machine.tensorflow,
        "keras": machine.keras,
        "keras-tuner": machine.keras_tuner,
        "numpy": machine.numpy,
        "scikit-learn": machine.scikit_learn,
        "commit": machine.git_commit or "unknown",
    }
    return " ".join(f"{name}={shlex.quote(str(value))}" for name, value in found.items())
