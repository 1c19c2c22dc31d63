"""benchmarks/README.md: every page, and every goal that one states as missed."""

from pathlib import Path

from bench.report.build import build
from bench.report.ranking import leaderboard


def index(results: Path) -> str:
    content = build(leaderboard(results))["benchmarks/README.md"]
    assert isinstance(content, bytes)
    return content.decode()


def write(results: Path, name: str, text: str) -> None:
    (results / "benchmarks").mkdir(exist_ok=True)
    (results / "benchmarks" / name).write_text(text)


def test_there_is_no_index_without_benchmarks(tmp_path: Path) -> None:
    assert "benchmarks/README.md" not in build(leaderboard(tmp_path))


def test_missed_goals_of_lists_and_tables_are_named(tmp_path: Path) -> None:
    write(tmp_path, "speed.md", "# Speed\n\nMissed targets: dense, 2.9 (target 4.0); cnn, 2.3 (target 2.5).\n")
    write(tmp_path, "start.md", "# Start\n\n| version | s | goal |\n|:--|--:|:--|\n| old | 8.4 | not met |\n")
    text = index(tmp_path)
    assert "| [Speed](speed.md) " in text
    assert "- Speed\n  - dense, 2.9 (target 4.0)\n  - cnn, 2.3 (target 2.5)\n" in text
    assert "- Start\n  - old: not met" in text


def test_a_goal_that_is_met_is_not_listed_as_missed(tmp_path: Path) -> None:
    write(tmp_path, "memory.md", "# Memory\n\nMemory growth is within the limit of 0.2 MB per trial.\n")
    assert "within the limit" in index(tmp_path)
    assert "None of the stated goals is missed." in index(tmp_path)


def test_a_goal_that_is_not_shown_to_be_met_is_missed(tmp_path: Path) -> None:
    write(tmp_path, "memory.md", "# Memory\n\nMemory grows by 0.3 MB, not shown to be within the limit of 0.2 MB.\n")
    assert "- Memory\n  - Memory grows by 0.3 MB" in index(tmp_path)


def test_only_the_last_row_of_a_table_of_goals_counts(tmp_path: Path) -> None:
    rows = "| before | 8.4 | not met |\n| after | 1.8 | met |\n"
    write(tmp_path, "start.md", f"# Start\n\n| version | s | goal |\n|:--|--:|:--|\n{rows}")
    assert "after: met" in index(tmp_path)
    assert "before" not in index(tmp_path)
