"""versions.md: how a newer TensorFlow or Keras changed accuracy and speed, and the differences that may explain it."""

import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from math import log
from pathlib import Path
from typing import Any

import pandas as pd

from bench.evaluation.comparison import interval
from bench.evaluation.equivalence import MAX_SEEDS, AccuracyChange
from bench.evaluation.speed import SpeedChange, Verdict, required_starts
from bench.evaluation.variance import Correctness
from bench.report.board import Board
from bench.report.markdown import plain_table, render
from bench.report.pages.contract import Files
from bench.report.runs import relative_to
from bench.report.text.numbers import accuracy_cell, points
from bench.versions.differences import LIBRARIES, differences
from bench.versions.findings import findings, release_notes
from bench.versions.record import SEEDS_PER_RUN, ModelResults, VersionRecord, read_all
from bench.versions.series import ComparedVersion, Series, all_series
from bench.versions.subjects import family_root, measured_families

NAME_COLUMNS = 3  # version, TensorFlow, Keras
COMMIT_DIGITS = 12
ENVIRONMENT_HEADINGS = {
    "python": "Python",
    "tensorflow": "TensorFlow",
    "keras": "Keras",
    "keras_tuner": "Keras Tuner",
    "numpy": "NumPy",
    "onednn": "oneDNN",
    "cpu": "CPU",
}
# Facts in records, and their column names; `{}` stands for what follows the prefix, a model or an input.
MEMORY_FACTS = {"megabytes, ": "{}: resident", "megabytes of its own, ": "{}: unique"}
DELAY_FACTS = {"seconds at the start of an epoch, ": "{}: delay", "of these idle, ": "{}: idle"}


class VersionsPage:
    """The page of the measured versions."""

    name = "versions"

    def files(self, board: Board) -> Files:
        """versions.md and, for each family, versions-<name>.md, if a version was measured."""
        return {
            "versions.md" if family is None else f"versions-{family}.md": _page(records, problems, family)
            for family, (records, problems) in _measured(board).items()
            if records
        }

    def problems(self, board: Board) -> tuple[str, ...]:
        """The errors of version records that cannot be read."""
        return tuple(problem for _, problems in _measured(board).values() for problem in problems)


def _measured(board: Board) -> dict[str | None, tuple[tuple[VersionRecord, ...], tuple[str, ...]]]:
    """Records, and errors of those that cannot be read, by family; None for the reference models."""
    roots: dict[str | None, Path] = {None: board.results}
    roots |= {family: family_root(board.results, family) for family in measured_families(board.results)}
    measured = {}
    for family, root in roots.items():
        records, problems = read_all(root)
        measured[family] = records, tuple(relative_to(board.results, problem) for problem in problems)
    return measured


PAGE = VersionsPage()


def _page(records: Sequence[VersionRecord], problems: Sequence[str], family: str | None) -> bytes:
    return render(
        "versions.md.j2",
        package="bench.versions",
        family=family,
        datasets=", ".join(dict.fromkeys(results.dataset for record in records for results in record.trained)),
        problems=problems,
        series=[
            {
                "title": series.title,
                "findings": findings(series),
                "versions": versions_table(series),
                "speed": speed_table(series),
                **_speed_comparisons(series),
                "differences": differences(series.records),
            }
            for series in all_series(records)
        ],
        release_notes=release_notes(records),
        memory=facts_table(records, MEMORY_FACTS, digits=0),
        delays=facts_table(records, DELAY_FACTS, digits=3),
        environments=environments_table(records),
    )


def versions_text(series: Sequence[Series]) -> str:
    """The tables for a terminal: one for each model and one for speed, narrow enough for most terminals."""
    parts = []
    for each in series:
        table = versions_table(each)
        for first in range(NAME_COLUMNS, len(table.columns), 2):
            narrow = table.iloc[:, [*range(NAME_COLUMNS), first, first + 1]]
            parts.append(f"{each.title}\n\n{plain_table(narrow)}")
    return "\n\n".join(parts)


def versions_data(series: Sequence[Series]) -> list[dict[str, Any]]:
    """One dict per row with unrounded values, for JSON."""
    return [_row_data(each, version) for each in series for version in each.rows.values()]


def _row_data(series: Series, version: ComparedVersion) -> dict[str, Any]:
    record, changes = version.record, _changes(version)
    return {
        "series": series.title,
        "version": record.name,
        "compared_with": version.compared_with,
        **{name: getattr(record.environment, name) for name in LIBRARIES},
        "models": {
            results.model: _model_data(results, version.accuracy.get(results.model)) for results in record.trained
        },
        "speed_not_compared": version.speed if isinstance(version.speed, str) else None,
        "speed": {
            operation: {
                "seconds": seconds,
                "change": asdict(changes[operation]) if operation in changes else None,
            }
            for operation, seconds in _median_seconds(record).items()
        },
    }


def _model_data(results: ModelResults, change: AccuracyChange | str | None) -> dict[str, Any]:
    correctness = Correctness(correct=results.bits)
    limits = interval(correctness)
    return {
        "test_accuracy": float(correctness.correct.mean()),
        "interval": None if limits is None else asdict(limits),
        "verdict": change.verdict if isinstance(change, AccuracyChange) else None,
        "not_compared": change if isinstance(change, str) else None,
        "change": asdict(change) if isinstance(change, AccuracyChange) else None,
    }


def versions_table(series: Series) -> pd.DataFrame:
    """One row per comparison: accuracy and verdict of each model, and the operations that became slower or faster."""
    models = dict.fromkeys(results.model for record in series.records for results in record.trained)
    return pd.DataFrame({"version": heading, **_row(row, list(models))} for heading, row in series.rows.items())


