"""The contract of pages and exporters: an object or module that makes files from the leaderboard."""

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
        """The name of the page in error messages."""

    def files(self, board: Board) -> Files:
        """The files it makes; none if there is nothing to show.

        Once no page makes them anymore, Markdown with the `mark` of the page's package and pictures in
        `<folder>/figures/` are removed. While the package is not installed, its Markdown stays, but not such pictures.
        """


@runtime_checkable
class ReportsProblems(Page, Protocol):
    """A page that reads other records than runs, some of which may be damaged."""

    def problems(self, board: Board) -> tuple[str, ...]:
        """What is wrong with them, one sentence each, with paths relative to the results folder."""
