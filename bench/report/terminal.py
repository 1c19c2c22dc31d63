"""The leaderboard as plain text, for the terminal."""

from pathlib import Path

from bench.report.leaderboard import Board, Row, Table, find_row, leaderboard
from bench.report.markdown import plain_table
from bench.report.tables import costs_table, references_table, scores_table


def leaderboard_text(board: Board) -> str:
    """Scores and costs of every table, and what could not be read."""
    parts = [_table_text(table, table.everything) for table in board.tables]
    if not board.tables:
        parts.append("No finished run yet.")
    if board.problems:
        parts.append("\n".join(["Could not be read:", *(f"  {problem}" for problem in board.problems)]))
    return "\n\n".join(parts)


def row_text(results: Path, dataset: str, run_id: str) -> str:
    """The row of one run, as it stands in the leaderboard of `results`, and where its report is.

    Raises:
        RecordError: no such run is finished and readable.
    """
    table, row = find_row(leaderboard(results), dataset, run_id)
    return f"{_table_text(table, (row,))}\n\nReport: {results / row.page}"


def _table_text(table: Table, rows: tuple[Row, ...]) -> str:
    shown = {row.label for row in rows}
    frames = [scores_table(table), references_table(table), costs_table(table)]
    cut = [frame[frame["model"].isin(shown)] for frame in frames if not frame.empty]
    title = f"{table.dataset.title}, budget of {table.conditions['budget']}, {len(table.rows)} row(s)"
    return "\n\n".join([title, *_notes(table), *(plain_table(frame) for frame in cut if not frame.empty)])


def _notes(table: Table) -> list[str]:
    notes = [
        f"Not ranked with table 1: {name} is {table.conditions[name]} here, {there} there."
        for name, there in table.differs.items()
    ]
    if len(table.machines) > 1:
        notes.append("Made on different machines: seconds cannot be compared.")
    if any(row.rank is None for row in table.rows):
        notes.append("?: a model trained under one seed has no rank, since how much chance is in it is not known.")
    return ["\n".join(notes)] if notes else []
