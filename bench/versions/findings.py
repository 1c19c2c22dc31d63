"""Three findings on a series of versions: accuracy, speed and memory from the oldest to the newest."""

from collections.abc import Mapping, Sequence
from math import log
from statistics import fmean

from bench.evaluation.equivalence import AccuracyChange
from bench.evaluation.speed import SpeedChange, Verdict
from bench.report.markdown import Markdown
from bench.report.text.numbers import joined, points
from bench.versions.record import VersionRecord
from bench.versions.series import Series

MEMORY = "megabytes, "  # prefix of the facts with resident memory by model


def title(series: Series) -> str:
    """The versions that findings compare; a newer TensorFlow comes with a newer Keras."""
    oldest, newest = series.records[0].environment, series.records[-1].environment
    other = f" (Keras {oldest.keras} to {newest.keras})" if series.library == "TensorFlow" else ""
    return f"{series.library} {series.label(series.overall)}{other}"


def findings(series: Series) -> list[str]:
    """At most three sentences on the newest version compared with the oldest."""
    if series.overall.compared_with is None:
        return []
    return [sentence for sentence in (_accuracy(series), _speed(series), _memory(series)) if sentence]


def _accuracy(series: Series) -> str:
    parts = [
        f"{model} {change.verdict} ({points(change.difference.mean)} points)"
        for model, change in series.overall.accuracy.items()
        if isinstance(change, AccuracyChange)
    ]
    return f"Accuracy: {joined(parts)}." if parts else ""


def _speed(series: Series) -> str:
    speed = series.overall.speed
    if isinstance(speed, str) or not speed:
        return ""
    slower, faster = changed(speed, "slower"), changed(speed, "faster")
    if not slower and not faster:
        return f"Speed: none of {len(speed)} operations is significantly slower or faster."
    extremes = [names[0] for names in (slower, faster) if names]
    times = joined([f"{name} takes {speed[name].ratio:.2f} times as long" for name in extremes])
    counts = f"{len(slower)} of {len(speed)} operations are significantly slower, {len(faster)} faster"
    return f"Speed: {counts}. Largest changes: {times}.{_largest_step(series)}"


def changed(changes: Mapping[str, SpeedChange], verdict: Verdict) -> list[str]:
    """Operations with a verdict, the largest change first."""
    names = [name for name, change in changes.items() if change.verdict == verdict]
    return sorted(names, key=lambda name: -abs(log(changes[name].ratio)))


def _largest_step(series: Series) -> str:
    """The step between neighbors with the most significant changes of speed."""
    steps = list(series.rows.values())[1 : len(series.records)]
    counts = {
        series.label(row): len(changed(row.speed, "slower")) + len(changed(row.speed, "faster"))
        for row in steps
        if not isinstance(row.speed, str)
    }
    most = max(counts, key=lambda step: counts[step], default="")
    if len(counts) < 2 or not counts[most]:
        return ""
    return f" The step with the most changes is {most}, with {counts[most]}."


def _memory(series: Series) -> str:
    first, last = (_resident(record) for record in (series.records[0], series.records[-1]))
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


def release_notes(records: Sequence[VersionRecord]) -> list[Markdown]:
    """Links to the release notes of the TensorFlow and Keras versions, oldest first, without duplicates."""
    repositories = {"TensorFlow": "tensorflow/tensorflow", "Keras": "keras-team/keras"}
    notes = {
        f"{library} {version}": f"https://github.com/{repository}/releases/tag/v{version}"
        for library, repository in repositories.items()
        for version in (getattr(record.environment, library.lower()) for record in records)
    }
    return [Markdown(f"[{name}]({address})") for name, address in notes.items()]
