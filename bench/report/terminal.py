"""The leaderboard as text, for the terminal."""

from collections.abc import Callable, Iterator, Sequence

import pandas as pd

from bench.evaluation.text import counted
from bench.report.board import Board, Table
from bench.report.markdown import table
from bench.report.narrow_table import narrow_table, wrap
from bench.report.ranked_table import (
    ACCURACY,
    INTERVALS,
    difference_note,
    machines_note,
    ranked_table,
    sorted_rows,
)
from bench.report.tables.costs import costs_table
from bench.report.tables.scores import UNCERTAINTY, references_table, reproductions_table, scores_table


def leaderboard_text(board: Board, *, wide: bool = False, sort: str = ACCURACY, markdown: bool = False) -> str:
    """Every table, and the runs that could not be read.

    Args:
        board: the leaderboard.
        wide: whether to print all columns, which needs about 200 characters.
        sort: the column by which rows are sorted.
        markdown: whether to print pipe tables.

    Raises:
        SpecError: there is no column `sort`.
    """
    shown: set[str] = set()
    parts = []
    for each in board.tables:
        frames = _wide(each, sort) if wide else _ranked(each, sort, shown)
        shown |= {row.run.record.run_id for row in each.references}
        draw = table if markdown else narrow_table
        below = [] if wide else [wrap(difference_note(each))]
        parts.append("\n\n".join([*map(wrap, [_title(each), *_notes(each)]), *_tables(frames, draw), *below]))
    if board.tables and not wide:
        parts.append(INTERVALS)
    if not board.tables and not board.problems:
        parts.append("No finished run yet.")
    if board.problems:
        parts.append("\n".join(["Could not be read:", *(f"  {problem}" for problem in board.problems)]))
    return "\n\n".join(parts)


def _tables(frames: dict[str, pd.DataFrame], draw: Callable[[pd.DataFrame], str]) -> Iterator[str]:
    for title, frame in frames.items():
        if not frame.empty:
            yield f"{title}\n\n{draw(frame)}".strip()


def _ranked(table: Table, sort: str, shown: set[str]) -> dict[str, pd.DataFrame]:
    """All rows in one table, without the reference models of earlier tables."""
    rows = [row for row in table.everything if row.run.record.run_id not in shown]
    return {"": ranked_table(table, sorted_rows(table, rows, sort), sort)}


def _wide(table: Table, sort: str) -> dict[str, pd.DataFrame]:
    order = [row.label for row in sorted_rows(table, table.everything, sort)]
    frames = {
        "": scores_table(table),
        "Reference models": references_table(table),
        "Reproductions": reproductions_table(table),
        "Costs": costs_table(table),
    }
    # Lines are short on a terminal; the pages have this column.
    return {
        title: _in_order(frame.drop(columns=UNCERTAINTY, errors="ignore"), order) for title, frame in frames.items()
    }


def _in_order(frame: pd.DataFrame, order: Sequence[str]) -> pd.DataFrame:
    return frame if frame.empty else frame.sort_values("model", key=lambda names: names.map(order.index), kind="stable")


def _title(table: Table) -> str:
    return f"{table.dataset.title}, budget {table.conditions['budget']}, {counted(len(table.rows), 'tuned model')}"


def _notes(table: Table) -> list[str]:
    notes = [
        f"Not ranked with the first table: {name} is {table.condition(name)} here, {there} there."
        for name, there in table.differs.items()
    ]
    if note := machines_note(table.everything):
        notes.append(note)
    if any(row.rank is None for row in table.rows):
        notes.append("?: no rank, since a single seed gives no variance estimate.")
    return ["\n".join(notes)] if notes else []
