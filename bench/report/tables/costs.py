"""What the models cost to train and to use."""

from collections.abc import Sequence

import pandas as pd

from bench.report.board import Row, Table
from bench.report.text.numbers import seconds

UNITS = {"parameters": "", "training time": "s", "prediction time": "µs/image"}


def costs_table(table: Table) -> pd.DataFrame:
    """The costs of each model, in the order of the scores; machines are named if there are several."""
    fronts = pareto_fronts(table.top, with_times=len(table.machines) == 1)
    costs = pd.DataFrame(
        {
            "model": row.label,
            "parameters": f"{row.parameters:,}",
            "search time (s)": search_time_text(row),
            "training time (s)": seconds(row.costs["training time"]),
            "prediction time (µs/image)": f"{row.costs['prediction time']:.3g}",
            "on the Pareto front of": ", ".join(cost for cost in fronts if row.label in fronts[cost]) or "-",
        }
        for row in table.compared
    )
    if len(table.machines) > 1:
        costs["machine"] = [row.run.record.environment.cpu for row in table.compared]
    return costs


def search_time_text(row: Row) -> str:
    """Seconds of a row's search."""
    search = row.run.record.search
    return "-" if search is None else seconds(search.search_seconds)


def pareto_fronts(rows: Sequence[Row], *, with_times: bool) -> dict[str, list[str]]:
    """For each cost, the models for which no other is both more accurate and cheaper, cheapest first.

    Args:
        rows: the models.
        with_times: whether they were made on one machine, so that times are comparable.
    """
    fronts: dict[str, list[str]] = {}
    for cost in UNITS if with_times else ("parameters",):
        by_cost = sorted(rows, key=lambda row: (row.costs[cost], -row.test_accuracy))
        fronts[cost], best = [], -1.0
        for row in by_cost:
            if row.test_accuracy > best:
                best = row.test_accuracy
                fronts[cost].append(row.label)
    return fronts
