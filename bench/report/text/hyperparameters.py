"""Hyperparameters and trials as text."""

from bench.records.record import Parameter, TrialRecord
from bench.records.spec import Value

MAX_LISTED = 8  # values of a hyperparameter that are listed individually
MAX_REASON = 160  # characters of an error


def value_text(value: Value) -> str:
    """A hyperparameter's value, fractions with four significant digits."""
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def range_text(parameter: Parameter) -> str:
    """The values that a hyperparameter can take."""
    first, last = value_text(parameter.values[0]), value_text(parameter.values[-1])
    if not parameter.finite:
        return f"{first} to {last}"
    if len(parameter.values) > MAX_LISTED:
        return f"{first} to {last}, {len(parameter.values)} values"
    return ", ".join(map(value_text, parameter.values))


def conditions_text(parameter: Parameter) -> str:
    """When a hyperparameter is active."""
    conditions = (f"{each.name} is {' or '.join(map(value_text, each.values))}" for each in parameter.conditions)
    return " and ".join(conditions) or "always"


def chosen_text(parameter: Parameter, trial: TrialRecord) -> str:
    """A trial's value of a hyperparameter."""
    return value_text(trial.values[parameter.name]) if parameter.name in trial.values else "inactive"


def candidate_text(trial: TrialRecord) -> str:
    """All hyperparameters of a trial."""
    return ", ".join(f"{name}={value_text(value)}" for name, value in trial.values.items())


def status_text(trial: TrialRecord, winner: str) -> str:
    """How a trial ended, and which other trial it duplicates or continues."""
    status = {"ok": "completed", "cut": "cut short"}.get(trial.status, trial.status)
    status = "winner" if trial.trial_id == winner else status
    if trial.duplicate_of is not None:
        return f"{status}, duplicate of {trial.duplicate_of}"
    if trial.parent is not None:
        return f"{status}, continues {trial.parent}"
    return status


def reason_text(error: str) -> str:
    """The last line of an error, where Python puts its name and message, shortened if it is long."""
    lines = error.strip().splitlines() or ["no reason given"]
    last = lines[-1].strip()
    return last if len(last) <= MAX_REASON else f"{last[:MAX_REASON]} ..."
