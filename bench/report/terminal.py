"""The leaderboard as text, for the terminal."""

import math

from bench.evaluation.text import counted
from bench.report.board import MAX_TIME_RATIO, Board, Table
from bench.report.markdown import table
from bench.report.narrow_table import narrow_table, wrap
from bench.report.ranked_table import (
    ACCURACY,
    INTERVALS,
    WIDTH,
    difference_note,
    machines_note,
    ranked_table,
    sorted_rows,
    wide_table,
)
from bench.report.tables.costs import UNEQUAL_MARK
from bench.report.tables.leaderboard import NOT_SIGNIFICANT


def leaderboard_text(board: Board, *, wide: bool = False, sort: str = ACCURACY, markdown: bool = False) -> str:
    """Every table, and the runs that could not be read.

    Args:
        board: the leaderboard.
        wide: whether to print more columns, those of the leaderboard page first, in lines of about 200 characters.
        sort: the column by which rows are sorted.
        markdown: whether to print pipe tables.

    Raises:
        SpecError: there is no column `sort`.
    """
    shown: set[str] = set()
    parts = []
    for each in board.tables:
        # Reference models and their reproductions are not repeated in later tables.
        rows = sorted_rows(each, [row for row in each.everything if row.record.run_id not in shown], sort)
        shown |= {row.record.run_id for row in rows}
        if not rows:
            continue
        if wide:
            frame = wide_table(each, rows, sort, math.inf if markdown else WIDTH)
        else:
            frame = ranked_table(each, rows, sort)
        drawn = table(frame) if markdown else narrow_table(frame)
        below = _wide_notes(each, drawn) if wide else difference_note(each)
        paragraphs = [wrap(_title(each)), wrap(_notes(each)), drawn, wrap(below)]
        parts.append("\n\n".join(filter(None, paragraphs)))
    if board.tables:
        parts.append("Intervals are 95% confidence intervals." if wide else wrap(INTERVALS))
    elif not board.problems:
        parts.append("No finished run yet.")
    if board.problems:
        parts.append("\n".join(["Could not be read:", *(f"  {problem}" for problem in board.problems)]))
    return "\n\n".join(parts)


def _wide_notes(table: Table, drawn: str) -> str:
    """What the differences in a wide table are from, and what its marks mean."""
    notes = [] if table.compared_with is None else [difference_note(table)]
    if NOT_SIGNIFICANT in drawn:
        notes.append(f"{NOT_SIGNIFICANT}: not significant after Holm's correction.")
    if UNEQUAL_MARK in drawn:
        notes.append(f"(!): more than {MAX_TIME_RATIO} times the core-seconds of another row.")
    return " ".join(notes)


def _title(table: Table) -> str:
    return f"{table.dataset.title}, budget {table.conditions['budget']}, {counted(len(table.rows), 'tuned model')}"


def _notes(table: Table) -> str:
    notes = [
        f"Not ranked with the first table: {name} is {table.condition(name)} here, {there} there."
        for name, there in table.differs.items()
    ]
    notes.append(machines_note(table.everything))
    if any(row.rank is None for row in table.rows):
        notes.append("?: no rank, since a single seed gives no variance estimate.")
    return "\n".join(filter(None, notes))
