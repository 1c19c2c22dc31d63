"""Which hyperparameters matter: how much worse a forest explains the scores of trials where one of them is shuffled.

Source: Breiman 2001, Random forests, https://doi.org/10.1023/A:1010933404324, by scikit-learn.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from bench.records.record import Parameter, TrialRecord

MIN_TRIALS = 10  # with which scores that depend on nothing are seldom explained; a test counts how often
LOWEST_R2 = 0.3  # out of bag; below it the forest explains too little to be asked
TREES = 100
REPEATS = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Importance:
    """How much one hyperparameter explains."""

    name: str
    mean: float  # loss of R^2 where it is shuffled
    spread: float  # standard deviation over shufflings


@dataclass(frozen=True, slots=True, kw_only=True)
class Importances:
    """What matters, or why that cannot be said."""

    trials: int  # of full length
    refused: str | None  # why, in words; None where there is an answer
    r2: float | None  # out of bag
    found: tuple[Importance, ...]  # most important first


def full_length(trials: Sequence[TrialRecord], epochs: int) -> list[TrialRecord]:
    """Trials that could have won: others are not comparable with them."""
    return [trial for trial in trials if trial.status == "ok" and trial.epochs == epochs and trial.repeats is None]


def importances(space: Sequence[Parameter], trials: Sequence[TrialRecord], epochs: int) -> Importances:
    """Ask a random forest which hyperparameters explain the scores of the trials of full length.

    Args:
        space: all hyperparameters.
        trials: of one search.
        epochs: of a trial of full length.
    """
    kept = full_length(trials, epochs)
    varied = [one for one in space if len({trial.values.get(one.name) for trial in kept}) > 1]
    scores = np.array([trial.score for trial in kept])
    reason = None
    if len(kept) < MIN_TRIALS:
        reason = f"{len(kept)} trials of full length, at least {MIN_TRIALS} are needed"
    elif not varied:
        reason = "all trials have the same hyperparameters"
    elif scores.std() == 0:
        reason = "all trials have the same score"
    if reason is not None:
        return Importances(trials=len(kept), refused=reason, r2=None, found=())
    # It takes a second to import, and most searches have too few trials.
    from sklearn.ensemble import RandomForestRegressor
    from sklearn.inspection import permutation_importance

    values = np.array([[_number(one, trial) for one in varied] for trial in kept])
    forest = RandomForestRegressor(TREES, oob_score=True, random_state=0).fit(values, scores)
    r2 = float(forest.oob_score_)
    if r2 < LOWEST_R2:
        reason = (
            f"a forest explains too little of the scores: out-of-bag R² {r2:.2f} over {len(kept)} trials, at least "
            f"{LOWEST_R2} is needed"
        )
        return Importances(trials=len(kept), refused=reason, r2=r2, found=())
    shuffled = permutation_importance(forest, values, scores, n_repeats=REPEATS, random_state=0)
    found = [
        Importance(name=one.name, mean=float(mean), spread=float(spread))
        for one, mean, spread in zip(varied, shuffled.importances_mean, shuffled.importances_std, strict=True)
    ]
    ordered = tuple(sorted(found, key=lambda one: -one.mean))
    return Importances(trials=len(kept), refused=None, r2=r2, found=ordered)


def _number(parameter: Parameter, trial: TrialRecord) -> float:
    """A value as a forest takes it: a number as it is, other values by their place, -1 where it is not used."""
    value = trial.values.get(parameter.name)
    if value is None:
        return -1.0
    return float(value) if isinstance(value, int | float) else float(parameter.values.index(value))


def at_bound(parameter: Parameter, trial: TrialRecord) -> str | None:
    """Where a trial has the "smallest" or "largest" value of an ordered hyperparameter with three values or more."""
    value, values = trial.values.get(parameter.name), parameter.values
    numbers = [one for one in values if not isinstance(one, bool | str)]
    if len(numbers) < len(values) or (parameter.finite and len(values) < 3) or not isinstance(value, int | float):
        return None
    low, high = min(numbers), max(numbers)
    # Of a range that is searched by its logarithm a hundredth of the way is near both ends, too.
    near = 0.0 if parameter.finite else 0.01
    place = (np.log(value) - np.log(low)) / (np.log(high) - np.log(low)) if low > 0 else (value - low) / (high - low)
    if place <= near:
        return "smallest"
    return "largest" if place >= 1 - near else None
