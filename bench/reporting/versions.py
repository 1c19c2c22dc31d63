"""The page of versions: what a newer TensorFlow or Keras changed in accuracy and speed, and why."""

import statistics
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from math import exp
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from bench.errors import SpecError
from bench.evaluation.change import MAX_SEEDS, Change, changes
from bench.evaluation.comparison import Answers, interval
from bench.evaluation.speed import FEWEST_STARTS, FloatArray, log_ratio, noise_floor
from bench.reporting.markdown import plain_table, render
from bench.reporting.tables import accuracy_with_interval, points
from bench.versions.record import MACHINE, Trained, VersionRecord, read_all, series

LIBRARIES = ("tensorflow", "keras", "numpy")
MOST_DIFFERENCES = 12  # of two configurations that are listed
LONGEST_VALUE = 60  # characters
NOT_THERE = "not there"


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """Versions of one library, oldest first, each compared with the one before it."""

    title: str
    records: tuple[VersionRecord, ...]
    changes: Mapping[tuple[str, str], Change]  # by name of the newer version, and model
    floors: Mapping[str, float]  # of each piece: absolute log ratio below which two versions are not told apart
    ratios: Mapping[tuple[str, str], float]  # by name of the newer version, and piece: log ratio to the one before


def page(results: Path) -> bytes | None:
    """The page that the records ask for; None where there are none."""
    records = read_all(results)
    if not records:
        return None
    found = [_series(title, several) for title, several in series(records).items()]
    return render(
        "versions.md.j2",
        series=found,
        records=records,
        functions={
            "versions": versions_table,
            "speed": speed_table,
            "facts": facts_table,
            "differences": differences_of,
            "environments": environments_table,
        },
    )


def all_series(results: Path) -> tuple[Series, ...]:
    """Every series that was measured.

    Raises:
        SpecError: nothing is measured yet.
    """
    records = read_all(results)
    if not records:
        raise SpecError(f"no version is measured in {results / 'versions'}: `python -m bench versions --measure` does")
    return tuple(_series(title, several) for title, several in series(records).items())


def versions_text(found: Sequence[Series]) -> str:
    """What a terminal shows."""
    return "\n\n".join(f"{one.title}\n\n{plain_table(versions_table(one))}" for one in found)


def versions_data(found: Sequence[Series]) -> list[dict[str, Any]]:
    """One dict a row with plain values at full precision, for JSON."""
    return [_row_data(one, record) for one in found for record in one.records]


def _row_data(found: Series, record: VersionRecord) -> dict[str, Any]:
    return {
        "series": found.title,
        "version": record.name,
        **{name: getattr(record.environment, name) for name in LIBRARIES},
        "models": {trained.model: _model_data(found, record, trained) for trained in record.trained},
        "speed": {piece: _speed_data(found, record, piece) for piece in found.floors if _has(record, piece)},
    }


def _model_data(found: Series, record: VersionRecord, trained: Trained) -> dict[str, Any]:
    answers = Answers(correct=trained.bits)
    limits, change = interval(answers), found.changes.get((record.name, trained.model))
    return {
        "test_accuracy": float(answers.correct.mean()),
        "interval": None if limits is None else asdict(limits),
        "verdict": None if change is None else change.word,
        "change": None if change is None else asdict(change),
    }


def _speed_data(found: Series, record: VersionRecord, piece: str) -> dict[str, float | None]:
    ratio = found.ratios.get((record.name, piece))
    return {
        "seconds": _seconds(record, piece),
        "ratio_to_the_one_before": None if ratio is None else exp(ratio),
        "noise": exp(found.floors[piece]),
    }


def _series(title: str, records: Sequence[VersionRecord]) -> Series:
    pairs = [(old, new) for old, new in pairwise(records) if old.code == new.code]
    asked = [(new.name, model.model, _matched(old, model)) for old, new in pairs for model in new.trained]
    judged = changes([pair for _, _, pair in asked if pair is not None])
    repeats = _repeats(records)
    pieces = sorted({piece for _, piece in repeats})
    return Series(
        title=title,
        records=tuple(records),
        changes=dict(zip([(name, model) for name, model, pair in asked if pair is not None], judged, strict=True)),
        floors={piece: noise_floor([found for (_, one), found in repeats.items() if one == piece]) for piece in pieces},
        ratios={
            (new.name, piece): log_ratio(repeats[new.name, piece], repeats[old.name, piece])
            for old, new in pairs
            for piece in pieces
            if {(old.name, piece), (new.name, piece)} <= repeats.keys() and _machine(old) == _machine(new)
        },
    )


def _machine(record: VersionRecord) -> tuple[object, ...]:
    """What speed depends on beside the libraries."""
    return tuple(getattr(record.environment, name) for name in MACHINE)


def _matched(old: VersionRecord, model: Trained) -> tuple[Answers, Answers] | None:
    """The answers of an older version and a newer one under the seeds that both have; None where it has none."""
    before = old.find(model.model)
    if before is None or (before.checksum, before.n_test) != (model.checksum, model.n_test):
        return None
    both = [seed for seed in model.seeds if seed in before.seeds]
    if len(both) < 2:
        return None
    older, newer = (one.bits[[one.seeds.index(seed) for seed in both]] for one in (before, model))
    return Answers(correct=older), Answers(correct=newer)


def _repeats(records: Sequence[VersionRecord]) -> dict[tuple[str, str], FloatArray]:
    """By version and piece, seconds in units of the reference workload, where there are enough to know their noise."""
    found: dict[tuple[str, str], list[float]] = defaultdict(list)
    for record in records:
        for start in record.starts:
            for piece, one in start.pieces.items():
                found[record.name, piece].append(one.seconds / one.reference_seconds)
    return {key: np.array(several) for key, several in found.items() if len(several) >= FEWEST_STARTS}


