"""The leaderboard for terminals, tuned and reference models together: six columns, or more for wide terminals."""

import math
from collections.abc import Callable, Sequence
from dataclasses import replace

import pandas as pd

from bench.errors import check_name
from bench.evaluation.metric import Metric
from bench.evaluation.text import percent, points
from bench.report.board import Board, Row, Table
from bench.report.narrow_table import narrow_table
from bench.report.tables.costs import CORE_SECONDS, core_seconds_cell, cost_cells
from bench.report.tables.leaderboard import leaderboard_cells
from bench.report.tables.scores import metric_text, rank_text

ACCURACY, MODEL = "accuracy", "model"
COSTS = {  # names of columns to sort by, and the cost of each
    "parameters": "parameters",
    "training-time": "training time per refit",
    "prediction-time": "prediction time",
    "core-seconds": "core-seconds",
}
COST_COLUMNS = {  # heading, and name of the cell among `cost_cells`
    "training-time": ("training (s)", "training time per refit (s)"),
    "prediction-time": ("prediction (µs/image)", "prediction time (µs/image)"),
    "core-seconds": (CORE_SECONDS, CORE_SECONDS),
}
INTERVALS = "Test accuracy with its 95% confidence interval: ± half its width, or -/+ the distances to its limits."
WIDTH = 200  # characters of a line of the wide table


def sorted_rows(table: Table, rows: Sequence[Row], sort: str = ACCURACY) -> list[Row]:
    """The rows, best first: the highest accuracy, the lowest cost; models by name; unknown values are last.

    Raises:
        SpecError: there is no column `sort`.
    """
    check_name("column", sort, (ACCURACY, MODEL, *COSTS, *_metrics(table)))
    if sort == MODEL:
        return sorted(rows, key=lambda row: row.label)
    by_accuracy = sorted(rows, key=lambda row: -row.test_accuracy)
    return by_accuracy if sort == ACCURACY else sorted(by_accuracy, key=_order(table, sort))


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
    if sort in COSTS:
        return lambda row: row.run.costs.get(COSTS[sort], math.inf)
    metric = _metrics(table)[sort]
    sign = -1 if metric.direction == "higher" else 1
    return lambda row: math.inf if (value := row.run.value(metric)) is None else sign * value


def ranked_table(table: Table, rows: Sequence[Row], sort: str = ACCURACY) -> pd.DataFrame:
    """Six columns of text, one row each in the given order.

    Args:
        table: to which the rows belong.
        rows: in their order.
        sort: what they are sorted by; the last column shows it, or the training time.
    """
    heading, cell = _last_column(table, sort)
    subtracted = _subtracted_row(table)
    accuracies = _accuracy_cells(rows)
    return pd.DataFrame(
        {
            "rank": rank_text(row).replace(" to ", "-"),
            "model": row.label,
            "test accuracy (%)": accuracy,
            "diff. (pp)": "-" if row is subtracted else points(row.test_accuracy - subtracted.test_accuracy),
            "params": _thousands(row.run.costs["parameters"]),
            heading: cell(row),
        }
        for row, accuracy in zip(rows, accuracies, strict=True)
    )


def wide_table(table: Table, rows: Sequence[Row], sort: str = ACCURACY, width: float = WIDTH) -> pd.DataFrame:
    """The columns of the leaderboard page, and further ones as long as lines have at most `width` characters."""
    page = [leaderboard_cells(table, row) for row in rows]
    frame = pd.DataFrame(
        {**cells, **_further_cells(table, row, sort), **cells} for row, cells in zip(rows, page, strict=True)
    )
    while len(frame.columns) > len(page[0]) and max(map(len, narrow_table(frame).splitlines())) > width:
        frame = frame.iloc[:, :-1]
    return frame


def _further_cells(table: Table, row: Row, sort: str) -> dict[str, str]:
    """Columns that the leaderboard page lacks, and the one that the rows are sorted by first."""
    search, metrics = row.record.search, _metrics(table)
    cells = {
        "seeds": str(len(row.record.refits)),
        **{
            metric.heading: metric_text(row.run, metric)
            for name, metric in metrics.items()
            if name == sort or not metric.details_only
        },
        f"{table.score} (%)": "-" if search is None else percent(search.winning_trial.score),
        CORE_SECONDS: core_seconds_cell(table, row),
        "trials": "-" if search is None else f"{len(search.trials):,}",
    }
    first = metrics[sort].heading if sort in metrics else CORE_SECONDS if sort == CORE_SECONDS else "seeds"
    return {first: cells[first], **cells}


def difference_note(table: Table) -> str:
    """What the differences of `ranked_table` are from."""
    label = _subtracted_row(table).label
    choice = f"the tuned model with the best {table.score}" if table.selected_row else "the most accurate"
    return f"Differences are from {label}, {choice}."


def machines_note(rows: Sequence[Row]) -> str:
    """That times are not comparable, if the rows come from several machines."""
    machines = {row.record.environment.machine for row in rows}
    return "From different machines: times are not comparable." if len(machines) > 1 else ""


def _subtracted_row(table: Table) -> Row:
    """The row that differences are from; unlike `table.compared_with`, also in a table without tuned models."""
    return table.selected_row or max(table.compared, key=lambda row: row.test_accuracy)


def _accuracy_cells(rows: Sequence[Row]) -> list[str]:
    """Percent with ± half the width of the interval, or in all rows the distances to both limits if they differ.

    Both limits as numbers, as on the pages, would need more than 80 characters with the longest built-in names.
    """
    distances = [
        None if (ci := row.run.interval) is None else (percent(ci.mean - ci.low), percent(ci.high - ci.mean))
        for row in rows
    ]
    symmetric = all(each is None or each[0] == each[1] for each in distances)
    return [
        percent(row.test_accuracy)
        + ("" if each is None else f" ± {each[0]}" if symmetric else f" -{each[0]}/+{each[1]}")
        for row, each in zip(rows, distances, strict=True)
    ]


def _last_column(table: Table, sort: str) -> tuple[str, Callable[[Row], str]]:
    """Heading and cells."""
    if metric := _metrics(table).get(sort):
        return metric.heading, lambda row: metric_text(row.run, metric)
    heading, name = COST_COLUMNS.get(sort, COST_COLUMNS["training-time"])
    return heading, lambda row: cost_cells(row.run)[name]


def _metrics(table: Table) -> dict[str, Metric]:
    return {metric.key.replace("_", "-"): metric for metric in table.compared[0].run.metrics}


def _thousands(number: float) -> str:
    """To three digits: 812, 23.4k, 1.25M."""
    number = float(f"{number:.3g}")
    for limit, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if number >= limit:
            return f"{number / limit:#.3g}".rstrip(".") + unit
    return f"{number:.0f}"
