"""The tutorials' page: what was published of them, and what their recipes give here."""

import pandas as pd

from bench.evaluation.comparison import prediction_interval
from bench.records.record import Published
from bench.report.leaderboard import Board, Row
from bench.report.tables import accuracy_with_interval, percent, seconds


def tutorial_rows(board: Board) -> dict[str, list[Row]]:
    """The tutorials that were trained, by the title of their dataset, each once."""
    found: dict[str, dict[str, Row]] = {}
    for table in board.tables:
        for row in table.references:
            reference = row.run.record.reference
            if reference is not None and reference.kind == "tutorial":
                found.setdefault(table.dataset.title, {})[row.run.record.run_id] = row
    return {title: sorted(rows.values(), key=lambda row: row.label) for title, rows in found.items()}


def tutorials_table(rows: list[Row]) -> pd.DataFrame:
    """Published figures beside measured ones; seconds only where one machine made them all."""
    one_machine = len(machines(rows)) == 1
    return pd.DataFrame(
        {
            "model": row.label,
            "published": _published_text(row),
            "counts as, %": _counts_as(row),
            "measured, %": accuracy_with_interval(row.test_accuracy, row.run.interval),
            "seeds": str(len(row.run.record.refits)),
            "one training, %": _range_text(_one_training(row)),
            "published is": _place(row),
            "train/test gap, points": percent(row.train_test_gap),
            "log loss": f"{row.run.scores.log_loss:.4f}",
        }
        | ({"train once, s": seconds(row.refit_seconds)} if one_machine else {})
        for row in rows
    )


def machines(rows: list[Row]) -> list[str]:
    """Which processors made these rows."""
    return sorted({row.run.record.environment.cpu for row in rows})


def recipes_table(rows: list[Row]) -> pd.DataFrame:
    """How each is trained, and how well it knows its training images, which is what some tutorials tell."""
    return pd.DataFrame(
        {
            "model": row.label,
            "parameters": f"{row.parameters:,}",
            "accuracy on training images, %": percent(row.test_accuracy + row.train_test_gap),
            "recipe": row.run.record.reference.recipe if row.run.record.reference else "",
        }
        for row in rows
    )


def _published(row: Row) -> Published | None:
    reference = row.run.record.reference
    # The figures are those of Fashion-MNIST.
    return reference.published if reference is not None and row.run.record.dataset.name == "fashion_mnist" else None


def _published_text(row: Row) -> str:
    published = _published(row)
    return "no figure" if published is None else published.text


def _counts_as(row: Row) -> str:
    published = _published(row)
    if published is None:
        return "-"
    if published.high - published.low < 0.0002:  # a figure with two decimals
        return percent((published.low + published.high) / 2)
    return f"{percent(published.low)} to {percent(published.high)}"


def _one_training(row: Row) -> tuple[float, float] | None:
    return prediction_interval(row.run.scores.correct.mean(axis=1))


def _range_text(limits: tuple[float, float] | None) -> str:
    return "unknown (1 seed)" if limits is None else f"{percent(limits[0])} to {percent(limits[1])}"


def _place(row: Row) -> str:
    """Whether what was published is what one training gives."""
    published, limits = _published(row), _one_training(row)
    if published is None or limits is None:
        return "-"
    if published.high < limits[0]:
        return "outside, below"
    return "outside, above" if published.low > limits[1] else "inside"
