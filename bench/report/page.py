"""The contract of pages and exporters: an object that makes files from the leaderboard."""

from collections.abc import Mapping
from typing import Protocol, runtime_checkable

from bench.report.board import Board
from bench.report.figures.picture import Picture

Files = Mapping[str, bytes | Picture]  # path relative to the results folder, with /, to content


@runtime_checkable
class Page(Protocol):
    """One or several generated files of a results folder."""

    @property
    def name(self) -> str:
        """What error messages call it."""

    def files(self, board: Board) -> Files:
        """The files it makes; none if there is nothing to show.

        A Markdown page that starts with `bench.report.markdown.MARK` is removed once no page makes it anymore.
        """


@runtime_checkable
class ReportsProblems(Page, Protocol):
    """A page that reads records of its own, some of which may be damaged."""

    def problems(self, board: Board) -> tuple[str, ...]:
        """What is wrong with them, one sentence each, with paths relative to the results folder."""
