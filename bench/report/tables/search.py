"""Searches: their trials, what the winners chose, and what the budget bought."""

from collections.abc import Sequence
from itertools import combinations
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bench.evaluation.importance import ImportanceAnalysis, at_bound, full_length_trials
from bench.evaluation.selection import crossover, expected_best_score
from bench.records.record import SearchOutcome, TrialRecord
from bench.records.spec import SearchSpec, Value
from bench.report.board import Row
from bench.report.text.hyperparameters import (
    MAX_LISTED,
    candidate_text,
    chosen_text,
    conditions_text,
    range_text,
    reason_text,
    status_text,
)
from bench.report.text.numbers import percent, points, seconds

MIN_TRIALS = 5  # of random searches whose expected best scores are compared


class SearchProgress(NamedTuple):
    """The best score of a search's full-length trials so far, after each trial."""

    label: str
    family: str
    epochs: tuple[float, ...]  # trained by all trials so far
    seconds: tuple[float, ...]  # since the start of the session
    best: tuple[float, ...]  # validation accuracy in [0, 1]; for a random search its expectation over trial orders


def full_length(row: Row) -> list[TrialRecord]:
    """Trials of a row's search that could win; none for a reference model."""
    record = row.run.record
    return [] if record.search is None else full_length_trials(record.search.trials, record.spec.refit_epochs)


def _scores(row: Row) -> NDArray[np.float64]:
    return np.array([trial.score for trial in full_length(row)])


def _is_random(row: Row) -> bool:
    spec = row.run.record.spec
    return isinstance(spec, SearchSpec) and spec.tuner == "random"


def search_progress(row: Row) -> SearchProgress | None:
    """The progress of a row's search; None for a reference model, and without a scored full-length trial."""
    record = row.run.record
    if record.search is None:
        return None
    epochs, elapsed, best = 0.0, 0.0, 0.0
    steps: list[tuple[float, float, float]] = []
    for trial in record.search.trials:
        if trial.duplicate_of is not None or trial.status == "failed":
            continue
        epochs += trial.epochs - trial.initial_epoch
        # Trials are listed in the order of their proposal, and may have ended in another.
        elapsed = max(elapsed, trial.ended_seconds)
        if trial.status == "ok" and trial.epochs == record.spec.refit_epochs:
            best = max(best, trial.score)
        if best:
            steps.append((epochs, elapsed, best))
    if not steps:
        return None
    by_epochs, by_seconds, bests = zip(*steps, strict=True)
    if _is_random(row) and len(steps) == len(full_length(row)):
        bests = tuple(expected_best_score(_scores(row)).tolist())
    return SearchProgress(label=row.label, family=record.spec.model, epochs=by_epochs, seconds=by_seconds, best=bests)


def selection_table(rows: Sequence[Row]) -> pd.DataFrame:
    """The validation accuracy of each winner, which is biased upwards by selection, next to its test accuracy."""
    return pd.DataFrame(
        {
            "model": row.label,
            "validation accuracy of the winner (%)": percent(search.winning_trial.score),
            "test accuracy (%)": percent(row.test_accuracy),
            "test minus validation (pp)": points(row.test_accuracy - search.winning_trial.score),
            "trials": str(len(search.trials)),
            "full-length trials": str(len(full_length(row))),
            "epochs trained": f"{search.trained_epochs:,}",
        }
        for row in rows
        if (search := row.run.record.search) is not None
    )


def crossover_sentences(rows: Sequence[Row]) -> list[str]:
    """Where the expected best scores of two random searches cross, one sentence each, if that is significant."""
    random = [row for row in rows if _is_random(row) and len(_scores(row)) >= MIN_TRIALS]
    sentences = []
    for a, b in combinations(random, 2):
        crossing = crossover(_scores(a), _scores(b))
        if crossing is None:
            continue
        common = min(len(_scores(a)), len(_scores(b)))
        later = max((a, b), key=lambda row: float(expected_best_score(_scores(row))[common - 1]))
        earlier = b if later is a else a
        sentences.append(
            f"From {crossing.trials:.0f} random trials on (95% CI {crossing.low:.0f} to {crossing.high:.0f}) the "
            f"expected best validation accuracy of {later.label} is higher than that of {earlier.label}, with fewer it "
            "is lower."
        )
    return sentences


