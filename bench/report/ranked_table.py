"""The leaderboard in six columns, for terminals of 80 characters: tuned and reference models together."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import pandas as pd

from bench.errors import check_name
from bench.evaluation.comparison import Interval
from bench.evaluation.metric import Metric
from bench.evaluation.text import percent, points, seconds
from bench.report.board import Board, Row, Table
from bench.report.tables.scores import metric_text, rank_text

ACCURACY, MODEL = "accuracy", "model"
COSTS = {  # names of columns to sort by, and the cost of each
    "parameters": "parameters",
    "training-time": "training time per refit",
    "prediction-time": "prediction time",
    "core-seconds": "core-seconds",
}
HEADINGS = {
    "training-time": "training (s)",
    "prediction-time": "prediction (µs/image)",
    "core-seconds": "core-seconds",
}
INTERVALS = "Test accuracy with its 95% confidence interval."


def sort_names(table: Table) -> tuple[str, ...]:
    """Names of columns to sort by."""
    return (ACCURACY, MODEL, *COSTS, *_metrics(table))


def sorted_rows(table: Table, rows: Sequence[Row], sort: str = ACCURACY) -> list[Row]:
    """The rows, best first: the highest accuracy, the lowest cost; models by name; unknown costs are last.

    Raises:
        SpecError: there is no column `sort`.
    """
    check_name("column", sort, sort_names(table))
    if sort == MODEL:
        return sorted(rows, key=lambda row: row.label)
    by_accuracy = sorted(rows, key=lambda row: -row.test_accuracy)
    return sorted(by_accuracy, key=_order(table, sort))


def sorted_board(board: Board, sort: str) -> Board:
    """The leaderboard with the rows of each kind sorted as `sorted_rows` does."""
    if sort == ACCURACY:
        return board
    return replace(board, tables=tuple(_sorted_table(table, sort) for table in board.tables))


def _sorted_table(table: Table, sort: str) -> Table:
    def rows(rows: Sequence[Row]) -> tuple[Row, ...]:
        return tuple(sorted_rows(table, rows, sort))

    return replace(
        table, rows=rows(table.rows), references=rows(table.references), reproductions=rows(table.reproductions)
    )


def _order(table: Table, sort: str) -> Callable[[Row], float]:
    if sort == ACCURACY:
        return lambda row: -row.test_accuracy
    if sort in COSTS:
        return lambda row: row.run.costs.get(COSTS[sort], float("inf"))
    metric = _metrics(table)[sort]
    sign = -1 if metric.direction == "higher" else 1
    return lambda row: sign * row.run.metrics[metric]


def ranked_table(table: Table, rows: Sequence[Row], sort: str = ACCURACY) -> pd.DataFrame:
    """Six columns of text, one row each in the given order.

    Args:
        table: to which the rows belong.
        rows: in their order.
        sort: what they are sorted by; the last column shows it, or the training time.
    """
    heading, cell = _last_column(table, sort)
    compared_with = _compared_with(table)
    return pd.DataFrame(
        {
            "rank": rank_text(row).replace(" to ", "-"),
            "model": row.label,
            "test accuracy (%)": _accuracy_cell(row.test_accuracy, row.run.interval),
            "diff. (pp)": "-" if row is compared_with else points(row.test_accuracy - compared_with.test_accuracy),
            "params": _thousands(row.run.costs["parameters"]),
            heading: cell(row),
        }
        for row in rows
    )


def difference_note(table: Table) -> str:
    """What the differences of `ranked_table` are from."""
    label = _compared_with(table).label
    choice = f"the tuned model with the best {table.score}" if table.selected_row else "the most accurate"
    return f"Differences are from {label}, {choice}."


def machines_note(rows: Sequence[Row]) -> str:
    """That times are not comparable, if the rows come from several machines."""
    machines = {row.run.record.environment.machine for row in rows}
    return "From different machines: times are not comparable." if len(machines) > 1 else ""


def _compared_with(table: Table) -> Row:
    return table.selected_row or max(table.compared, key=lambda row: row.test_accuracy)


def _accuracy_cell(accuracy: float, interval: Interval | None) -> str:
    """Percent with ± half the width of the interval, or the distances to both limits if they differ."""
    if interval is None:
        return percent(accuracy)
    below, above = percent(interval.mean - interval.low), percent(interval.high - interval.mean)
    return f"{percent(accuracy)} " + (f"± {above}" if below == above else f"-{below} +{above}")


def _last_column(table: Table, sort: str) -> tuple[str, Callable[[Row], str]]:
    """Heading and cells."""
    if metric := _metrics(table).get(sort):
        return metric.heading, lambda row: metric_text(row.run, metric)
    shown = sort if sort in HEADINGS else "training-time"

    def cell(row: Row) -> str:
        cost = row.run.costs.get(COSTS[shown])
        return "unknown" if cost is None else seconds(cost)

    return HEADINGS[shown], cell


def _metrics(table: Table) -> dict[str, Metric]:
    return {metric.key.replace("_", "-"): metric for metric in table.compared[0].run.metrics}


def _thousands(number: float) -> str:
    """To three digits: 812, 23.4k, 1.25M."""
    for limit, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if number >= limit:
            return f"{number / limit:#.3g}".rstrip(".") + unit
    return f"{number:.0f}"
