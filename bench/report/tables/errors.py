"""Which classes and images the models misclassify."""

from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd

from bench.evaluation.error_analysis import SharedError, error_changes, shared_errors
from bench.evaluation.scores import AVERAGES, WEIGHTED, ClassReport, confused_pairs
from bench.evaluation.text import counted, percent
from bench.report.board import Row, Table
from bench.report.runs import Run

TOP_PAIRS = 5
SHOWN_CHANGES = 8
COMPARED_PAIRS = 8  # of confused classes, compared between models
SHOWN_MISCLASSIFICATIONS = 25


def class_f1(rows: Sequence[Row]) -> pd.DataFrame:
    """F1 of each class (row) for models of a table (columns), the class with the lowest mean first."""
    names = rows[0].record.dataset.class_names
    f1 = pd.DataFrame({row.label: row.run.scores.by_class.f1[: len(names)] for row in rows}, index=list(names))
    return f1.loc[f1.mean(axis=1).sort_values(kind="stable").index]


def class_size(report: ClassReport) -> int | None:
    """The number of test images of every class; None if it differs between classes."""
    sizes = set(report.support[: -len(AVERAGES)].tolist())
    return sizes.pop() if len(sizes) == 1 else None


def class_report_table(report: ClassReport) -> pd.DataFrame:
    """Precision, recall, F1 and support of each class; without what is the same for classes of equal size."""
    table = pd.DataFrame(
        {
            "class": name,
            "precision": f"{report.precision[number]:.3f}",
            "recall": f"{report.recall[number]:.3f}",
            "F1": f"{report.f1[number]:.3f}",
            "support": f"{report.support[number]:,}",
        }
        for number, name in enumerate(report.names)
    )
    return table if class_size(report) is None else table[table["class"] != WEIGHTED].drop(columns="support")


def confused_classes_table(table: Table) -> pd.DataFrame:
    """The pairs of classes that the best models confuse most often: pairs as rows, models as columns."""
    names = table.dataset.class_names
    confused = {
        row.label: (row.run.scores.confusion + row.run.scores.confusion.T) / len(row.record.refits) for row in table.top
    }
    mean = np.mean(list(confused.values()), axis=0)
    a, b = np.triu_indices(len(names), 1)
    order = np.argsort(-mean[a, b], kind="stable")[:COMPARED_PAIRS]
    return pd.DataFrame(
        {
            "confused classes": f"{names[first]} and {names[second]}",
            **{label: f"{counts[first, second]:,.1f}" for label, counts in confused.items()},
        }
        for first, second in zip(a[order], b[order], strict=True)
        if mean[first, second] > 0
    )


def confused_classes(run: Run) -> Iterator[dict[str, str]]:
    """Table rows with the most confused classes of one model: heading to text."""
    refits = len(run.record.refits)
    digits = 0 if refits == 1 else 1
    for pair in confused_pairs(run.scores.confusion, run.record.dataset.class_names, TOP_PAIRS):
        yield {
            "confused classes": f"{pair.a} and {pair.b}",
            "A predicted as B": f"{pair.a_as_b / refits:,.{digits}f}",
            "B predicted as A": f"{pair.b_as_a / refits:,.{digits}f}",
            "share of errors (%)": percent(pair.share, 1),
        }


def misclassified_table(row: Row) -> pd.DataFrame:
    """The test images that a model misclassifies with the highest confidence."""
    names, refits = row.record.dataset.class_names, len(row.record.refits)
    return pd.DataFrame(
        {
            "test image": str(error.index),
            "true class": names[error.true],
            "predicted class": names[error.predicted],
            "probability (%)": percent(error.probability, 1),
            "misclassified by": f"{error.wrong_seeds} of {counted(refits, 'refit')}",
        }
        for error in row.run.scores.misclassifications[:SHOWN_MISCLASSIFICATIONS]
    )


def shared_misclassifications(table: Table) -> tuple[SharedError, ...]:
    """Test images that every refit of every network misclassifies; the most agreed and most confident first."""
    if not (networks := _networks(table)):
        return ()
    errors = shared_errors([run.scores.predicted for run in networks], networks[0].labels)
    confidence = _confidences(table)
    return tuple(sorted(errors, key=lambda error: (-error.agreement, -confidence.get(error.index, 0.0), error.index)))


def _networks(table: Table) -> list[Run]:
    runs = [row.run for row in table.top]
    return [run for run in runs if run.record.reference is None or run.record.reference.is_network]


def _confidences(table: Table) -> dict[int, float]:
    """Mean confidence in misclassifications by test image, over the networks whose record keeps the image."""
    confidences: dict[int, list[float]] = {}
    for run in _networks(table):
        for error in run.scores.misclassifications:
            confidences.setdefault(error.index, []).append(error.probability)
    # Rounded, so that the last bit, which depends on the machine, does not change the order.
    return {index: round(sum(values) / len(values), 2) for index, values in confidences.items()}


def shared_misclassifications_table(table: Table, errors: Sequence[SharedError]) -> pd.DataFrame:
    """Label and predictions of images that every network misclassifies."""
    names, confidence = table.dataset.class_names, _confidences(table)
    return pd.DataFrame(
        {
            "test image": str(error.index),
            "label": names[error.true],
            "most frequent prediction": names[error.most_common_prediction],
            "refits that agree (%)": percent(error.agreement, 0),
            "mean confidence (%)": percent(confidence[error.index], 0) if error.index in confidence else "-",
        }
        for error in errors
    )


def error_comparison(table: Table) -> tuple[Row, Row] | None:
    """The two rows whose errors are compared: the best reference model and the tuned model of the headline.

    Without reference models, the second-best and the best tuned model. None if there are no two.
    """
    if table.rows and table.references:
        return table.references[0], table.selected_row or table.rows[0]
    return (table.rows[1], table.rows[0]) if len(table.rows) > 1 else None


def error_changes_table(first: Row, second: Row) -> pd.DataFrame:
    """The errors of the first model that the second fixes, by classes, most first."""
    names = first.record.dataset.class_names
    changes = error_changes(first.run.scores.predicted, second.run.scores.predicted, first.run.labels)
    return pd.DataFrame(
        {
            "error": f"{names[change.true]} predicted as {names[change.predicted]}",
            "fixed": str(change.fixed),
            "regressed": str(change.regressed),
            "net": f"{change.net_fixed:+d}",
        }
        for change in changes[:SHOWN_CHANGES]
        if change.net_fixed > 0
    )
