"""The leaderboard as plain text, for the terminal."""

from pathlib import Path

from bench.report.board import Board, Row, Table, find_row
from bench.report.markdown import plain_table
from bench.report.ranking import leaderboard
from bench.report.tables.costs import costs_table
from bench.report.tables.scores import UNCERTAINTY, references_table, reproductions_table, scores_table
from bench.report.text.numbers import counted


def leaderboard_text(board: Board) -> str:
    """Scores and costs of every table, and the runs that could not be read."""
    parts = [_table_text(table, table.everything) for table in board.tables]
    if not board.tables and not board.problems:
        parts.append("No finished run yet.")
    if board.problems:
        parts.append("\n".join(["Could not be read:", *(f"  {problem}" for problem in board.problems)]))
    return "\n\n".join(parts)


def row_text(results: Path, dataset: str, run_id: str) -> str:
    """The row of one run in the leaderboard of `results`, and the path of its page.

    Raises:
        RecordError: no such run is finished and readable.
    """
    table, row = find_row(leaderboard(results), dataset, run_id)
    return f"{_table_text(table, (row,))}\n\nReport: {results / row.page}"


def _table_text(table: Table, rows: tuple[Row, ...]) -> str:
    shown = {row.label for row in rows}
    frames = {
        "": scores_table(table),
        "Reference models": references_table(table),
        "Reproductions": reproductions_table(table),
        "Costs": costs_table(table),
    }
    parts = [
        f"{table.dataset.title}, budget {table.conditions['budget']}, {counted(len(table.rows), 'tuned model')}",
        *_notes(table),
    ]
    for title, frame in frames.items():
        if frame.empty:
            continue
        # Lines are short on a terminal; the pages have this column.
        selected = frame[frame["model"].isin(shown)].drop(columns=UNCERTAINTY, errors="ignore")
        if not selected.empty:
            parts.append(f"{title}\n\n{plain_table(selected)}".strip())
    return "\n\n".join(parts)


def _notes(table: Table) -> list[str]:
    notes = [
        f"Not ranked with table 1: {name} is {table.condition(name)} here, {there} there."
        for name, there in table.differs.items()
    ]
    if len(table.machines) > 1:
        notes.append("From different machines: times are not comparable.")
    if any(row.rank is None for row in table.rows):
        notes.append("?: no rank, since a single seed gives no variance estimate.")
    return ["\n".join(notes)] if notes else []
