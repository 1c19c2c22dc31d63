"""leaderboard.md: the tables of all datasets."""

from itertools import groupby

from bench.report.board import Board
from bench.report.evaluations import count_text
from bench.report.markdown import render
from bench.report.page import Files
from bench.report.pages.sections import table_section


class LeaderboardPage:
    """The page that people read first."""

    name = "leaderboard"

    def files(self, board: Board) -> Files:
        """leaderboard.md."""
        datasets = {
            name: [table_section(table) for table in tables]
            for name, tables in groupby(board.tables, key=lambda table: table.dataset.name)
        }
        evaluations = {name: count_text(board.results, name) for name in datasets}
        return {
            "leaderboard.md": render(
                "leaderboard.md.j2", board=board, datasets=datasets, evaluations_by_dataset=evaluations
            )
        }
