"""benchmarks/README.md: the benchmarks of the suite itself, and every goal that one of them states."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

import pandas as pd

from bench.report.board import Board
from bench.report.markdown import link, render
from bench.report.pages.contract import Files

name = "benchmarks"

INDEX = "benchmarks/README.md"
GOALS = re.compile(r"^(Missed|Met) goals: (.+?)\.?$", re.MULTILINE)


def files(board: Board) -> Files:
    """benchmarks/README.md, if there are benchmarks."""
    pages = [page for page in sorted((board.results / "benchmarks").glob("*.md")) if page.name != Path(INDEX).name]
    if not pages:
        return {}
    texts = {page.name: page.read_text() for page in pages}
    missed = {title(text): goals for text in texts.values() if (goals := goals_of(text, "Missed"))}
    met = {title(text): goals for text in texts.values() if (goals := goals_of(text, "Met"))}
    index = pd.DataFrame(
        {
            "benchmark": link(title(text) + _protocol(text), page),
            "goals met": _count(met, missed, title(text)),
            "goals missed": _count(missed, met, title(text)),
        }
        for page, text in texts.items()
    )
    return {INDEX: render("benchmarks.md.j2", index=index, goals={"Missed goals": missed, "Goals met": met})}


def _count(goals: Mapping[str, Sequence[str]], others: Mapping[str, Sequence[str]], benchmark: str) -> str:
    """The number of goals of a benchmark; "-" if it has neither these nor the others."""
    return str(len(goals.get(benchmark, ()))) if benchmark in goals or benchmark in others else "-"


def _protocol(text: str) -> str:
    return " (protocol 1)" if "search spaces of protocol 1" in text else ""


def title(text: str) -> str:
    """The first heading of a page."""
    heading = re.search(r"^# (.+)$", text, re.MULTILINE)
    return heading[1] if heading else "Untitled"


def goals_of(text: str, verdict: Literal["Missed", "Met"]) -> list[str]:
    """The goals that a page lists with this verdict."""
    return [goal.strip() for match in GOALS.finditer(text) if match[1] == verdict for goal in match[2].split(";")]
