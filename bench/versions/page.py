"""versions.md: how a newer TensorFlow or Keras changed accuracy and speed, and the differences that may explain it."""

import statistics
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict
from math import exp
from typing import Any

import pandas as pd

from bench.evaluation.comparison import interval
from bench.evaluation.equivalence import MAX_SEEDS, AccuracyChange
from bench.evaluation.variance import Correctness
from bench.report.board import Board
from bench.report.markdown import plain_table, render
from bench.report.pages.contract import Files
from bench.report.runs import relative_to
from bench.report.text.numbers import accuracy_cell, points
from bench.versions.differences import LIBRARIES, differences
from bench.versions.record import SEEDS_PER_RUN, ModelResults, VersionRecord, read_all
from bench.versions.series import Series, all_series

NAME_COLUMNS = 3  # version, TensorFlow, Keras
COMMIT_DIGITS = 12
# Facts in records, and their column names; `{}` stands for what follows the prefix, a model or an input.
MEMORY_FACTS = {"megabytes, ": "{}: resident", "megabytes of its own, ": "{}: unique"}
DELAY_FACTS = {"seconds at the start of an epoch, ": "{}: delay", "of these idle, ": "{}: idle"}


class VersionsPage:
    """The page of the measured versions."""

    name = "versions"

    def files(self, board: Board) -> Files:
        """versions.md, if a version was measured."""
        records, _ = read_all(board.results)
        return {"versions.md": _page(records, self.problems(board))} if records else {}

    def problems(self, board: Board) -> tuple[str, ...]:
        """The errors of version records that cannot be read."""
        _, problems = read_all(board.results)
        return tuple(relative_to(board.results, problem) for problem in problems)


PAGE = VersionsPage()


def _page(records: Sequence[VersionRecord], problems: Sequence[str]) -> bytes:
    return render(
        "versions.md.j2",
        package="bench.versions",
        problems=problems,
        series=all_series(records),
        records=records,
        functions={
            "versions": versions_table,
            "speed": speed_table,
            "memory": memory_table,
            "delays": delays_table,
            "differences": differences,
            "environments": environments_table,
        },
    )


def versions_text(series: Sequence[Series]) -> str:
    """The tables for a terminal: one for each model and one for speed, narrow enough for most terminals."""
    return "\n\n".join(f"{each.title}\n\n{plain_table(table)}" for each in series for table in _narrow_tables(each))


def _narrow_tables(series: Series) -> Iterator[pd.DataFrame]:
    """Two columns each, after those that name the version."""
    table = versions_table(series)
    for first in range(NAME_COLUMNS, len(table.columns), 2):
        yield table.iloc[:, [*range(NAME_COLUMNS), first, first + 1]]


def versions_data(series: Sequence[Series]) -> list[dict[str, Any]]:
    """One dict per row with unrounded values, for JSON."""
    return [_row_data(each, record) for each in series for record in each.records]


def _row_data(series: Series, record: VersionRecord) -> dict[str, Any]:
    return {
        "series": series.title,
        "version": record.name,
        **{name: getattr(record.environment, name) for name in LIBRARIES},
        "models": {results.model: _model_data(series, record, results) for results in record.trained},
        "speed_not_compared": series.speed_not_compared.get(record.name),
        "speed": {piece: _speed_data(series, record, piece) for piece in series.noise if _has(record, piece)},
    }


def _model_data(series: Series, record: VersionRecord, results: ModelResults) -> dict[str, Any]:
    correctness, key = Correctness(correct=results.bits), (record.name, results.model)
    limits, change = interval(correctness), series.changes.get(key)
    return {
        "test_accuracy": float(correctness.correct.mean()),
        "interval": None if limits is None else asdict(limits),
        "verdict": None if change is None else change.verdict,
        "not_compared": series.accuracy_not_compared.get(key),
        "change": None if change is None else asdict(change),
    }


def _speed_data(series: Series, record: VersionRecord, piece: str) -> dict[str, float | None]:
    ratio = series.ratios.get((record.name, piece))
    return {
        "seconds": _seconds(record, piece),
        "ratio_to_previous": None if ratio is None else exp(ratio),
        "noise": exp(series.noise[piece]),
    }


def versions_table(series: Series) -> pd.DataFrame:
    """One row per version: accuracy and verdict of each model, and the pieces that became slower or faster."""
    return pd.DataFrame(_row(series, record) for record in series.records)


def _row(series: Series, record: VersionRecord) -> dict[str, str]:
    row = {"version": record.name, "TensorFlow": record.environment.tensorflow, "Keras": record.environment.keras}
    for model in dict.fromkeys(results.model for each in series.records for results in each.trained):
        results, change = record.results_of(model), series.changes.get((record.name, model))
        why = series.accuracy_not_compared.get((record.name, model))
        row[f"{model} (%)"] = "-" if results is None else _accuracy(results)
        row[f"{model}: change (pp)"] = change_text(change) if change else _not_compared(why)
    row["slower"] = _changed_pieces(series, record.name, slower=True)
    row["faster"] = _changed_pieces(series, record.name, slower=False)
    return row


