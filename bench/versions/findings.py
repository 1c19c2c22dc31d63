"""Findings on a series of versions: accuracy, speed and memory from the oldest to the newest, and step by step."""

from collections.abc import Mapping
from itertools import pairwise
from math import log
from statistics import fmean

from bench.evaluation.equivalence import AccuracyChange
from bench.evaluation.speed import SpeedChange, Verdict
from bench.report.markdown import Markdown
from bench.report.text.numbers import joined, points
from bench.versions.record import VersionRecord
from bench.versions.series import ComparedVersion, Series

MEMORY = "megabytes, "  # prefix of the facts with resident memory by model
MUCH_FASTER = 0.1  # ratio of times below which decimals of its inverse say nothing
REPOSITORIES = {"TensorFlow": "tensorflow/tensorflow", "Keras": "keras-team/keras"}


def title(series: Series) -> str:
    """The versions that findings compare; a newer TensorFlow comes with a newer Keras."""
    oldest, newest = series.records[0].environment, series.records[-1].environment
    other = f" together with Keras {oldest.keras} to {newest.keras}" if series.library == "TensorFlow" else ""
    return f"{series.library} {series.label(series.overall)}{other}"


def findings(series: Series) -> list[str]:
    """At most three sentences on the newest version compared with the oldest."""
    if series.overall.compared_with is None:
        return []
    sentences = _sentences(series, series.overall)
    return [sentence + _largest_step(series) if sentence.startswith("Speed: ") else sentence for sentence in sentences]


def step_findings(series: Series) -> dict[str, list[str]]:
    """The same sentences for each version compared with the previous one, by label; empty if there is one step only."""
    return {series.label(row): _sentences(series, row) for row in _steps(series)} if len(series.records) > 2 else {}


def _steps(series: Series) -> list[ComparedVersion]:
    return list(series.rows.values())[1 : len(series.records)]


def _sentences(series: Series, row: ComparedVersion) -> list[str]:
    older = next(record for record in series.records if record.name == row.compared_with)
    return [sentence for sentence in (_accuracy(row), _speed(row), _memory(older, row.record)) if sentence]


def _accuracy(row: ComparedVersion) -> str:
    parts = [
        f"{model} {change.verdict} ({points(change.difference.mean)} points)"
        for model, change in row.accuracy.items()
        if isinstance(change, AccuracyChange)
    ]
    return f"Accuracy: {joined(parts)}." if parts else ""


def _speed(row: ComparedVersion) -> str:
    speed = row.speed
    if isinstance(speed, str):
        return f"Speed: not compared: {speed}."
    if not speed:
        return ""
    slower, faster = changed(speed, "slower"), changed(speed, "faster")
    if not slower and not faster:
        return f"Speed: none of {len(speed)} operations is significantly slower or faster."
    largest = joined([f"{names[0]} {change_text(speed[names[0]])}" for names in (slower, faster) if names])
    counts = f"{len(slower)} of {len(speed)} operations are significantly slower, {len(faster)} faster"
    return f"Speed: {counts}. Largest changes: {largest}."


def changed(changes: Mapping[str, SpeedChange], verdict: Verdict) -> list[str]:
    """Operations with a verdict, the largest change first."""
    names = [name for name, change in changes.items() if change.verdict == verdict]
    return sorted(names, key=lambda name: -abs(log(changes[name].ratio)))


def change_text(change: SpeedChange) -> str:
    """How much slower or faster an operation is; a ratio far below 1 is hard to read."""
    if change.ratio >= 1:
        return f"takes {change.ratio:.2f} times as long"
    return f"is {1 / change.ratio:.{2 if change.ratio > MUCH_FASTER else 0}f} times as fast"


def _largest_step(series: Series) -> str:
    """The step between neighbors with the most significant changes of speed."""
    counts = {
        series.label(row): len(changed(row.speed, "slower")) + len(changed(row.speed, "faster"))
        for row in _steps(series)
        if not isinstance(row.speed, str)
    }
    most = max(counts, key=lambda step: counts[step], default="")
    if len(counts) < 2 or not counts[most]:
        return ""
    return f" The step with the most changes is {most}, with {counts[most]}."


def _memory(older: VersionRecord, newer: VersionRecord) -> str:
    first, last = _resident(older), _resident(newer)
    parts = [
        f"{model} from {first[model]:.0f} to {last[model]:.0f} MB ({last[model] - first[model]:+.0f})"
        for model in first
        if model in last
    ]
    return f"Resident memory after one epoch: {joined(parts)}." if parts else ""


def _resident(record: VersionRecord) -> dict[str, float]:
    """Mean resident megabytes by model."""
    values: dict[str, list[float]] = {}
    for start in record.starts:
        for name, value in start.facts.items():
            if name.startswith(MEMORY) and value is not None:
                values.setdefault(name.removeprefix(MEMORY), []).append(value)
    return {name: fmean(each) for name, each in values.items()}


def release_notes(series: Series) -> dict[str, list[Markdown]]:
    """By step such as "2.16.2 to 2.17.1", links to the release notes of the libraries that changed."""
    notes: dict[str, list[Markdown]] = {}
    for old, new in pairwise(series.records):
        step = notes.setdefault(f"{series.versions[old.name]} to {series.versions[new.name]}", [])
        for library, repository in REPOSITORIES.items():
            version = getattr(new.environment, library.lower())
            if version != getattr(old.environment, library.lower()):
                address = f"https://github.com/{repository}/releases/tag/v{version}"
                step.append(Markdown(f"[{library} {version}]({address})"))
    return notes
