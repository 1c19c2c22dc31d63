"""Results for other programs: tables of plain values, TensorBoard logs, MLflow runs."""

from bench.report.board import Board
from bench.report.runs import Run


def runs_of(board: Board) -> list[Run]:
    """Every run of a leaderboard once; a reference model may be in several tables."""
    runs = {(table.dataset.name, row.run.record.run_id): row.run for table in board.tables for row in table.everything}
    return list(runs.values())
