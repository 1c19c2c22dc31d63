"""The page of versions: what a newer TensorFlow or Keras changed in accuracy and speed, and why."""

import statistics
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict
from math import exp
from typing import Any

import pandas as pd

from bench.evaluation.comparison import Correctness, interval
from bench.evaluation.equivalence import MAX_SEEDS, AccuracyChange
from bench.report.markdown import plain_table, render
from bench.report.tables import accuracy_with_interval, points
from bench.versions.differences import LIBRARIES, differences
from bench.versions.record import SEEDS_A_RUN, Trained, VersionRecord
from bench.versions.series import Series, all_series

NAMING = 3  # columns that say which version a row is about
COMMIT_DIGITS = 12


def page(records: Sequence[VersionRecord], problems: Sequence[str]) -> bytes:
    """The page that the records ask for; `problems` tells of those that cannot be read."""
    return render(
        "versions.md.j2",
        problems=problems,
        series=all_series(records),
        records=records,
        functions={
            "versions": versions_table,
            "speed": speed_table,
            "memory": memory_table,
            "waiting": waiting_table,
            "differences": differences,
            "environments": environments_table,
        },
    )


def versions_text(found: Sequence[Series]) -> str:
    """What a terminal shows: a table for each model and one for speed, narrow enough for most terminals."""
    return "\n\n".join(f"{one.title}\n\n{plain_table(table)}" for one in found for table in _parts(versions_table(one)))


def _parts(table: pd.DataFrame) -> Iterator[pd.DataFrame]:
    """Columns in pairs, each pair behind those that name the version."""
    for at in range(NAMING, len(table.columns), 2):
        yield table.iloc[:, [*range(NAMING), at, at + 1]]


def versions_data(found: Sequence[Series]) -> list[dict[str, Any]]:
    """One dict a row with plain values at full precision, for JSON."""
    return [_row_data(one, record) for one in found for record in one.records]


def _row_data(found: Series, record: VersionRecord) -> dict[str, Any]:
    return {
        "series": found.title,
        "version": record.name,
        **{name: getattr(record.environment, name) for name in LIBRARIES},
        "models": {trained.model: _model_data(found, record, trained) for trained in record.trained},
        "speed_not_compared_because": found.untimed.get(record.name),
        "speed": {piece: _speed_data(found, record, piece) for piece in found.floors if _has(record, piece)},
    }


def _model_data(found: Series, record: VersionRecord, trained: Trained) -> dict[str, Any]:
    answers = Correctness(correct=trained.bits)
    at = (record.name, trained.model)
    limits, change = interval(answers), found.changes.get(at)
    return {
        "test_accuracy": float(answers.correct.mean()),
        "interval": None if limits is None else asdict(limits),
        "verdict": None if change is None else change.verdict,
        "not_compared_because": found.unlike.get(at),
        "change": None if change is None else asdict(change),
    }


def _speed_data(found: Series, record: VersionRecord, piece: str) -> dict[str, float | None]:
    ratio = found.ratios.get((record.name, piece))
    return {
        "seconds": _seconds(record, piece),
        "ratio_to_the_one_before": None if ratio is None else exp(ratio),
        "noise": exp(found.floors[piece]),
    }


def versions_table(found: Series) -> pd.DataFrame:
    """One row a version: accuracy and verdict of each model, and which pieces became faster or slower."""
    return pd.DataFrame(_row(found, record) for record in found.records)


def _row(found: Series, record: VersionRecord) -> dict[str, str]:
    row = {"version": record.name, "TensorFlow": record.environment.tensorflow, "Keras": record.environment.keras}
    for model in dict.fromkeys(trained.model for each in found.records for trained in each.trained):
        trained, change = record.find(model), found.changes.get((record.name, model))
        why = found.unlike.get((record.name, model))
        row[f"{model}, %"] = "-" if trained is None else _accuracy(trained)
        row[f"{model}: verdict"] = change_text(change) if change else _not_compared(why)
    row["pieces slower"] = _told(found, record.name, slower=True)
    row["pieces faster"] = _told(found, record.name, slower=False)
    return row


def _not_compared(why: str | None) -> str:
    return f"not compared: {why}" if why else "-"


def _accuracy(trained: Trained) -> str:
    answers = Correctness(correct=trained.bits)
    return accuracy_with_interval(float(answers.correct.mean()), interval(answers))


def change_text(change: AccuracyChange) -> str:
    """A verdict with its numbers."""
    by = f"{points(change.difference.mean)} ({points(change.low)} to {points(change.high)})"
    if change.verdict == "inconclusive":
        return f"cannot tell, needs {_more(change.additional_seeds)} seeds: {by}"
    return f"{change.verdict}, at every image" if change.identical else f"{change.verdict}: {by}"


