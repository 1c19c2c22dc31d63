"""Three findings on a series of versions: accuracy, speed and memory from the oldest to the newest."""

from collections.abc import Mapping, Sequence
from math import log
from statistics import fmean

from bench.evaluation.equivalence import AccuracyChange
from bench.evaluation.speed import SpeedChange, Verdict
from bench.report.text.numbers import joined, points
from bench.versions.record import VersionRecord
from bench.versions.series import ComparedVersion, Series

MEMORY = "megabytes, "  # prefix of the facts with resident memory by model


def findings(series: Series) -> list[str]:
    """At most three sentences on the newest version compared with the oldest."""
    overall = list(series.rows.values())[-1]
    if overall.compared_with is None:
        return []
    sentences = (_accuracy(series, overall), _speed(series, overall), _memory(series))
    return [sentence for sentence in sentences if sentence]


def label(series: Series, record: VersionRecord) -> str:
    """The version that differs within the series."""
    library = "TensorFlow" if series.title.startswith("TensorFlow") else "Keras"
    return f"{library} {getattr(record.environment, library.lower())}"


def _span(series: Series) -> str:
    return f"{label(series, series.records[0])} to {label(series, series.records[-1])}"


def _accuracy(series: Series, overall: ComparedVersion) -> str:
    parts = [
        f"{model} is {change.verdict} ({points(change.difference.mean)} points)"
        for model, change in overall.accuracy.items()
        if isinstance(change, AccuracyChange)
    ]
    return f"Accuracy, {_span(series)}: {joined(parts)}." if parts else ""


def _speed(series: Series, overall: ComparedVersion) -> str:
    if isinstance(overall.speed, str) or not overall.speed:
        return ""
    slower = _changed(overall.speed, "slower")
    faster = _changed(overall.speed, "faster")
    counts = f"{len(slower)} of {len(overall.speed)} operations are significantly slower and {len(faster)} faster"
    extremes = [changed[0] for changed in (slower, faster) if changed]
    examples = [f"{name} takes {overall.speed[name].ratio:.2f} times as long" for name in extremes]
    largest = f"; the largest changes: {joined(examples)}" if examples else ""
    step = _largest_step(series)
    return f"Speed, {_span(series)}: {counts}{largest}.{step}"


def _changed(changes: Mapping[str, SpeedChange], verdict: Verdict) -> list[str]:
    """Operations with a verdict, the largest change first."""
    names = [name for name, change in changes.items() if change.verdict == verdict]
    return sorted(names, key=lambda name: -abs(log(changes[name].ratio)))


def _largest_step(series: Series) -> str:
    """The step between neighbors in which most operations became slower."""
    rows = list(series.rows.values())[1 : len(series.records)]
    counts = [(len(_changed(row.speed, "slower")), row) for row in rows if not isinstance(row.speed, str)]
    most, row = max(counts, key=lambda pair: pair[0], default=(0, None))
    if row is None or not most or len(counts) < 2:
        return ""
    return f" Between neighboring versions, most operations became slower with {label(series, row.record)}: {most}."


def _memory(series: Series) -> str:
    first, last = (_resident(record) for record in (series.records[0], series.records[-1]))
    parts = [
        f"{model} from {first[model]:.0f} to {last[model]:.0f} MB ({last[model] - first[model]:+.0f})"
        for model in first
        if model in last
    ]
    return f"Memory, {_span(series)}: resident memory after one epoch of {joined(parts)}." if parts else ""


def _resident(record: VersionRecord) -> dict[str, float]:
    """Mean resident megabytes by model."""
    values: dict[str, list[float]] = {}
    for start in record.starts:
        for name, value in start.facts.items():
            if name.startswith(MEMORY) and value is not None:
                values.setdefault(name.removeprefix(MEMORY), []).append(value)
    return {name: fmean(each) for name, each in values.items()}


def release_notes(records: Sequence[VersionRecord]) -> list[str]:
    """Addresses of the release notes of the TensorFlow and Keras versions, oldest first, without duplicates."""
    notes: dict[str, str] = {}
    for record in records:
        tensorflow, keras = record.environment.tensorflow, record.environment.keras
        notes[f"TensorFlow {tensorflow}"] = f"https://github.com/tensorflow/tensorflow/releases/tag/v{tensorflow}"
        notes[f"Keras {keras}"] = f"https://github.com/keras-team/keras/releases/tag/v{keras}"
    return [f"[{name}]({address})" for name, address in notes.items()]
