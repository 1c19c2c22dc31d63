"""What the models cost to train and to use."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from bench.evaluation.text import number, seconds
from bench.report.board import Row, Table
from bench.report.runs import Run

CORE_SECONDS = "core-seconds"
UNEQUAL_MARK = " (!)"
TIMED_ALONE_SINCE = "2026-12"  # before, predictions were also timed while other tasks of the command were running
SAME_TIME = 0.1  # relative difference up to which measured times count as equal on the Pareto front
UNITS = {
    CORE_SECONDS: "",
    "parameters": "",
    "training time per refit": "s",
    "prediction time": "µs/image",
}


def costs_table(table: Table) -> pd.DataFrame:
    """The costs of each model, in the order of the scores; machines are named if there are several."""
    names, fronts = table.machine_names, pareto_fronts(table)
    return pd.DataFrame(
        {
            "model": row.label,
            **cost_cells(row.run),
            CORE_SECONDS: core_seconds_cell(table, row),
            "on the Pareto front for": ", ".join(cost for cost in fronts if row.label in fronts[cost]) or "-",
        }
        | ({"machine": names[row.record.environment.machine]} if len(names) > 1 else {})
        for row in table.compared
    )


def timed_sentence(table: Table) -> str:
    """Whose times are compared, if the models come from several machines."""
    names = table.machine_names
    if len(names) == 1 or len(table.timed) == 1:
        return ""
    machine = names[table.timed[0].record.environment.machine]
    return f"Of times, the Pareto fronts contain only models from {machine}."


def core_seconds_cell(table: Table, row: Row) -> str:
    """The core-seconds of a model, marked if it got much more time than another."""
    return cost_cells(row.run)[CORE_SECONDS] + (UNEQUAL_MARK if table.took_too_long(row) else "")


def cost_cells(run: Run) -> dict[str, str]:
    """The costs of one model as table cells: heading to text."""
    search, known = run.record.search, not run.record.trained_elsewhere
    return {
        CORE_SECONDS: f"{run.core_seconds:,.0f}" if known else "unknown",
        "parameters": f"{run.costs['parameters']:,}",
        "search time (s)": "-" if search is None else seconds(search.search_seconds),
        "training time per refit (s)": seconds(run.costs["training time per refit"]) if known else "unknown",
        "prediction time (µs/image)": number(run.costs["prediction time"]),
    }


def prediction_note(rows: Sequence[Row]) -> str:
    """How the prediction times of the rows were measured."""
    if all(row.record.finished >= TIMED_ALONE_SINCE for row in rows):
        return "The prediction time is measured in batches while no other task of the command runs."
    return (
        "The prediction time is measured in batches; for runs that ended before December 2026, another task of the "
        "command may have been running."
    )


def comparable_costs(table: Table) -> dict[str, dict[str, float]]:
    """The costs of each model by its label; times only of models from the machine that most of them come from."""
    timed = [row.label for row in table.timed]
    return {
        row.label: {cost: row.run.costs[cost] for cost in row.run.costs if cost == "parameters" or row.label in timed}
        for row in table.compared
    }


def pareto_fronts(table: Table) -> dict[str, list[str]]:
    """For each cost that is comparable between models, those that no other dominates, cheapest first.

    A model dominates another if it is more accurate and not more expensive, or as accurate and cheaper. Times that
    differ by at most SAME_TIME count as equal.
    """
    fronts: dict[str, list[str]] = {}
    comparable = comparable_costs(table)
    for cost in UNITS:
        priced = [row for row in table.compared if cost in comparable[row.label]]
        priced.sort(key=lambda row: row.run.costs[cost])
        if len(priced) < 2:
            continue
        same = 1 if cost == "parameters" else 1 + SAME_TIME
        costs = np.array([row.run.costs[cost] for row in priced])
        accuracies = np.array([row.test_accuracy for row in priced])
        # Whether the model of the row dominates that of the column.
        better = (accuracies[:, None] > accuracies) & (costs[:, None] <= same * costs)
        cheaper = (accuracies[:, None] >= accuracies) & (same * costs[:, None] < costs)
        on_front = np.flatnonzero(~(better | cheaper).any(axis=0))
        fronts[cost] = [priced[number].label for number in on_front]
    return fronts
