"""benchmarks/README.md: every page, and every goal that one states as missed."""

from pathlib import Path

from bench.report.build import build
from bench.report.ranking import leaderboard
from builders import page

INDEX = "benchmarks/README.md"


def write(results: Path, name: str, text: str) -> None:
    (results / "benchmarks").mkdir(exist_ok=True)
    (results / "benchmarks" / name).write_text(text)


def test_there_is_no_index_without_benchmarks(tmp_path: Path) -> None:
    assert INDEX not in build(leaderboard(tmp_path))


def test_missed_goals_are_named(tmp_path: Path) -> None:
    write(tmp_path, "speed.md", "# Speed\n\nMissed goals: dense, 2.9 (goal 4.0); cnn, 2.3 (goal 2.5).\n")
    text = page(tmp_path, INDEX)
    assert "| [Speed](speed.md) " in text
    assert "- Speed\n  - dense, 2.9 (goal 4.0)\n  - cnn, 2.3 (goal 2.5)\n" in text


def test_a_goal_that_is_met_is_not_listed_as_missed(tmp_path: Path) -> None:
    write(tmp_path, "memory.md", "# Memory\n\nMet goals: growth of 0.1 MB per trial (goal 0.2).\n")
    assert "## Missed goals\n\nNone.\n\n## Goals met\n\n- Memory\n  - growth of 0.1 MB" in page(tmp_path, INDEX)


def test_goals_that_are_met_are_named_beside_those_that_are_missed(tmp_path: Path) -> None:
    write(
        tmp_path,
        "speed.md",
        "# Speed\n\nMissed goals: dense, 2.9 (goal 4.0).\n\nMet goals: cnn, 2.3; linear, 9.\n",
    )
    (row,) = (line for line in page(tmp_path, INDEX).splitlines() if "[Speed]" in line)
    assert [cell.strip() for cell in row.split("|")[2:4]] == ["2", "1"]
    assert "## Goals met\n\n- Speed\n  - cnn, 2.3\n  - linear, 9\n" in page(tmp_path, INDEX)


def test_measurements_with_older_search_spaces_are_marked(tmp_path: Path) -> None:
    write(tmp_path, "old.md", "# Old\n\nMeasured with the search spaces of protocol 1, not others.\n")
    write(tmp_path, "new.md", "# New\n\nText.\n")
    assert "| [Old (protocol 1)](old.md) |" in page(tmp_path, INDEX)
    assert "| [New](new.md) " in page(tmp_path, INDEX)