def _not_compared(why: str | None) -> str:
    return f"not compared: {why}" if why else "-"


def _accuracy(results: ModelResults) -> str:
    correctness = Correctness(correct=results.bits)
    return accuracy_cell(float(correctness.correct.mean()), interval(correctness))


def change_text(change: AccuracyChange) -> str:
    """A verdict with its numbers."""
    numbers = f"{points(change.difference.mean)} ({points(change.low)} to {points(change.high)})"
    if change.verdict == "inconclusive":
        return f"inconclusive, needs {_seeds_text(change.additional_seeds)} seeds: {numbers}"
    return f"{change.verdict}, identical" if change.identical else f"{change.verdict}: {numbers}"


def _seeds_text(seeds: int | None) -> str:
    """Rounded up to whole runs."""
    if seeds is None:
        return f"more than {MAX_SEEDS}"
    return f"about {-(-seeds // SEEDS_PER_RUN) * SEEDS_PER_RUN} more"


def _changed_pieces(series: Series, name: str, *, slower: bool) -> str:
    """How many pieces became slower (or faster) by more than noise, and the one that changed most."""
    if name in series.speed_not_compared:
        return _not_compared(series.speed_not_compared[name])
    ratios = {
        piece: series.ratios[name, piece]
        for piece, noise in series.noise.items()
        if abs(series.ratios.get((name, piece), 0.0)) > noise and (series.ratios[name, piece] > 0) == slower
    }
    if not ratios:
        return "-"
    most = max(ratios, key=lambda piece: abs(ratios[piece]))
    return f"{len(ratios)} of {len(series.noise)}, most {most} x{exp(ratios[most]):.2f}"


def speed_table(series: Series) -> pd.DataFrame | None:
    """One row per piece: time with the oldest version, and ratios to the previous version; None without any."""
    compared = {piece for _, piece in series.ratios}
    pieces = [piece for piece in series.noise if piece in compared or _has(series.records[0], piece)]
    return pd.DataFrame(_speed_row(series, piece) for piece in pieces) if pieces else None


def _speed_row(series: Series, piece: str) -> dict[str, str]:
    oldest, noise = series.records[0], series.noise[piece]
    return {
        "piece": piece,
        f"{oldest.name} (ms)": f"{1000 * _seconds(oldest, piece):,.2f}" if _has(oldest, piece) else "-",
        **{record.name: _ratio_text(series, record.name, piece) for record in series.records[1:]},
        "noise range": f"{exp(-noise):.3f} to {exp(noise):.3f}",
    }


def _has(record: VersionRecord, piece: str) -> bool:
    return any(piece in start.pieces for start in record.starts)


def _seconds(record: VersionRecord, piece: str) -> float:
    return statistics.median(start.pieces[piece].seconds for start in record.starts if piece in start.pieces)


def _ratio_text(series: Series, name: str, piece: str) -> str:
    """In parentheses if it is within the noise."""
    ratio = series.ratios.get((name, piece))
    if ratio is None:
        return "-"
    text = f"{exp(ratio):.3f}"
    return text if abs(ratio) > series.noise[piece] else f"({text})"


def memory_table(records: Sequence[VersionRecord]) -> pd.DataFrame | None:
    """Megabytes of a process; None if no version has any."""
    return _facts_table(records, MEMORY_FACTS, lambda mean: f"{mean:.0f}")


def delays_table(records: Sequence[VersionRecord]) -> pd.DataFrame | None:
    """Seconds between the start of an epoch and its first batch; None if no version has any."""
    return _facts_table(records, DELAY_FACTS, lambda mean: f"{mean:.3f}")


def _facts_table(
    records: Sequence[VersionRecord], columns: dict[str, str], as_text: Callable[[float], str]
) -> pd.DataFrame | None:
    """Means over the process starts, since delays are rare but long, with the smallest and the largest value."""
    recorded = dict.fromkeys(name for record in records for start in record.starts for name in start.facts)
    headings = {
        name: heading.format(name.removeprefix(prefix))
        for name in recorded
        for prefix, heading in columns.items()
        if name.startswith(prefix)
    }
    if not headings:
        return None
    return pd.DataFrame(
        {"version": record.name, **{heading: _fact(name, record, as_text) for name, heading in headings.items()}}
        for record in records
        if record.starts
    )


def _fact(name: str, record: VersionRecord, as_text: Callable[[float], str]) -> str:
    values = [start.facts[name] for start in record.starts if name in start.facts]
    if not values:
        return "-"
    return f"{as_text(statistics.fmean(values))} ({as_text(min(values))} to {as_text(max(values))})"


def environments_table(records: Sequence[VersionRecord]) -> pd.DataFrame:
    """The environment of each version, and the commits of this repository that measured it."""
    return pd.DataFrame(
        {
            "version": record.name,
            "Python": record.environment.python,
            "TensorFlow": record.environment.tensorflow,
            "Keras": record.environment.keras,
            "Keras Tuner": record.environment.keras_tuner,
            "NumPy": record.environment.numpy,
            "oneDNN": record.environment.onednn,
            "CPU": record.environment.cpu,
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
