"""What a search's choice was worth, and what its budget bought."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import pandas as pd

from bench.evaluation.importance import full_length_trials
from bench.evaluation.selection import crossover, expected_best_score
from bench.report.leaderboard import Row
from bench.report.tables import percent, points

MIN_TRIALS = 5  # of random searches whose curves are compared


@dataclass(frozen=True, slots=True, kw_only=True)
class Course:
    """How the best full-length trial of a search improved: at each of `best`, by when."""

    label: str
    family: str
    epochs: tuple[float, ...]  # trained by all trials until then
    seconds: tuple[float, ...]  # since the start of the session
    best: tuple[float, ...]  # validation accuracy in [0, 1]; of a random search expected over all orders of its trials


def course(row: Row) -> Course | None:
    """The course of a row's search; None where nothing was searched."""
    record = row.run.record
    if record.winner is None:
        return None
    epochs, seconds, best = 0.0, 0.0, 0.0
    found: list[tuple[float, float, float]] = []
    for trial in record.trials:
        if trial.repeats is not None or trial.status == "failed":
            continue
        epochs += trial.epochs - trial.initial_epoch
        # Told in the order of their numbers, trials may have ended in another.
        seconds = max(seconds, trial.ended_seconds)
        if trial.status == "ok" and trial.epochs == record.spec.budget.epochs:
            best = max(best, trial.score)
        if best:
            found.append((epochs, seconds, best))
    bests = [one[2] for one in found]
    if record.spec.tuner == "random" and len(found) == len(
        full_length_trials(record.trials, record.spec.budget.epochs)
    ):
        bests = expected_best_score(_scores(row)).tolist()
    return Course(
        label=row.label,
        family=record.spec.family,
        epochs=tuple(one[0] for one in found),
        seconds=tuple(one[1] for one in found),
        best=tuple(bests),
    )


def _scores(row: Row) -> np.ndarray:
    record = row.run.record
    return np.array([trial.score for trial in full_length_trials(record.trials, record.spec.budget.epochs)])


def selection_table(rows: Sequence[Row]) -> pd.DataFrame:
    """The validation score of each winner, which is the best of many and so too good, beside its test accuracy."""
    return pd.DataFrame(
        {
            "model": row.label,
            "validation of the winner, %": percent(row.run.record.winning_trial.score),
            "test, %": percent(row.test_accuracy),
            "test minus validation, points": points(row.test_accuracy - row.run.record.winning_trial.score),
            "trials": str(len(row.run.record.trials)),
            "of full length": str(len(full_length_trials(row.run.record.trials, row.run.record.spec.budget.epochs))),
            "epochs trained": f"{row.run.record.trained_epochs:,}",
        }
        for row in rows
        if row.run.record.winner is not None
    )


def crossings(rows: Sequence[Row]) -> list[str]:
    """Where the curves of two random searches cross, a sentence for each; nothing where that is not sure."""
    searched = [row for row in rows if row.run.record.spec.tuner == "random" and len(_scores(row)) >= MIN_TRIALS]
    found = []
    for one, other in combinations(searched, 2):
        where = crossover(_scores(one), _scores(other))
        if where is None:
            continue
        at, low, high = where.trials, where.low, where.high
        common = min(len(_scores(one)), len(_scores(other)))
        later = max((one, other), key=lambda row: float(expected_best_score(_scores(row))[common - 1]))
        found.append(
            f"With {at:.0f} random trials or more (95 % interval {low:.0f} to {high:.0f}) the best {later.label} on "
            f"validation images is expected to be better than the best "
            f"{(other if later is one else one).label}, with fewer worse."
        )
    return found