def hyperparameters_table(search: SearchOutcome | None) -> pd.DataFrame:
    """The winner's value of each hyperparameter with its range; empty for a reference model."""
    if search is None:
        return pd.DataFrame()
    return pd.DataFrame(
        {
            "hyperparameter": parameter.name,
            "winner": chosen_text(parameter, search.winning_trial),
            "range": range_text(parameter),
            "active when": conditions_text(parameter),
        }
        for parameter in search.space
    )


def bound_sentences(search: SearchOutcome | None) -> list[str]:
    """A warning for each hyperparameter at its bound in the winner."""
    if search is None:
        return []
    trial, names = search.winning_trial, {"smallest": "lower", "largest": "upper"}
    return [
        f"{parameter.name} = {chosen_text(parameter, trial)} is at its {names[bound]} bound: a wider range may "
        "contain a better model."
        for parameter in search.space
        if (bound := at_bound(parameter, trial)) is not None
    ]


def importance_table(analysis: ImportanceAnalysis) -> pd.DataFrame:
    """Permutation importance of each hyperparameter."""
    return pd.DataFrame(
        {"hyperparameter": importance.name, "decrease of R²": f"{importance.mean:.2f} ± {importance.std:.2f}"}
        for importance in analysis.ranking
    )


def importance_text(analysis: ImportanceAnalysis) -> str:
    """How the importances were computed, or why there are none."""
    if analysis.unavailable_reason is not None or analysis.oob_r2 is None:
        return f"No hyperparameter importances: {analysis.unavailable_reason}."
    return (
        f"Permutation importance from a random forest over {analysis.n_trials} full-length trials with an out-of-bag "
        f"R² of {analysis.oob_r2:.2f}; ± is the standard deviation over shuffles."
    )


Tried = tuple[str, list[Value], list[Value], list[float]]  # name, all values if finite, tried ones, their scores


def tried_values(row: Row) -> list[Tried]:
    """The values of each hyperparameter that varies over the full-length trials, with their scores."""
    search = row.run.record.search
    tried: list[Tried] = []
    for parameter in search.space if search is not None else ():
        name, possible = parameter.name, list(parameter.values)
        trials = [trial for trial in full_length(row) if name in trial.values]  # noqa: PD011
        chosen = [trial.values[name] for trial in trials]  # noqa: PD011
        if len(set(chosen)) > 1:
            # Many numbers are drawn on a numeric axis, as are those of a continuous range.
            numbers = not any(isinstance(value, bool | str) for value in possible)
            listed = parameter.finite and not (numbers and len(possible) > MAX_LISTED)
            every = list(dict.fromkeys([*possible, *chosen])) if listed else []
            tried.append((name, every, chosen, [trial.score for trial in trials]))
    return tried


def trials_table(search: SearchOutcome | None) -> pd.DataFrame:
    """Every trial, best score first, failed ones last; empty for a reference model."""
    if search is None:
        return pd.DataFrame()

    def order(trial: TrialRecord) -> tuple[bool, float, int]:
        return trial.status != "ok", -trial.score if trial.status == "ok" else 0.0, trial.number

    return pd.DataFrame(
        {
            "trial": trial.trial_id,
            "status": status_text(trial, search.winner),
            "validation accuracy (%)": percent(trial.score) if trial.status == "ok" else "-",
            "epochs": "-" if trial.status == "failed" else str(trial.epochs),
            "training time (s)": seconds(trial.fit_seconds),
            "parameters": "-" if trial.parameters is None else f"{trial.parameters:,}",
            "hyperparameters": candidate_text(trial),
        }
        for trial in sorted(search.trials, key=order)
    )


def failed_trials_table(search: SearchOutcome | None) -> pd.DataFrame:
    """Each failed trial with its error; empty for a reference model."""
    trials = () if search is None else search.trials
    return pd.DataFrame(
        {"trial": trial.trial_id, "error": reason_text(trial.error)} for trial in trials if trial.error is not None
    )
