"""Runs, trials and predictions as data frames of plain values, one row each."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from bench.evaluation.scores import probabilities
from bench.records.predictions import Predictions
from bench.records.record import RunRecord, TrialRecord
from bench.records.spec import SearchSpec
from bench.report.board import Board, Row, Table
from bench.report.rows_json import row_json

HYPERPARAMETER = "hp_"  # prefix of a column
PROBABILITY = "probability_"

# Values of `row_json` that are not columns: nested ones, of which some follow as columns of their own.
_NESTED = frozenset(
    {
        "test_accuracy_by_seed",
        "interval",
        "not_significantly_different_from",
        "difference_from_best_tuned",
        "metrics",
        "f1_by_class",
        "conditions",
    }
)


def runs_frame(board: Board) -> pd.DataFrame:
    """The rows of all tables, in their order.

    Columns are those of `bench leaderboard --json`, the limits of the 95% interval, the difference from the selected
    tuned model with its limits and verdict, all metrics, and the winner's hyperparameters with the prefix `hp_`. A
    reference model that is compared in several tables has a row in each.
    """
    return _frame([_run_values(table, row) for table, row in board.placed])


def _run_values(table: Table, row: Row) -> dict[str, Any]:
    values, record, interval = row_json(table, row), row.record, row.run.interval
    versus = row.versus_best
    difference = None if versus is None else versus.difference
    return {
        **{name: value for name, value in values.items() if name not in _NESTED},
        "preset": record.spec.preset if isinstance(record.spec, SearchSpec) else None,
        "seed": record.spec.seed,
        "ci_low": None if interval is None else interval.low,
        "ci_high": None if interval is None else interval.high,
        "difference": None if difference is None else difference.mean,
        "difference_low": None if difference is None else difference.low,
        "difference_high": None if difference is None else difference.high,
        "verdict": None if versus is None else versus.verdict,
        **values["metrics"],
        **hyperparameter_columns(record.hyperparameters),
    }


def trials_frame(records: Iterable[RunRecord]) -> pd.DataFrame:
    """All trials of searches, in the order of their proposal; hyperparameters have the prefix `hp_`.

    A hyperparameter that is not active in a trial is missing, as is the score of a trial that failed or was cut short.
    """
    return _frame(
        [
            {"run_id": record.run_id, "dataset": record.dataset.name, "model": record.spec.model}
            | _trial_values(trial, record.search.winner)
            for record in records
            if record.search is not None
            for trial in record.search.trials
        ]
    )


def _trial_values(trial: TrialRecord, winner: str) -> dict[str, Any]:
    return {
        "trial": trial.trial_id,
        "number": trial.number,
        "status": trial.status,
        "winner": trial.trial_id == winner,
        "score": trial.score if trial.status == "ok" else None,
        "validation_accuracy": trial.validation_accuracy,
        "epochs": trial.epochs,
        "initial_epoch": trial.initial_epoch,
        "parameters": trial.parameters,
        "seed": trial.seed,
        "parent": trial.parent,
        "duplicate_of": trial.duplicate_of,
        "fit_seconds": trial.fit_seconds,
        "task_seconds": trial.task_seconds,
        "error": trial.error,
        **hyperparameter_columns(trial.values),
    }


def _frame(rows: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """One row each; whole numbers stay whole where others are missing, which pandas makes fractions otherwise."""
    given = pd.DataFrame(rows, dtype=object)
    whole = [name for name in given if given[name].hasnans and set(map(type, given[name].dropna())) == {int}]
    return pd.DataFrame(rows).astype(dict.fromkeys(whole, "Int64"))


def hyperparameter_columns(values: Mapping[str, Any]) -> dict[str, Any]:
    """Values by column name."""
    return {f"{HYPERPARAMETER}{name}": value for name, value in values.items()}


def predictions_frame(record: RunRecord, predictions: Predictions) -> pd.DataFrame:
    """The predictions of all refits: one row per refit and test image.

    Columns: `refit`, `seed`, `image` (index in the test set), `true` and `predicted` (class names), `correct`, and the
    probability of each class with the prefix `probability_`.
    """
    refits, images, classes = predictions.log_probabilities.shape
    names = np.array(record.dataset.class_names, dtype=object)
    flat = probabilities(predictions.log_probabilities).reshape(-1, classes)
    labels = np.tile(predictions.labels, refits)
    predicted = flat.argmax(axis=1)
    frame = pd.DataFrame(
        {
            "refit": np.repeat(np.arange(refits), images),
            "seed": np.repeat(predictions.seeds, images),
            "image": np.tile(np.arange(images), refits),
            "true": names[labels],
            "predicted": names[predicted],
            "correct": labels == predicted,
        }
    )
    columns = [f"{PROBABILITY}{name}" for name in record.dataset.class_names]
    return pd.concat([frame, pd.DataFrame(flat, columns=columns)], axis="columns")
