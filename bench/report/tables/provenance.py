"""Where the rows of a table come from: one line per model."""

import pandas as pd

from bench.report.board import Table
from bench.report.tables.leaderboard import by_accuracy

COMMIT_DIGITS = 7


def provenance_table(table: Table) -> pd.DataFrame:
    """Run, date, commit, code and environment of each model."""
    return pd.DataFrame(
        {
            "model": row.label,
            "run": (record := row.record).run_id,
            "finished (UTC)": record.finished[:10],
            "commit": short_commit(record.environment.git_commit),
            "code digest": record.spec.source[:COMMIT_DIGITS],
            "refit precision": record.precision_refit,
            "TensorFlow": record.environment.tensorflow,
            "Keras": record.environment.keras,
            "Python": record.environment.python,
            "CPU": record.environment.cpu,
        }
        for row in by_accuracy(table.compared)
    )


def short_commit(commit: str | None, digits: int = COMMIT_DIGITS) -> str:
    """The first digits of a commit, with the mark of uncommitted changes."""
    return "unknown" if commit is None else f"{commit[:digits]}{'+' if commit.endswith('+') else ''}"
