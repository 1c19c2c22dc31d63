"""Hyperparameter importance: permutation importance for a random forest that predicts the score of a trial.

Source: Breiman 2001, Random forests, https://doi.org/10.1023/A:1010933404324; computed by scikit-learn.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from bench.evaluation.arrays import FloatArray
from bench.records.record import TrialRecord
from bench.records.space import Parameter

MIN_TRIALS = 10  # of full length
MIN_R2 = 0.3  # out-of-bag; below it, importances of the forest mean little
SHUFFLES = 19  # of the scores: unrelated scores give the highest out-of-bag R² of 20 forests in 5% of searches
TREES = 50  # enough for an out-of-bag prediction of each trial; the forests of shuffled scores take a second
REPEATS = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Importance:
    """Permutation importance of one hyperparameter: the decrease of R² when its values are shuffled."""

    name: str
    mean: float
    std: float  # over shuffles


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportanceAnalysis:
    """Importances of all hyperparameters that vary, or the reason why they are unavailable."""

    n_trials: int = 0  # full-length trials
    unavailable_reason: str | None = None  # None if the importances are available
    oob_r2: float | None = None  # out-of-bag R² of the forest
    ranking: tuple[Importance, ...] = ()  # most important first


def full_length_trials(trials: Sequence[TrialRecord], epochs: int) -> list[TrialRecord]:
    """Distinct successful trials of `epochs` epochs: the only ones whose scores are comparable."""
    return [trial for trial in trials if trial.status == "ok" and trial.epochs == epochs and trial.duplicate_of is None]


def importances(space: Sequence[Parameter], trials: Sequence[TrialRecord], epochs: int) -> ImportanceAnalysis:
    """Rank the hyperparameters of a search by permutation importance over its trials of `epochs` epochs."""
    eligible = full_length_trials(trials, epochs)
    varied = [parameter for parameter in space if len({parameter.value_in(trial.values) for trial in eligible}) > 1]
    scores = np.array([trial.score for trial in eligible])
    reason = None
    if len(eligible) < MIN_TRIALS:
        reason = f"at least {MIN_TRIALS} full-length trials are required, the search has {len(eligible)}"
    elif not varied:
        reason = "all trials have the same hyperparameters"
    elif scores.std() == 0:
        reason = "all trials have the same score"
    if reason is not None:
        return ImportanceAnalysis(n_trials=len(eligible), unavailable_reason=reason)
    # Imported here since it takes a second and most searches have too few trials.
    from sklearn.ensemble import RandomForestRegressor
    from sklearn.inspection import permutation_importance

    def fit(scores: FloatArray) -> RandomForestRegressor:
        return RandomForestRegressor(TREES, oob_score=True, random_state=0).fit(values, scores)

    values = np.array([[_encoded(parameter, trial) for parameter in varied] for trial in eligible])
    forest, random = fit(scores), np.random.default_rng(0)
    r2 = float(forest.oob_score_)
    requirement = ""
    if r2 < MIN_R2:
        requirement = f"at least {MIN_R2} is required"
    elif any(fit(random.permutation(scores)).oob_score_ >= r2 for _ in range(SHUFFLES)):
        requirement = f"one of {SHUFFLES} forests fitted to shuffled scores reaches it, too"
    if requirement:
        reason = (
            f"a random forest fitted to the trials explains too little of the variance in their scores (out-of-bag R² "
            f"{r2:.2f} over {len(eligible)} trials; {requirement})"
        )
        return ImportanceAnalysis(n_trials=len(eligible), unavailable_reason=reason, oob_r2=r2)
    shuffled = permutation_importance(forest, values, scores, n_repeats=REPEATS, random_state=0)
    ranking = [
        Importance(name=parameter.name, mean=float(mean), std=float(std))
        for parameter, mean, std in zip(varied, shuffled.importances_mean, shuffled.importances_std, strict=True)
    ]
    ordered = tuple(sorted(ranking, key=lambda importance: -importance.mean))
    return ImportanceAnalysis(n_trials=len(eligible), oob_r2=r2, ranking=ordered)


def _encoded(parameter: Parameter, trial: TrialRecord) -> float:
    """The value as a feature: numbers as they are, other choices by their index, -1 for an inactive hyperparameter."""
    value = parameter.value_in(trial.values)
    if value is None:
        return -1.0
    return float(value) if isinstance(value, int | float) else float(parameter.values.index(value))


def at_bound(parameter: Parameter, trial: TrialRecord) -> str | None:
    """Whether a trial's value is the "smallest" or "largest" of an ordered hyperparameter with at least three values.

    None for values between the bounds, for hyperparameters that are inactive or not ordered, and for a lower bound of
    0, below which most hyperparameters, such as a dropout rate, are not defined.
    """
    value, values = parameter.value_in(trial.values), parameter.values
    numbers = [choice for choice in values if not isinstance(choice, bool | str)]
    if len(numbers) < len(values) or (parameter.finite and len(values) < 3) or not isinstance(value, int | float):
        return None
    low, high = min(numbers), max(numbers)
    # A continuous value rarely equals a bound: within 1% of the range counts, on a log scale if all are positive.
    tolerance = 0.0 if parameter.finite else 0.01
    position = (np.log(value) - np.log(low)) / (np.log(high) - np.log(low)) if low > 0 else (value - low) / (high - low)
    if position <= tolerance:
        return None if low == 0 else "smallest"
    return "largest" if position >= 1 - tolerance else None
