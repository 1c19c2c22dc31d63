"""benchmarks/README.md: the benchmarks of the suite itself, and every goal that one of them states."""

import re
from pathlib import Path

import pandas as pd

from bench.report.board import Board
from bench.report.markdown import link, render
from bench.report.pages.contract import Files

name = "benchmarks"

INDEX = "benchmarks/README.md"
MISSED = re.compile(r"Missed (?:targets|goals): (.+?)\.?$", re.MULTILINE)
GOAL_ROW = re.compile(r"^\| *([^|]+?) *\|.*\| *(met|not met) *\|$", re.MULTILINE)
UNPROVEN = "not shown to be within"
MET = re.compile(r"^-? ?(.+\bwithin the (?:limit|target|goal)\b.*)$", re.MULTILINE)


def files(board: Board) -> Files:
    """benchmarks/README.md, if there are benchmarks."""
    pages = [page for page in sorted((board.results / "benchmarks").glob("*.md")) if page.name != Path(INDEX).name]
    if not pages:
        return {}
    texts = {page.name: page.read_text() for page in pages}
    missed = {title(text): goals for text in texts.values() if (goals := missed_goals(text))}
    index = pd.DataFrame(
        {"benchmark": link(title(text), page), "goals met": met_goals(text), "goals missed": _listed(text)}
        for page, text in texts.items()
    )
    return {INDEX: render("benchmarks.md.j2", index=index, missed=missed)}


def title(text: str) -> str:
    """The first heading of a page."""
    heading = re.search(r"^# (.+)$", text, re.MULTILINE)
    return heading[1] if heading else "Untitled"


def missed_goals(text: str) -> list[str]:
    """Every goal that a page states as missed."""
    listed = [goal.strip() for match in MISSED.finditer(text) for goal in match[1].split(";")]
    unproven = [match[1] for match in MET.finditer(text) if UNPROVEN in match[1]]
    return [*listed, *unproven, *(f"{row[1]}: not met" for row in _newest(text) if row[2] == "not met")]


def met_goals(text: str) -> str:
    """Every goal that a page states as met; "-" for none."""
    met = [f"{row[1]}: met" for row in _newest(text) if row[2] == "met"]
    met += [match[1].strip().rstrip(".") for match in MET.finditer(text) if UNPROVEN not in match[1]]
    return "; ".join(met) or "-"


def _newest(text: str) -> list[re.Match[str]]:
    """The last row of a table with goals, which lists the state before and after a change."""
    return list(GOAL_ROW.finditer(text))[-1:]


def _listed(text: str) -> str:
    goals = missed_goals(text)
    return str(len(goals)) if goals else "-"
