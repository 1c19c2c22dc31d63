"""Series of versions of one library: each compared with the previous one, and the newest with the oldest."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise, takewhile
from typing import Literal

import numpy as np
import pandas as pd

from bench.evaluation.arrays import FloatArray
from bench.evaluation.equivalence import AccuracyChange, accuracy_changes
from bench.evaluation.speed import MIN_STARTS, SpeedChange, speed_changes
from bench.evaluation.variance import Correctness
from bench.versions.record import MACHINE, ROUNDING, ModelResults, ProcessStart, VersionRecord

Library = Literal["TensorFlow", "Keras"]
Pair = tuple[VersionRecord, VersionRecord]  # older, newer


@dataclass(frozen=True, slots=True, kw_only=True)
class ComparedVersion:
    """A version compared with an older one; text in place of a result says why they cannot be compared."""

    record: VersionRecord
    compared_with: str | None  # name of the older version; None for the oldest, which has no comparisons
    other_machine: tuple[str, ...]  # what differs from the older version's machine and affects rounding in training
    accuracy: Mapping[str, AccuracyChange | str]  # by model
    speed: Mapping[str, SpeedChange] | str  # by operation


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """Versions of one library, oldest first."""

    library: Library
    title: str
    records: tuple[VersionRecord, ...]
    rows: Mapping[str, ComparedVersion]  # by heading: all versions; of three or more, also the newest with the oldest

    @property
    def versions(self) -> Mapping[str, str]:
        """The version of the library by name of the environment, or that name if several have the same version."""
        versions = {record.name: str(getattr(record.environment, self.library.lower())) for record in self.records}
        return versions if len({*versions.values()}) == len(versions) else {name: name for name in versions}

    def label(self, row: ComparedVersion) -> str:
        """The versions that a row compares, such as "2.16.2 to 2.17.1"; a single one for the oldest."""
        newer = self.versions[row.record.name]
        return newer if row.compared_with is None else f"{self.versions[row.compared_with]} to {newer}"

    @property
    def oldest(self) -> str:
        """The version of the library that later ones are compared with."""
        return self.versions[self.records[0].name]

    @property
    def suffix(self) -> str:
        """The end of headings about another Python than the default one, such as ", Python 3.12"."""
        first = self.records[0]
        return f", Python {_python_and_tensorflow(first)[0]}" if first.name.startswith("py") else ""

    @property
    def overall(self) -> ComparedVersion:
        """The newest version compared with the oldest; a single version has no comparisons."""
        return list(self.rows.values())[-1]


def all_series(records: Sequence[VersionRecord]) -> tuple[Series, ...]:
    """All comparisons that the records allow."""
    return tuple(_series(library, title, group) for (library, title), group in _by_library(records).items())


def _by_library(records: Sequence[VersionRecord]) -> dict[tuple[Library, str], list[VersionRecord]]:
    """Groups of records, oldest first, by library and title; those of a Keras series differ in Keras only."""
    groups: dict[tuple[Library, str], list[VersionRecord]] = {}
    for record in records:
        python, tensorflow = _python_and_tensorflow(record)
        if "tf" in record.name:
            groups.setdefault(("TensorFlow", f"TensorFlow and Keras together, with Python {python}"), []).append(record)
        else:
            same = [each for each in records if _python_and_tensorflow(each) == (python, tensorflow)]
            groups["Keras", f"Keras, with TensorFlow {tensorflow} and Python {python}"] = same
    return groups


def _python_and_tensorflow(record: VersionRecord) -> tuple[str, str]:
    return record.environment.python.rpartition(".")[0], record.environment.tensorflow


def _series(library: Library, title: str, records: Sequence[VersionRecord]) -> Series:
    oldest, newest = records[0], records[-1]
    pairs = {new.name: (old, new) for old, new in pairwise(records)}
    if len(records) > 2:
        pairs[f"{newest.name} vs. {oldest.name}"] = oldest, newest
    rows = {oldest.name: ComparedVersion(record=oldest, compared_with=None, other_machine=(), accuracy={}, speed={})}
    changes = zip(_accuracy(pairs.values()), _speed(pairs.values()), strict=True)
    for (heading, (old, new)), (accuracy, speed) in zip(pairs.items(), changes, strict=True):
        rows[heading] = ComparedVersion(
            record=new,
            compared_with=old.name,
            other_machine=machine_differences(old, new),
            accuracy=accuracy,
            speed=speed,
        )
    return Series(library=library, title=title, records=tuple(records), rows=rows)


def machine_differences(old: VersionRecord, new: VersionRecord, names: Sequence[str] = ROUNDING) -> tuple[str, ...]:
    """The properties in `names` in which the machines of two versions differ."""
    return tuple(name for name in names if getattr(old.environment, name) != getattr(new.environment, name))


def accuracy_since_oldest(series: Series, record: VersionRecord, model: str) -> float | None:
    """The accuracy of a model with a version minus that with the oldest; None if they cannot be compared."""
    newer = record.results_of(model)
    match = "not trained" if newer is None else _match(series.records[0], newer)
    return None if isinstance(match, str) else float(match[1].correct.mean() - match[0].correct.mean())


def time_since_oldest(series: Series, record: VersionRecord) -> dict[str, float]:
    """The time of each operation with a version relative to that with the oldest; empty if they cannot be compared."""
    if _speed_incomparable(series.records[0], record) is not None:
        return {}
    starts = _common_starts(series.records[0], record)
    return {name: float(np.median(newer) / np.median(older)) for name, (older, newer) in starts.items()}


def variation_between_starts(records: Sequence[VersionRecord]) -> dict[str, float]:
    """By operation, the standard deviation of its time between process starts over its mean: median over versions."""
    variation = pd.DataFrame(
        {name: float(np.std(each, ddof=1) / np.mean(each)) for name, each in _relative_seconds(record).items()}
        for record in records
    )
    return {str(name): float(median) for name, median in variation.median().items()}


def _accuracy(pairs: Iterable[Pair]) -> list[dict[str, AccuracyChange | str]]:
    """For each pair, the change of each model; p-values are adjusted over all of them."""
    matches = [{model.model: _match(old, model) for model in new.trained} for old, new in pairs]
    matched = [match for by_model in matches for match in by_model.values() if not isinstance(match, str)]
    changes = iter(accuracy_changes(matched))
    return [
        {model: match if isinstance(match, str) else next(changes) for model, match in by_model.items()}
        for by_model in matches
    ]


def _match(old: VersionRecord, new_results: ModelResults) -> tuple[Correctness, Correctness] | str:
    """The results of the older and the newer version for their common seeds, or why they cannot be compared."""
    old_results = old.results_of(new_results.model)
    if old_results is None:
        return f"not trained with {old.name}"
    if old_results.conditions != new_results.conditions:
        return "trained with a different recipe or on different images"
    common = [seed for seed in new_results.seeds if seed in old_results.seeds]
    if len(common) < 2:
        return "fewer than two common seeds"
    older, newer = (each.bits[[each.seeds.index(seed) for seed in common]] for each in (old_results, new_results))
    return Correctness(correct=older), Correctness(correct=newer)


def _speed(pairs: Iterable[Pair]) -> list[dict[str, SpeedChange] | str]:
    """For each pair, the change of each operation; p-values are adjusted over all of them."""
    matches = [_speed_incomparable(old, new) or _common_starts(old, new) for old, new in pairs]
    matched = [starts for each in matches if not isinstance(each, str) for starts in each.values()]
    changes = iter(speed_changes(matched))
    return [each if isinstance(each, str) else {operation: next(changes) for operation in each} for each in matches]


def _common_starts(old: VersionRecord, new: VersionRecord) -> dict[str, tuple[FloatArray, FloatArray]]:
    """By operation, the relative seconds of both from the starts in rotation; there may be additional later ones."""
    older, newer = _relative_seconds(old), _relative_seconds(new)
    in_rotation = _starts_in_rotation(old.starts, new.starts)
    counts = {name: min(len(older[name]), len(newer[name]), in_rotation) for name in newer if name in older}
    return {name: (older[name][:count], newer[name][:count]) for name, count in counts.items()}


def _relative_seconds(record: VersionRecord) -> dict[str, FloatArray]:
    """By operation, seconds in units of the reference workload, one per start; none if there are too few starts."""
    starts = pd.DataFrame(
        {name: timing.seconds / timing.reference_seconds for name, timing in start.operations.items()}
        for start in record.starts
    )
    timed = {name: starts[name].dropna().to_numpy() for name in starts}
    return {str(name): seconds for name, seconds in timed.items() if len(seconds) >= MIN_STARTS}


def _speed_incomparable(old: VersionRecord, new: VersionRecord) -> str | None:
    """Why the speed of two versions cannot be compared; None if it can."""
    for record in (old, new):
        if len(record.starts) < MIN_STARTS:
            return f"{record.name} has fewer than {MIN_STARTS} process starts"
    if old.code != new.code:
        return "measured with different code"
    if differing := machine_differences(old, new, MACHINE):
        return f"measured on different machines ({', '.join(differing)})"
    references = {start.reference for start in (*old.starts, *new.starts)}
    if len(references) > 1:
        return f"measured against different reference workloads ({', '.join(sorted(references))})"
    return None if _starts_in_rotation(old.starts, new.starts) >= MIN_STARTS else "not measured in rotation"


def _starts_in_rotation(a: Sequence[ProcessStart], b: Sequence[ProcessStart]) -> int:
    """How many first starts of each alternate, so that a busy machine affects both versions alike."""
    end = datetime.max.replace(tzinfo=UTC)
    first, second = ([*(datetime.fromisoformat(start.started) for start in starts), end] for starts in (a, b))
    turns = zip(first, second, first[1:], second[1:], strict=False)
    return sum(takewhile(bool, (x <= next_y and y <= next_x for x, y, next_x, next_y in turns)))
