"""Test scores of the models of a table, side by side."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from bench.evaluation.metric import TEST_ACCURACY, Metric
from bench.evaluation.text import accuracy_cell, joined, percent, points, range_text, uncertainty_source
from bench.records.record import RunRecord
from bench.records.reproductions import Reproduction
from bench.report.board import TOP_ROWS, Row, Table
from bench.report.runs import Run

MAX_NAMED = TOP_ROWS - 1  # of more models that are not significantly different, only the first FIRST_NAMED are named
FIRST_NAMED = 5
ACCURACY = TEST_ACCURACY.heading
NOT_DIFFERENT = "tuned models not significantly different"
REFERENCE_TYPES = {
    "tutorial": "published tutorial",
    "classifier": "scikit-learn classifier",
    "external": "trained elsewhere",
}


def uncertainty_table(table: Table) -> pd.DataFrame:
    """What the interval of each model rests on, and the tuned models that it is not significantly different from."""
    return pd.DataFrame(
        {
            "model": row.label,
            "main source of uncertainty": uncertainty_source(row.run.interval),
            "seeds": f"{len(row.record.refits)}{_seeds_note(row.record)}",
            **({NOT_DIFFERENT: not_different_text(row, table)} if len(table.rows) > 1 else {}),
        }
        for row in table.compared
    )


def _seeds_note(record: RunRecord) -> str:
    """Why a model with a single seed has an interval."""
    if record.deterministic:
        return " (deterministic)"
    return " (one file)" if record.trained_elsewhere and len(record.refits) == 1 else ""


def metric_text(run: Run, metric: Metric) -> str:
    """The value of a metric for a model."""
    value = run.value(metric)
    return "unknown" if value is None else metric.text(value)


def reproductions_table(table: Table) -> pd.DataFrame:
    """Reproductions with other predictions, compared with the published row."""
    return pd.DataFrame(
        {
            "model": row.label,
            ACCURACY: accuracy_cell(row.test_accuracy, row.run.interval),
            "seeds": str(len(row.record.refits)),
            "difference from the published row (pp)": points(row.test_accuracy - row.run.reproduces.scores.accuracy),
            "95% prediction interval (%)": prediction_interval_text(entry := reproduction_entry(row)),
            "different conditions": different_conditions_text(entry),
            **{metric.heading: metric_text(row.run, metric) for metric in row.run.metrics if not metric.details_only},
        }
        for row in table.reproductions
        if row.run.reproduces is not None
    )


def reproduction_entry(row: Row) -> Reproduction | None:
    """The entry next to the published record that belongs to the row of a reproduction; None if it is missing."""
    published = row.run.reproduces
    entries = () if published is None else published.reproductions
    return next((entry for entry in entries if entry.run_id == row.record.run_id), None)


def prediction_interval_text(entry: Reproduction | None) -> str:
    """The prediction interval of a reproduction, and whether its accuracy is inside."""
    if entry is None or entry.prediction_interval is None:
        return "-"
    return f"{range_text(*entry.prediction_interval)}, {'inside' if entry.inside else 'outside'}"


def different_conditions_text(entry: Reproduction | None) -> str:
    """The conditions of a reproduction that differ from those of the published run."""
    if entry is None:
        return "unknown"
    pairs = entry.conditions.items()
    return "; ".join(f"{name.replace('_', ' ')}: {here} instead of {there}" for name, (there, here) in pairs) or "none"


def families_table(table: Table) -> pd.DataFrame:
    """Families with several searches: the mean over them."""
    return pd.DataFrame(
        {
            "family": family.name,
            ACCURACY: accuracy_cell(family.interval.mean, family.interval),
            "searches": str(len(family.searches)),
            "refits per search": str(family.refits),
            "variance across searches (% of squared half-width)": percent(family.interval.seed_variance_share, 0),
        }
        for family in table.families
        if family.interval is not None
    )


def rank_text(row: Row) -> str:
    """The range of ranks."""
    if row.rank is None:
        return "-" if row.record.reference is not None or row.run.reproduces is not None else "?"
    best, worst = row.rank
    return str(best) if best == worst else f"{best} to {worst}"


def not_different_text(row: Row, table: Table) -> str:
    """The labels of the other tuned models that are not significantly different."""
    if all(other is row for other in table.rows):
        return "-"
    if row.not_different_from is None:
        return "unknown (1 seed)"
    if len(row.not_different_from) > MAX_NAMED:
        named = ", ".join(row.not_different_from[:FIRST_NAMED])
        return f"{named} and {len(row.not_different_from) - FIRST_NAMED} more"
    return ", ".join(row.not_different_from) or "none"


def calibration_table(rows: Sequence[Row]) -> pd.DataFrame:
    """How confident each model is when it is right, and when it is wrong."""

    def confidence(mean: float | None) -> str:
        return "-" if mean is None else percent(mean, 1)

    return pd.DataFrame(
        {
            "model": row.label,
            "mean confidence, correct (%)": confidence(row.run.scores.calibration.mean_confidence_correct),
            "mean confidence, misclassified (%)": confidence(row.run.scores.calibration.mean_confidence_incorrect),
        }
        for row in rows
    )


def metrics_table(rows: Sequence[Row]) -> pd.DataFrame:
    """Every metric, with the rank it gives in parentheses."""
    columns = {"model": [row.label for row in rows]}
    for metric, values in _values(rows).items():
        texts = [metric.text(value) for value in values]
        if metric in rows[0].run.metrics:
            texts = [metric_text(row.run, metric) for row in rows]
        ranks = _ranks(metric, values)
        columns[metric.heading] = [
            text + (f" ({rank})" if metric.direction else "") for text, rank in zip(texts, ranks, strict=True)
        ]
    return pd.DataFrame(columns)


def metrics_text(rows: Sequence[Row]) -> str:
    """Which metrics order the models differently from test accuracy, or equal it; empty for a single model."""
    if len(rows) < 2:
        return ""
    values = _values(rows)
    ranks = {metric: _ranks(metric, each) for metric, each in values.items() if metric.direction}
    others = [metric.name for metric in ranks if ranks[metric] != ranks[TEST_ACCURACY]]
    order = "All metrics give the same order."
    if others:
        order = f"The order by {joined(others)} differs from the order by test accuracy."
    equal = [metric.name for metric in rows[0].run.metrics if metric not in values]
    return order + (f" Equal to test accuracy: {joined(equal)}." if equal else "")


def _values(rows: Sequence[Row]) -> dict[Metric, list[float]]:
    """Test accuracy and all metrics, for each row, without those that equal test accuracy."""
    accuracy = [row.test_accuracy for row in rows]
    metrics = {metric: [row.run.metrics[metric] for row in rows] for metric in rows[0].run.metrics}
    different = {metric: values for metric, values in metrics.items() if not np.allclose(values, accuracy, atol=1e-9)}
    return {TEST_ACCURACY: accuracy, **different}


def _ranks(metric: Metric, values: Sequence[float]) -> list[int]:
    """From 1; equal values share the better rank."""
    return pd.Series(values).rank(method="min", ascending=metric.direction == "lower").astype(int).tolist()
