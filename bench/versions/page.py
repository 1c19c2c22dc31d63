"""versions.md: how a newer TensorFlow or Keras changed accuracy and speed, and the differences that may explain it."""

import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pandas as pd

from bench.evaluation.comparison import interval
from bench.evaluation.equivalence import MAX_SEEDS, AccuracyChange
from bench.evaluation.speed import SpeedChange, Verdict, required_starts
from bench.evaluation.variance import Correctness
from bench.report.board import Board
from bench.report.figures.picture import Picture
from bench.report.markdown import plain_table, render
from bench.report.pages.contract import Files
from bench.report.runs import relative_to
from bench.report.text.numbers import accuracy_cell, points
from bench.versions.differences import LIBRARIES, differences
from bench.versions.figures import time_map
from bench.versions.findings import changed, findings, release_notes
from bench.versions.findings import title as findings_title
from bench.versions.record import SEEDS_PER_RUN, ModelResults, VersionRecord, read_all
from bench.versions.series import ComparedVersion, Series, accuracy_since_oldest, all_series, time_since_oldest
from bench.versions.subjects import family_root, measured_families

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
        """versions.md and epoch-delay.md, and for each family versions-<name>.md and so on, if they were measured."""
        files: dict[str, bytes | Picture] = {}
        for family, (records, problems) in _measured(board).items():
            if records:
                files |= _files(records, problems, "" if family is None else f"-{family}", family)
        return files

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


def _files(records: Sequence[VersionRecord], problems: Sequence[str], suffix: str, family: str | None) -> Files:
    """The pages and figures of the reference models, or of a family.

    Args:
        records: oldest version first.
        problems: errors of records that cannot be read.
        suffix: of the names of files.
        family: None for the reference models.
    """
    series = all_series(records)
    figures = {
        f"versions/figures/time{suffix}-{number}.png": time_map(times)
        for number, each in enumerate(series, start=1)
        if not (times := times_since_oldest(each)).empty
    }
    delays = facts_table(records, DELAY_FACTS, digits=3)
    delay_page = None if delays is None else f"epoch-delay{suffix}.md"
    page = render(
        "versions.md.j2",
        package="bench.versions",
        family=family,
        datasets=", ".join(dict.fromkeys(results.dataset for record in records for results in record.trained)),
        problems=problems,
        series=[
            {
                "title": each.title,
                "library": each.library,
                "oldest": each.versions[each.records[0].name],
                "findings_title": findings_title(each),
                "findings": findings(each),
                "versions": versions_table(each),
                "speed": speed_table(each),
                "figure": name if (name := f"versions/figures/time{suffix}-{number}.png") in figures else None,
                **_speed_comparisons(each),
                "differences": differences(each.records, each.versions),
            }
            for number, each in enumerate(series, start=1)
        ],
        release_notes=release_notes(records),
        memory=facts_table(records, MEMORY_FACTS, digits=0),
        delay_page=delay_page,
        environments=environments_table(records),
    )
    files = {f"versions{suffix}.md": page, **figures}
    if delay_page is not None:
        files[delay_page] = render("delay.md.j2", package="bench.versions", suffix=suffix, delays=delays)
    return files


def versions_text(series: Sequence[Series]) -> str:
    """The tables for a terminal: one for each model and one for speed, narrow enough for most terminals."""
    parts = []
    for each in series:
        table = versions_table(each)
        names = [name for name in table.columns if name in ("TensorFlow", "Keras")]
        for model in _models(each):
            columns = [name for name in table.columns if name.startswith((f"{model} ", f"{model}:"))]
            parts.append(f"{each.title}\n\n{plain_table(table[[*names, *columns]])}")
        parts.append(f"{each.title}\n\n{plain_table(table[[*names, 'slower', 'faster']])}")
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
    return pd.DataFrame(_row(series, row) for row in series.rows.values())


def _models(series: Series) -> list[str]:
    return list(dict.fromkeys(results.model for record in series.records for results in record.trained))


def _row(series: Series, version: ComparedVersion) -> dict[str, str]:
    record = version.record
    row = {series.library: series.label(version)}
    if series.library == "TensorFlow":
        row["Keras"] = record.environment.keras
    for model in _models(series):
        results = record.results_of(model)
        row[f"{model} (%)"] = "-" if results is None else _accuracy(results)
        row[f"{model}: change (pp)"] = _change_text(version.accuracy.get(model))
        if len(series.records) > 2:
            since = accuracy_since_oldest(series, record, model)
            row[f"{model}: since {series.versions[series.records[0].name]} (pp)"] = (
                "-" if since is None else points(since)
            )
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
    names = changed(version.speed, verdict)
    if not names:
        return "-"
    return f"{len(names)} of {len(version.speed)}, largest change: {names[0]} x{version.speed[names[0]].ratio:.2f}"


def speed_table(series: Series) -> pd.DataFrame | None:
    """One row per operation: time with the oldest version, and the ratio of each comparison; None without any."""
    oldest, *others = series.rows.values()
    seconds = _median_seconds(oldest.record)
    changes = {series.label(row): _changes(row) for row in others}
    operations = sorted({*seconds, *itertools.chain.from_iterable(changes.values())})
    rows = [
        {
            "operation": operation,
            f"{series.label(oldest)} (ms)": f"{1000 * seconds[operation]:,.2f}" if operation in seconds else "-",
            **{heading: _ratio_text(by_operation.get(operation)) for heading, by_operation in changes.items()},
        }
        for operation in operations
    ]
    return pd.DataFrame(rows) if rows else None


def times_since_oldest(series: Series) -> pd.DataFrame:
    """Time relative to the oldest version: operations as rows, newer versions as columns; empty if not compared."""
    times = {series.versions[record.name]: time_since_oldest(series, record) for record in series.records[1:]}
    return pd.DataFrame({version: ratios for version, ratios in times.items() if ratios}).sort_index()


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
    starts = pd.DataFrame({**_names(record), **start.facts} for record in records for start in record.starts)
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

    names = list(_names(records[0]))
    table = starts.rename(columns=columns).groupby(names, sort=False)[list(columns.values())].agg(cell)
    return table.reset_index()


def _names(record: VersionRecord) -> dict[str, str]:
    """What a version is called in tables that contain all of them."""
    environment = record.environment
    return {"TensorFlow": environment.tensorflow, "Keras": environment.keras, "environment": record.name}


def environments_table(records: Sequence[VersionRecord]) -> pd.DataFrame:
    """The environment of each version, and the commits of this repository that measured it."""
    return pd.DataFrame(
        {
            "environment": record.name,
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
