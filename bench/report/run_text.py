"""One run as plain text or plain values: result, architecture, hyperparameters."""

from pathlib import Path
from typing import Any

from bench.evaluation.text import capitalized, counted, interval_text, percent
from bench.report.board import Row, Table, find_row
from bench.report.narrow_table import narrow_table, wrap
from bench.report.ranking import rank
from bench.report.runs import find_run, load
from bench.report.tables.details import two_columns
from bench.report.tables.hyperparameters import hyperparameters_table
from bench.report.tables.scores import rank_text
from bench.report.text.statements import interval_sentence


def run_row(results: Path, name: str) -> tuple[Table, Row]:
    """The row of the run with the model name or run id `name`, and its table.

    Raises:
        SpecError: there is none, or there are several.
        RecordError: it cannot be read.
    """
    loaded = load(results)
    record = find_run(loaded, name).record
    return find_row(rank(results, loaded), record.dataset.name, record.run_id)


def run_text(results: Path, table: Table, row: Row) -> str:
    """Result, architecture and hyperparameters of a run for the terminal."""
    run, record = row.run, row.record
    ranked = f"Rank {rank_text(row)} of {counted(len(table.rows), 'tuned model')}. " if row.rank is not None else ""
    parts = [
        wrap(
            f"{row.label} on {record.dataset.title}: test accuracy {percent(row.test_accuracy)}% "
            f"({interval_text(run.interval)})"
        ),
        wrap(f"{ranked}{interval_sentence(run)}"),
        f"Run: {record.run_id}\nReport: {results / row.page}",
        run.summary,
    ]
    if record.search is not None and record.search.space:
        parts.append(f"Hyperparameters\n\n{narrow_table(hyperparameters_table(record.search))}")
    if record.reference is not None:
        recipe = record.reference.recipe
        parts.append(wrap(capitalized(recipe) if record.trained_elsewhere else f"Recipe: {recipe}"))
    return "\n\n".join(parts)


def recipe_text(recipe: dict[str, str]) -> str:
    """A recipe for the terminal."""
    return f"Recipe\n\n{narrow_table(two_columns(recipe))}"


def run_json(row: Row) -> dict[str, Any]:
    """The same as plain values."""
    run, record = row.run, row.record
    return {
        "run_id": record.run_id,
        "label": row.label,
        "dataset": record.dataset.name,
        "test_accuracy": row.test_accuracy,
        "interval": None if run.interval is None else [run.interval.low, run.interval.high],
        "seeds": len(record.refits),
        "parameters": record.refits[0].parameters,
        "summary": run.summary,
        "hyperparameters": dict(record.hyperparameters),
        "recipe": None if record.reference is None else record.reference.recipe,
        "page": row.page,
    }
