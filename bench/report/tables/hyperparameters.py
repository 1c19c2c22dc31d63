"""Hyperparameters: the search space, the winner's values, their importance, and the values of all trials."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import NamedTuple

import pandas as pd

from bench.evaluation.importance import ImportanceAnalysis, at_bound
from bench.evaluation.text import counted
from bench.records.record import SearchOutcome, TrialRecord
from bench.records.space import Parameter
from bench.records.spec import Value

ALWAYS = "always"
MAX_LISTED = 8  # values of a hyperparameter that are listed individually


class Tried(NamedTuple):
    """A hyperparameter in the full-length trials in which it is active."""

    name: str
    values: list[Value]  # all possible ones; empty if they are shown on a numeric axis
    chosen: list[Value]  # in each trial
    scores: list[float]  # of each trial, in [0, 1]


def hyperparameters_table(search: SearchOutcome) -> pd.DataFrame:
    """The winner's value of each hyperparameter with its range and, unless all are always active, its condition."""
    conditions = [conditions_text(parameter, search.space) for parameter in search.space]
    return pd.DataFrame(
        {
            "hyperparameter": parameter.name,
            "winner": chosen_text(parameter, search.winning_trial),
            "range": range_text(parameter),
            **({"active when": condition} if set(conditions) != {ALWAYS} else {}),
        }
        for parameter, condition in zip(search.space, conditions, strict=True)
    )


def bound_sentences(search: SearchOutcome) -> list[str]:
    """A warning for each hyperparameter at a bound that could be widened."""
    trial, names = search.winning_trial, {"smallest": "lower", "largest": "upper"}
    return [
        f"{parameter.name} = {chosen_text(parameter, trial)} is at its {names[bound]} bound: a wider range may "
        "contain a better model."
        for parameter in search.space
        if (bound := at_bound(parameter, trial)) is not None
    ]


def winners_at_bounds(searches: Sequence[SearchOutcome]) -> str:
    """How many winners have a hyperparameter at a bound, and which most often; empty if none has."""
    bounded = [
        {parameter.name for parameter in search.space if at_bound(parameter, search.winning_trial) is not None}
        for search in searches
    ]
    counts = Counter(name for names in bounded for name in sorted(names))
    if not counts:
        return ""
    (name, count), *_ = counts.most_common(1)
    most = f" (most often {name}, in {counted(count, 'winner')})" if count > 1 else ""
    return (
        f"In {sum(map(bool, bounded))} of {counted(len(searches), 'winner')}, a hyperparameter is at a bound of its "
        f"range{most}; wider ranges may contain better models."
    )


def importance_table(analysis: ImportanceAnalysis) -> pd.DataFrame:
    """Permutation importance of each hyperparameter."""
    return pd.DataFrame(
        {"hyperparameter": importance.name, "decrease of R²": f"{importance.mean:.2f} ± {importance.std:.2f}"}
        for importance in analysis.ranking
    )


def importance_text(analysis: ImportanceAnalysis) -> str:
    """How the importances were computed, or why there are none."""
    if analysis.unavailable_reason is not None or analysis.oob_r2 is None:
        return f"Hyperparameter importance is not shown: {analysis.unavailable_reason}."
    return (
        f"Permutation importance from a random forest over {analysis.n_trials} full-length trials with an out-of-bag "
        f"R² of {analysis.oob_r2:.2f}. Importances are measured on the trials that the forest was fitted to, ± is the "
        "standard deviation over shuffles only, and a decrease can exceed 1, since R² can be negative."
    )


def tried_values(space: Sequence[Parameter], eligible: Sequence[TrialRecord]) -> list[Tried]:
    """The values of each hyperparameter that varies over the full-length trials, with their scores."""
    tried: list[Tried] = []
    for parameter in space:
        possible = list(parameter.values)
        values = [(parameter.value_in(trial.values), trial.score) for trial in eligible]
        active = [(value, score) for value, score in values if value is not None]
        chosen = [value for value, _ in active]
        if len(set(chosen)) > 1:
            # Many numbers are drawn on a numeric axis, as are those of a continuous range.
            numbers = not any(isinstance(value, bool | str) for value in possible)
            listed = parameter.finite and not (numbers and len(possible) > MAX_LISTED)
            every = list(dict.fromkeys([*possible, *chosen])) if listed else []
            tried.append(Tried(parameter.name, every, chosen, [score for _, score in active]))
    return tried


def candidate_text(trial: TrialRecord) -> str:
    """All hyperparameters of a trial."""
    return ", ".join(f"{name}={value_text(value)}" for name, value in trial.values.items())


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


def conditions_text(parameter: Parameter, space: Sequence[Parameter]) -> str:
    """When a hyperparameter is active; a condition that all values of another one fulfill is left out."""
    possible: dict[str, set[Value]] = defaultdict(set)  # a name may be declared under several conditions
    for each in space:
        possible[each.name].update(each.values)
    conditions = (
        f"{each.name} is {' or '.join(map(value_text, each.values))}"
        for each in parameter.conditions
        if set(each.values) != possible[each.name]
    )
    return " and ".join(conditions) or ALWAYS


def chosen_text(parameter: Parameter, trial: TrialRecord) -> str:
    """A trial's value of a hyperparameter."""
    value = parameter.value_in(trial.values)
    return "inactive" if value is None else value_text(value)