def versions_table(found: Series) -> pd.DataFrame:
    """One row a version: accuracy and verdict of each model, and which pieces became faster or slower."""
    return pd.DataFrame(_row(found, record) for record in found.records)


def _row(found: Series, record: VersionRecord) -> dict[str, str]:
    row = {"version": record.name, "TensorFlow": record.environment.tensorflow, "Keras": record.environment.keras}
    for model in dict.fromkeys(trained.model for each in found.records for trained in each.trained):
        trained, change = record.find(model), found.changes.get((record.name, model))
        row[f"{model}, %"] = "-" if trained is None else _accuracy(trained)
        row[f"{model}: against the one before"] = "-" if change is None else change_text(change)
    row["pieces slower"] = _told(found, record.name, slower=True)
    row["pieces faster"] = _told(found, record.name, slower=False)
    return row


def _accuracy(trained: Trained) -> str:
    answers = Answers(correct=trained.bits)
    return accuracy_with_interval(float(answers.correct.mean()), interval(answers))


def change_text(change: Change) -> str:
    """A verdict with its numbers."""
    by = f"{points(change.difference.mean)} ({points(change.low)} to {points(change.high)})"
    if change.word == "cannot tell":
        more = f"more than {MAX_SEEDS} seeds" if change.more_seeds is None else f"about {change.more_seeds} more seeds"
        return f"cannot tell, needs {more}: {by}"
    return f"{change.word}, at every image" if change.identical else f"{change.word}: {by}"


def _told(found: Series, name: str, *, slower: bool) -> str:
    """How many pieces became slower (or faster) by more than noise, and which of them the most."""
    ratios = {
        piece: found.ratios[name, piece]
        for piece, floor in found.floors.items()
        if abs(found.ratios.get((name, piece), 0.0)) > floor and (found.ratios[name, piece] > 0) == slower
    }
    if not ratios:
        return "-"
    most = max(ratios, key=lambda piece: abs(ratios[piece]))
    return f"{len(ratios)} of {len(found.floors)}, most {most} x{exp(ratios[most]):.2f}"


def speed_table(found: Series) -> pd.DataFrame:
    """A row a piece: its time with the oldest version, and each version's ratio to the one before it."""
    return pd.DataFrame(_speed_row(found, piece) for piece in found.floors)


def _speed_row(found: Series, piece: str) -> dict[str, str]:
    oldest = found.records[0]
    milliseconds = f"{1000 * _seconds(oldest, piece):,.2f}" if _has(oldest, piece) else "-"
    ratios = {record.name: _ratio_text(found, record.name, piece) for record in found.records[1:]}
    noise = f"±{100 * (exp(found.floors[piece]) - 1):.1f} %"
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


def facts_table(records: Sequence[VersionRecord]) -> pd.DataFrame | None:
    """Memory and idle seconds: means over process starts, since few epochs wait, but long; None without any."""
    timed = [record for record in records if record.starts]
    names = sorted({name for record in timed for start in record.starts for name in start.facts})
    if not timed:
        return None
    return pd.DataFrame(
        {
            "version": record.name,
            **{name: _fact(name, record) for name in names},
        }
        for record in timed
    )


def _fact(name: str, record: VersionRecord) -> str:
    values = [start.facts[name] for start in record.starts if name in start.facts]
    if not values:
        return "-"
    mean = statistics.fmean(values)
    return f"{mean:.0f}" if name.startswith("megabytes") else f"{mean:.3f} ({min(values):.3f} to {max(values):.3f})"


def differences_of(found: Series) -> dict[str, list[str]]:
    """For each version, what is set otherwise than in the one before, and which libraries came along."""
    told = {}
    for old, new in pairwise(found.records):
        lines = [
            f"{name} {getattr(old.environment, name)} to {getattr(new.environment, name)}"
            for name in LIBRARIES
            if getattr(old.environment, name) != getattr(new.environment, name)
        ]
        lines += config_differences(old.configs, new.configs)
        told[f"{old.name} to {new.name}"] = lines
    return told


def config_differences(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """What two configurations set otherwise, the first few; what many layers have in common stands there once."""
    places: dict[str, list[str]] = {}
    for path, before, after in _differences(old, new):
        place, what = _place(path)
        places.setdefault(f"{what}: {_shown(before)} to {_shown(after)}", []).append(place)
    found = [f"{change} ({at[0] if len(at) == 1 else f'{len(at)} places'})" for change, at in places.items()]
    more = len(found) - MOST_DIFFERENCES
    return [*found[:MOST_DIFFERENCES], *([f"and {more} more"] if more > 0 else [])]


def _differences(old: Any, new: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any, Any]]:
    """Path, value before and value after of each innermost value that differs."""
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        for name in sorted(old.keys() | new.keys()):
            yield from _differences(old.get(name, NOT_THERE), new.get(name, NOT_THERE), (*path, name))
    elif old != new:
        yield path, old, new


def _place(path: tuple[str, ...]) -> tuple[str, str]:
    """Which layer, or what else of a model; and what of it is set."""
    at = 3 if path[1:2] == ("layers",) else 2
    return " ".join(path[:at]), ".".join(path[at:]) or "whole"


def _shown(value: Any) -> str:
    text = NOT_THERE if value is NOT_THERE else repr(value)
    return text if len(text) <= LONGEST_VALUE else f"{text[:LONGEST_VALUE]}..."


def environments_table(records: Sequence[VersionRecord]) -> pd.DataFrame:
    """What each version was measured with."""
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
            "starts": str(len(record.starts)),
            "seeds": ", ".join(str(len(trained.seeds)) for trained in record.trained) or "0",
            "commit": record.environment.git_commit or "unknown",
        }
        for record in records
    )
