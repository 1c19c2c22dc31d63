"""Series of versions of one library: each version compared with the previous one, in accuracy and speed."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise

import numpy as np

from bench.evaluation.equivalence import AccuracyChange, accuracy_changes
from bench.evaluation.speed import MIN_STARTS, FloatArray, log_ratio, noise_floor
from bench.evaluation.variance import Correctness
from bench.versions.record import MACHINE, NAME, ModelResults, ProcessStart, VersionRecord

Key = tuple[str, str]  # name of the newer version, and a model or piece


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """Versions of one library, oldest first, each compared with the previous one."""

    title: str
    records: tuple[VersionRecord, ...]
    changes: Mapping[Key, AccuracyChange]  # by model
    accuracy_not_compared: Mapping[Key, str]  # by model: why there is no change
    noise: Mapping[str, float]  # by piece: absolute log ratio below which versions do not differ
    ratios: Mapping[Key, float]  # by piece: log ratio to the previous version
    speed_not_compared: Mapping[str, str]  # by newer version: why there are no ratios


def all_series(records: Sequence[VersionRecord]) -> tuple[Series, ...]:
    """All comparisons that the records allow."""
    return tuple(_series(title, group) for title, group in _by_library(records).items())


def _by_library(records: Sequence[VersionRecord]) -> dict[str, list[VersionRecord]]:
    """Groups of records that differ in one library only, oldest first, by title."""
    groups: dict[str, list[VersionRecord]] = {}
    for record in records:
        python, tensorflow = _python(record), record.environment.tensorflow
        if _library(record) == "tf":
            groups.setdefault(f"TensorFlow, with Python {python}", []).append(record)
        else:
            same = [each for each in records if (_python(each), each.environment.tensorflow) == (python, tensorflow)]
            groups[f"Keras, with TensorFlow {tensorflow} and Python {python}"] = same
    return groups


def _python(record: VersionRecord) -> str:
    return ".".join(record.environment.python.split(".")[:2])


def _library(record: VersionRecord) -> str:
    """The library whose version the environment varies: tf or keras."""
    match = NAME.fullmatch(record.name)
    if match is None:
        raise ValueError(f"{record.name} is not an environment name")
    return match["library"]


def _series(title: str, records: Sequence[VersionRecord]) -> Series:
    pairs = list(pairwise(records))
    matches = {(new.name, model.model): _match(old, model) for old, new in pairs for model in new.trained}
    matched = {key: pair for key, pair in matches.items() if not isinstance(pair, str)}
    speed_not_compared = {new.name: why for old, new in pairs if (why := _speed_incomparable(old, new)) is not None}
    relative = _relative_seconds(records)
    pieces = sorted({piece for _, piece in relative})
    return Series(
        title=title,
        records=tuple(records),
        changes=dict(zip(matched, accuracy_changes(list(matched.values())), strict=True)),
        accuracy_not_compared={key: why for key, why in matches.items() if isinstance(why, str)},
        noise={piece: noise_floor([starts for (_, of), starts in relative.items() if of == piece]) for piece in pieces},
        ratios={
            (new.name, piece): log_ratio(*_rotated(relative[new.name, piece], relative[old.name, piece]))
            for old, new in pairs
            for piece in pieces
            if new.name not in speed_not_compared and {(old.name, piece), (new.name, piece)} <= relative.keys()
        },
        speed_not_compared=speed_not_compared,
    )


def _speed_incomparable(old: VersionRecord, new: VersionRecord) -> str | None:
    """Why the speed of two versions cannot be compared; None if it can."""
    for record in (old, new):
        if len(record.starts) < MIN_STARTS:
            return f"{record.name} has fewer than {MIN_STARTS} process starts"
    if old.code != new.code:
        return "measured with different code"
    differing = [name for name in MACHINE if getattr(old.environment, name) != getattr(new.environment, name)]
    if differing:
        return f"measured on different machines ({', '.join(differing)})"
    references = {start.reference for start in (*old.starts, *new.starts)}
    if len(references) > 1:
        return f"measured against different reference workloads ({', '.join(sorted(references))})"
    return None if _in_rotation(old.starts, new.starts) else "not measured in rotation"


def _in_rotation(a: Sequence[ProcessStart], b: Sequence[ProcessStart]) -> bool:
    """Whether the starts alternate, so that a busy machine affects both versions alike."""
    first, second = ([datetime.fromisoformat(start.started) for start in starts] for starts in (a, b))
    return all(
        x <= y for late, early in ((first, second), (second, first)) for x, y in zip(late, early[1:], strict=False)
    )


def _rotated(a: FloatArray, b: FloatArray) -> tuple[FloatArray, FloatArray]:
    """The starts in rotation; one version may have additional later ones."""
    both = min(len(a), len(b))
    return a[:both], b[:both]


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


def _relative_seconds(records: Sequence[VersionRecord]) -> dict[Key, FloatArray]:
    """Seconds in units of the reference workload, one per start; versions with too few starts are omitted."""
    seconds: dict[Key, list[float]] = defaultdict(list)
    for record in records:
        for start in record.starts:
            for piece, timing in start.pieces.items():
                seconds[record.name, piece].append(timing.seconds / timing.reference_seconds)
    return {key: np.array(starts) for key, starts in seconds.items() if len(starts) >= MIN_STARTS}
