"""Searches: their progress, their trials, and the validation scores of their winners."""

from collections.abc import Sequence
from itertools import combinations
from typing import NamedTuple

import numpy as np
import pandas as pd

from bench.evaluation.arrays import FloatArray
from bench.evaluation.importance import full_length_trials
from bench.evaluation.selection import crossover, expected_best_score
from bench.evaluation.text import percent, points, seconds
from bench.records.objective import NAMES, objective_name, score_name
from bench.records.record import SearchOutcome, TrialRecord
from bench.records.spec import SearchSpec
from bench.report.board import Row
from bench.report.tables.hyperparameters import candidate_text
from bench.tuning.space import count_candidates

MIN_TRIALS = 5  # of random searches whose expected best scores are compared


class SearchProgress(NamedTuple):
    """The best score of a search's full-length trials so far, after each trial."""

    label: str
    family: str
    epochs: tuple[float, ...]  # trained by all trials so far
    seconds: tuple[float, ...]  # since the start of the run
    best: tuple[float, ...]  # validation accuracy in [0, 1]; for a random search its expectation over trial orders


def full_length(row: Row) -> list[TrialRecord]:
    """Trials of a row's search that could win; none for a reference model."""
    return full_length_trials(row.record.trials, row.record.spec.refit_epochs)


def _scores(row: Row) -> FloatArray:
    return np.array([trial.score for trial in full_length(row)])


def _is_random(row: Row) -> bool:
    spec = row.record.spec
    return isinstance(spec, SearchSpec) and spec.tuner == "random"


def search_progress(row: Row) -> SearchProgress | None:
    """The progress of a row's search; None for a reference model, and without a scored full-length trial."""
    record = row.record
    if record.search is None:
        return None
    epochs, elapsed, best = 0.0, 0.0, 0.0
    steps: list[tuple[float, float, float]] = []
    for trial in record.search.trials:
        if trial.duplicate_of is not None or trial.status == "failed":
            continue
        epochs += trial.trained_epochs
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
            f"{score_name(row.record.spec)} of the winner (%)": percent(search.winning_trial.score),
            "test accuracy (%)": percent(row.test_accuracy),
            "test minus validation (pp)": _difference(row, search),
            "trials (of candidates in the space)": f"{len(search.trials):,} ({space_size(search)})",
            "full-length trials": str(len(full_length(row))),
            "epochs trained": f"{search.trained_epochs:,}",
        }
        for row in rows
        if (search := row.record.search) is not None
    )


def space_size(search: SearchOutcome) -> str:
    """The number of candidates in the search space."""
    size = count_candidates(search.space)
    return "infinite" if size is None else f"{size:,}"


def _difference(row: Row, search: SearchOutcome) -> str:
    """Test accuracy minus validation accuracy."""
    is_accuracy = objective_name(row.record.spec) == NAMES[None]
    return points(row.test_accuracy - search.winning_trial.score) if is_accuracy else "-"


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
            f"expected best {score_name(later.record.spec)} of {later.label} is higher than that of "
            f"{earlier.label}; just before that it is lower."
        )
    return sentences


def trials_table(search: SearchOutcome, score: str) -> pd.DataFrame:
    """Every trial, best score first, failed ones last; `score` is the name of the score."""

    def order(trial: TrialRecord) -> tuple[bool, float, int]:
        return trial.status != "ok", -trial.score if trial.status == "ok" else 0.0, trial.number

    return pd.DataFrame(
        {
            "trial": trial.trial_id,
            "status": status_text(trial, search.winner),
            f"{score} (%)": percent(trial.score) if trial.status == "ok" else "-",
            "epochs": "-" if trial.status == "failed" else str(trial.epochs),
            # Of a failed trial, the time inside fit is unknown.
            "training time (s)": seconds(trial.task_seconds if trial.status == "failed" else trial.fit_seconds),
            "parameters": "-" if trial.parameters is None else f"{trial.parameters:,}",
            "hyperparameters": candidate_text(trial),
        }
        for trial in sorted(search.trials, key=order)
    )


def failed_trials_table(search: SearchOutcome) -> pd.DataFrame:
    """Each failed trial with its error."""
    failed = [(trial.trial_id, trial.error) for trial in search.trials if trial.error is not None]
    return pd.DataFrame({"trial": trial_id, "error": reason_text(error)} for trial_id, error in failed)


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
    """The last line of an error, where Python puts its name and message; long messages were shortened when recorded."""
    lines = error.strip().splitlines() or ["no reason given"]
    return lines[-1].strip()
