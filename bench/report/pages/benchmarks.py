"""benchmarks/README.md: the benchmarks of the suite itself, and every goal that one of them states."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd

from bench.report.board import Board
from bench.report.markdown import link, render
from bench.report.pages.contract import Files

name = "benchmarks"

INDEX = "benchmarks/README.md"
LISTED = re.compile(r"^(Missed|Met) (?:targets|goals): (.+?)\.?$", re.MULTILINE)
UNPROVEN = "not shown to be within"
MET = re.compile(r"^-? ?(.+\bwithin the (?:limit|target|goal)\b.*)$", re.MULTILINE)


def files(board: Board) -> Files:
    """benchmarks/README.md, if there are benchmarks."""
    pages = [page for page in sorted((board.results / "benchmarks").glob("*.md")) if page.name != Path(INDEX).name]
    if not pages:
        return {}
    texts = {page.name: page.read_text() for page in pages}
    missed = {title(text): goals for text in texts.values() if (goals := missed_goals(text))}
    met = {title(text): goals for text in texts.values() if (goals := met_goals(text))}
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


def missed_goals(text: str) -> list[str]:
    """Every goal that a page states as missed."""
    unproven = [match[1] for match in MET.finditer(text) if UNPROVEN in match[1]]
    return [*_listed(text, "Missed"), *unproven]


def met_goals(text: str) -> list[str]:
    """Every goal that a page states as met."""
    met = [match[1].strip().rstrip(".") for match in MET.finditer(text) if UNPROVEN not in match[1]]
    return [*_listed(text, "Met"), *met]


def _listed(text: str, verdict: str) -> list[str]:
    """The goals in the lines that list all with a verdict."""
    return [goal.strip() for match in LISTED.finditer(text) if match[1] == verdict for goal in match[2].split(";")]