def _row(version: ComparedVersion, models: Sequence[str]) -> dict[str, str]:
    record = version.record
    row = {"TensorFlow": record.environment.tensorflow, "Keras": record.environment.keras}
    for model in models:
        results = record.results_of(model)
        row[f"{model} (%)"] = "-" if results is None else _accuracy(results)
        row[f"{model}: change (pp)"] = _change_text(version.accuracy.get(model))
    row["slower"] = _changed_operations(version, "slower")
    row["faster"] = _changed_operations(version, "faster")
    return row


def _accuracy(results: ModelResults) -> str:
    correctness = Correctness(correct=results.bits)
    return accuracy_cell(float(correctness.correct.mean()), interval(correctness))


def _change_text(change: AccuracyChange | str | None) -> str:
    """A verdict with its numbers."""
    if change is None:
        return "-"
    if isinstance(change, str):
        return f"not compared: {change}"
    numbers = f"{points(change.difference.mean)} ({points(change.low)} to {points(change.high)})"
    if change.verdict == "inconclusive":
        return f"inconclusive, needs {_seeds_text(change.additional_seeds)} seeds: {numbers}"
    return f"{change.verdict}, identical" if change.identical else f"{change.verdict}: {numbers}"


def _seeds_text(seeds: int | None) -> str:
    """Rounded up to whole runs."""
    if seeds is None:
        return f"more than {MAX_SEEDS}"
    return f"about {-(-seeds // SEEDS_PER_RUN) * SEEDS_PER_RUN} more"


def _changes(version: ComparedVersion) -> Mapping[str, SpeedChange]:
    return {} if isinstance(version.speed, str) else version.speed


def _speed_comparisons(series: Series) -> dict[str, int]:
    """How many comparisons of speed there are, their fewest process starts, and how many one change would require."""
    starts = [change.starts for row in series.rows.values() for change in _changes(row).values()]
    return {
        "comparisons": len(starts),
        "fewest_starts": min(starts, default=0),
        "required_starts": required_starts(len(starts)),
    }


def _changed_operations(version: ComparedVersion, verdict: Verdict) -> str:
    """How many operations became slower or faster, and the one that changed most."""
    if isinstance(version.speed, str):
        return f"not compared: {version.speed}"
    changed = {name: change.ratio for name, change in version.speed.items() if change.verdict == verdict}
    if not changed:
        return "-"
    most = max(changed, key=lambda name: abs(log(changed[name])))
    return f"{len(changed)} of {len(version.speed)}, largest change: {most} x{changed[most]:.2f}"


def speed_table(series: Series) -> pd.DataFrame | None:
    """One row per operation: time with the oldest version, and the ratio of each comparison; None without any."""
    oldest, seconds = series.records[0].name, _median_seconds(series.records[0])
    changes = {heading: _changes(row) for heading, row in series.rows.items() if heading != oldest}
    operations = sorted({*seconds, *itertools.chain.from_iterable(changes.values())})
    rows = [
        {
            "operation": operation,
            f"{oldest} (ms)": f"{1000 * seconds[operation]:,.2f}" if operation in seconds else "-",
            **{heading: _ratio_text(by_operation.get(operation)) for heading, by_operation in changes.items()},
        }
        for operation in operations
    ]
    return pd.DataFrame(rows) if rows else None


def _median_seconds(record: VersionRecord) -> dict[str, float]:
    """By operation, over the process starts that timed it."""
    starts = pd.DataFrame({name: each.seconds for name, each in start.operations.items()} for start in record.starts)
    return {str(name): float(median) for name, median in starts.median().sort_index().items()}


def _ratio_text(change: SpeedChange | None) -> str:
    """In parentheses if it is not significant."""
    if change is None:
        return "-"
    return f"({change.ratio:.3f})" if change.verdict == "not significant" else f"{change.ratio:.3f}"


def facts_table(records: Sequence[VersionRecord], headings: Mapping[str, str], *, digits: int) -> pd.DataFrame | None:
    """Means over the process starts, since delays are rare but long, with the smallest and the largest value.

    None if no version has any of the facts in `headings`.
    """
    starts = pd.DataFrame({"version": record.name, **start.facts} for record in records for start in record.starts)
    columns = {
        name: heading.format(name.removeprefix(prefix))
        for name in map(str, starts)
        for prefix, heading in headings.items()
        if name.startswith(prefix)
    }
    if not columns:
        return None

    def cell(values: "pd.Series[float]") -> str:
        low, high = values.min(), values.max()
        return "-" if values.isna().all() else f"{values.mean():.{digits}f} ({low:.{digits}f} to {high:.{digits}f})"

    table = starts.rename(columns=columns).groupby("version", sort=False)[list(columns.values())].agg(cell)
    return table.reset_index()


def environments_table(records: Sequence[VersionRecord]) -> pd.DataFrame:
    """The environment of each version, and the commits of this repository that measured it."""
    return pd.DataFrame(
        {
            "version": record.name,
            **{heading: getattr(record.environment, name) for name, heading in ENVIRONMENT_HEADINGS.items()},
            "threads": _distinct(str(start.threads) for start in record.starts),
            "reference workload": _distinct(start.reference for start in record.starts),
            "process starts": str(len(record.starts)),
            "speed at commit": _distinct(_commit(start.git_commit) for start in record.starts),
            "seeds": ", ".join(str(len(results.seeds)) for results in record.trained) or "0",
            "accuracy at commit": _distinct(_commit(commit) for each in record.trained for commit in each.git_commits),
        }
        for record in records
    )


def _distinct(values: Iterable[str]) -> str:
    return ", ".join(dict.fromkeys(values)) or "-"


def _commit(commit: str | None) -> str:
    return "unknown" if commit is None else f"{commit[:COMMIT_DIGITS]}{'+' if commit.endswith('+') else ''}"
