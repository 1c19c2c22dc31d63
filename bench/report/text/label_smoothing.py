"""What label smoothing does to log loss, calibration and the training loss, stated only where the numbers show it."""

import math
from collections.abc import Sequence

from bench.evaluation.metric import CALIBRATION_ERROR, LOG_LOSS
from bench.evaluation.text import joined, percent, span_text
from bench.records.plain import label_smoothing
from bench.report.board import Row
from bench.report.runs import Run


def _loss(run: Run) -> str:
    """The loss in the stored recipe of a model; empty if it is unknown."""
    return "" if run.plain is None else run.plain.recipe.get("loss", "")


def _smoothing(run: Run) -> float:
    """The label smoothing of a model; 0 if it has none or its loss is unknown."""
    return label_smoothing(_loss(run))


def training_loss_sentence(run: Run) -> str:
    """Why the loss in the learning curves is not the log loss; empty without label smoothing."""
    if not (smoothing := _smoothing(run)):
        return ""
    classes = len(run.record.dataset.class_names)
    other = smoothing / classes
    true = 1 - smoothing + other
    # The cross-entropy of a smoothed label is at least its entropy.
    smallest = -true * math.log(true) - (classes - 1) * other * math.log(other)
    return (
        f"The loss is computed with label smoothing of {smoothing:g}, so it is at least {smallest:.2f}; the log loss "
        "among the test scores is computed without."
    )


def calibration_sentence(rows: Sequence[Row]) -> str:
    """The models whose label smoothing shows in log loss and calibration; empty if there are none.

    It shows if a model is less confident than accurate, and a model without label smoothing is less accurate but has
    both a lower log loss and a lower calibration error.
    """
    smoothed = [row for row in rows if _smoothing(row.run) and _confidence(row) < row.test_accuracy]
    for other in [row for row in rows if _loss(row.run) and not _smoothing(row.run)]:
        if worse := [row for row in smoothed if _is_worse(row, other)]:
            size = span_text((row.test_accuracy - _confidence(row) for row in worse), lambda gap: percent(gap, 1))
            names = joined([row.label for row in worse])
            return (
                f"Label smoothing usually makes models less confident: the mean confidence of {names} is {size} points "
                "below the accuracy. Log loss and calibration error are higher than those of "
                f"{other.label}, which was trained without label smoothing and has a lower test accuracy."
            )
    return ""


def _confidence(row: Row) -> float:
    """Mean confidence."""
    return sum(each.fraction * each.confidence for each in row.run.scores.calibration.bins)


def _is_worse(row: Row, other: Row) -> bool:
    """Whether a model is more accurate than another, and worse calibrated by both metrics."""
    return row.test_accuracy > other.test_accuracy and all(
        row.run.metrics[metric] > other.run.metrics[metric] for metric in (LOG_LOSS, CALIBRATION_ERROR)
    )
