"""Versions of one library side by side: each compared with the one before it, in accuracy and in speed."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise

import numpy as np

from bench.evaluation.comparison import Correctness
from bench.evaluation.equivalence import AccuracyChange, accuracy_changes
from bench.evaluation.speed import MIN_STARTS, FloatArray, log_ratio, noise_floor
from bench.versions.record import MACHINE, NAME, Start, Trained, VersionRecord


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """Versions of one library, oldest first, each compared with the one before it."""

    title: str
    records: tuple[VersionRecord, ...]
    changes: Mapping[tuple[str, str], AccuracyChange]  # by name of the newer version, and model
    unlike: Mapping[tuple[str, str], str]  # the same, where there can be no verdict: why
    floors: Mapping[str, float]  # of each piece: absolute log ratio below which two versions are not told apart
    ratios: Mapping[tuple[str, str], float]  # by name of the newer version, and piece: log ratio to the one before
    untimed: Mapping[str, str]  # by name of the newer version: why there are no ratios to the one before


def all_series(records: Sequence[VersionRecord]) -> tuple[Series, ...]:
    """The comparisons that the records allow."""
    return tuple(_series(title, several) for title, several in _by_library(records).items())


def _by_library(records: Sequence[VersionRecord]) -> dict[str, list[VersionRecord]]:
    """Records that differ in one library only, oldest first: those to be compared with their neighbours."""
    found: dict[str, list[VersionRecord]] = {}
    for record in records:
        python, tensorflow = _python(record), record.environment.tensorflow
        if _library(record) == "tf":
            found.setdefault(f"TensorFlow, with Python {python}", []).append(record)
        else:
            alike = [each for each in records if (_python(each), each.environment.tensorflow) == (python, tensorflow)]
            found[f"Keras, with TensorFlow {tensorflow} and Python {python}"] = alike
    return found


def _python(record: VersionRecord) -> str:
    return ".".join(record.environment.python.split(".")[:2])


def _library(record: VersionRecord) -> str:
    """Whose versions the environment is one of."""
    found = NAME.fullmatch(record.name)
    if found is None:
        raise ValueError(f"{record.name} is no environment's name")
    return found["library"]


def _series(title: str, records: Sequence[VersionRecord]) -> Series:
    pairs = list(pairwise(records))
    asked = {(new.name, model.model): _matched(old, model) for old, new in pairs for model in new.trained}
    matched = {at: pair for at, pair in asked.items() if not isinstance(pair, str)}
    repeats, untimed = _repeats(records), {new.name: why for old, new in pairs if (why := _untimed(old, new))}
    pieces = sorted({piece for _, piece in repeats})
    return Series(
        title=title,
        records=tuple(records),
        changes=dict(zip(matched, accuracy_changes(list(matched.values())), strict=True)),
        unlike={at: why for at, why in asked.items() if isinstance(why, str)},
        floors={piece: noise_floor([found for (_, one), found in repeats.items() if one == piece]) for piece in pieces},
        ratios={
            (new.name, piece): log_ratio(*_in_pairs(repeats[new.name, piece], repeats[old.name, piece]))
            for old, new in pairs
            for piece in pieces
            if new.name not in untimed and {(old.name, piece), (new.name, piece)} <= repeats.keys()
        },
        untimed=untimed,
    )


def _untimed(old: VersionRecord, new: VersionRecord) -> str | None:
    """Why the speed of two versions cannot be compared; None where it can."""
    for record in (old, new):
        if len(record.starts) < MIN_STARTS:
            return f"{record.name} was started fewer than {MIN_STARTS} times"
    if old.code != new.code:
        return "measured by other code"
    unlike = [name for name in MACHINE if getattr(old.environment, name) != getattr(new.environment, name)]
    if unlike:
        return f"measured on another machine ({', '.join(unlike)})"
    references = {start.reference for start in (*old.starts, *new.starts)}
    if len(references) > 1:
        return f"divided by unlike reference workloads ({', '.join(sorted(references))})"
    return None if _in_turn(old.starts, new.starts) else "not started in turn"


def _in_turn(a: Sequence[Start], b: Sequence[Start]) -> bool:
    """Whether no start of either comes after the next one of the other, so that a busy hour weighs on both."""
    first, second = ([datetime.fromisoformat(start.started) for start in starts] for starts in (a, b))
    return all(
        x <= y for late, early in ((first, second), (second, first)) for x, y in zip(late, early[1:], strict=False)
    )


def _in_pairs(a: FloatArray, b: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Those that were started in turn; one version may have been started more often later."""
    both = min(len(a), len(b))
    return a[:both], b[:both]


def _matched(old: VersionRecord, model: Trained) -> tuple[Correctness, Correctness] | str:
    """The answers of an older version and a newer one under the seeds that both have, or why they do not compare."""
    before = old.find(model.model)
    if before is None:
        return f"not trained with {old.name}"
    if before.asked != model.asked:
        return "trained by another recipe or on other images"
    both = [seed for seed in model.seeds if seed in before.seeds]
    if len(both) < 2:
        return "fewer than two seeds in common"
    older, newer = (one.bits[[one.seeds.index(seed) for seed in both]] for one in (before, model))
    return Correctness(correct=older), Correctness(correct=newer)


def _repeats(records: Sequence[VersionRecord]) -> dict[tuple[str, str], FloatArray]:
    """By version and piece, seconds in units of the reference workload, where there are enough to know their noise."""
    found: dict[tuple[str, str], list[float]] = defaultdict(list)
    for record in records:
        for start in record.starts:
            for piece, one in start.pieces.items():
                found[record.name, piece].append(one.seconds / one.reference_seconds)
    return {key: np.array(several) for key, several in found.items() if len(several) >= MIN_STARTS}