def _more(seeds: int | None) -> str:
    """Seeds come by the run."""
    return f"more than {MAX_SEEDS}" if seeds is None else f"about {-(-seeds // SEEDS_A_RUN) * SEEDS_A_RUN} more"


def _told(found: Series, name: str, *, slower: bool) -> str:
    """How many pieces became slower (or faster) by more than noise, and which of them the most."""
    if name in found.untimed:
        return _not_compared(found.untimed[name])
    ratios = {
        piece: found.ratios[name, piece]
        for piece, floor in found.floors.items()
        if abs(found.ratios.get((name, piece), 0.0)) > floor and (found.ratios[name, piece] > 0) == slower
    }
    if not ratios:
        return "-"
    most = max(ratios, key=lambda piece: abs(ratios[piece]))
    return f"{len(ratios)} of {len(found.floors)}, most {most} x{exp(ratios[most]):.2f}"


def speed_table(found: Series) -> pd.DataFrame | None:
    """A row a piece: its time with the oldest version, and each version's ratio to the one before it; None without."""
    compared = {piece for _, piece in found.ratios}
    pieces = [piece for piece in found.floors if piece in compared or _has(found.records[0], piece)]
    return pd.DataFrame(_speed_row(found, piece) for piece in pieces) if pieces else None


def _speed_row(found: Series, piece: str) -> dict[str, str]:
    oldest = found.records[0]
    milliseconds = f"{1000 * _seconds(oldest, piece):,.2f}" if _has(oldest, piece) else "-"
    ratios = {record.name: _ratio_text(found, record.name, piece) for record in found.records[1:]}
    floor = found.floors[piece]
    noise = f"{exp(-floor):.3f} to {exp(floor):.3f}"
    return {"piece": piece, f"{oldest.name}, ms": milliseconds, **ratios, "noise": noise}


def _has(record: VersionRecord, piece: str) -> bool:
    return any(piece in start.pieces for start in record.starts)


def _seconds(record: VersionRecord, piece: str) -> float:
    return statistics.median(start.pieces[piece].seconds for start in record.starts if piece in start.pieces)


def _ratio_text(found: Series, name: str, piece: str) -> str:
    """In parentheses where it is not told from noise."""
    ratio = found.ratios.get((name, piece))
    if ratio is None:
        return "-"
    text = f"{exp(ratio):.3f}"
    return text if abs(ratio) > found.floors[piece] else f"({text})"


def memory_table(records: Sequence[VersionRecord]) -> pd.DataFrame | None:
    """Megabytes of a process, means over the starts; None without any."""
    return _facts_table(records, lambda name: name.startswith("megabytes"), digits=0)


def waiting_table(records: Sequence[VersionRecord]) -> pd.DataFrame | None:
    """Seconds at the start of an epoch: means over the starts, since few epochs wait, but long; None without any."""
    return _facts_table(records, lambda name: not name.startswith("megabytes"), digits=3)


def _facts_table(records: Sequence[VersionRecord], wanted: Callable[[str], bool], digits: int) -> pd.DataFrame | None:
    facts = (name for record in records for start in record.starts for name in start.facts)
    names = [name for name in dict.fromkeys(facts) if wanted(name)]
    if not names:
        return None
    return pd.DataFrame(
        {"version": record.name, **{name: _fact(name, record, digits) for name in names}}
        for record in records
        if record.starts
    )


def _fact(name: str, record: VersionRecord, digits: int) -> str:
    values = [start.facts[name] for start in record.starts if name in start.facts]
    if not values:
        return "-"
    return f"{statistics.fmean(values):.{digits}f} ({min(values):.{digits}f} to {max(values):.{digits}f})"


def environments_table(records: Sequence[VersionRecord]) -> pd.DataFrame:
    """What each version was measured with, and by which commits of this repository."""
    return pd.DataFrame(
        {
            "version": record.name,
            "Python": record.environment.python,
            "TensorFlow": record.environment.tensorflow,
            "Keras": record.environment.keras,
            "Keras Tuner": record.environment.keras_tuner,
            "NumPy": record.environment.numpy,
            "oneDNN": record.environment.onednn,
            "processor": record.environment.cpu,
            "threads": _listed(str(start.threads) for start in record.starts),
            "matrix product by": _listed(start.reference for start in record.starts),
            "starts": str(len(record.starts)),
            "speed at commit": _listed(_commit(start.git_commit) for start in record.starts),
            "seeds": ", ".join(str(len(trained.seeds)) for trained in record.trained) or "0",
            "accuracy at commit": _listed(_commit(one) for trained in record.trained for one in trained.git_commits),
        }
        for record in records
    )


def _listed(several: Iterable[str]) -> str:
    return ", ".join(dict.fromkeys(several)) or "-"


def _commit(commit: str | None) -> str:
    return "unknown" if commit is None else f"{commit[:COMMIT_DIGITS]}{'+' if commit.endswith('+') else ''}"
