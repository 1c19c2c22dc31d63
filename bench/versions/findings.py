"""Findings on a series of versions: accuracy, speed and memory from the oldest to the newest, and step by step."""

from collections.abc import Mapping, Sequence
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
    if isinstance(speed, str):
        return f"Speed: not compared: {speed}."
    if not speed:
        return ""
    if not (changes := _changes_text(speed)):
        return f"Speed: none of {len(speed)} operations is significantly slower or faster."
    return f"Speed: {changes}.{_largest_step(series)}"


def _changes_text(speed: Mapping[str, SpeedChange]) -> str:
    """The operations that are significantly slower or faster; empty if there are none."""
    slower, faster = changed(speed, "slower"), changed(speed, "faster")
    if not slower and not faster:
        return ""
    return (
        f"of {len(speed)} operations, {_by_kind(speed, slower, 'significantly slower', 'times as long')}; "
        f"{_by_kind(speed, faster, 'faster', 'times as fast')}"
    )


def _by_kind(speed: Mapping[str, SpeedChange], names: Sequence[str], verdict: str, unit: str) -> str:
    """The number of operations with a verdict, and their kinds; the kind with the largest change is first."""
    if not names:
        return f"none {verdict}"
    kinds: dict[str, list[str]] = {}
    for name in names:
        kinds.setdefault(_kind(name), []).append(name)
    return f"{len(names)} {verdict} ({unit}): {joined([_kind_text(speed, *each) for each in kinds.items()])}"


def _kind(operation: str) -> str:
    """`predict` of `predict[cnn-call-1]`."""
    return operation.partition("[")[0]


def _kind_text(speed: Mapping[str, SpeedChange], kind: str, names: Sequence[str]) -> str:
    """How many operations of a kind changed, and the smallest and the largest change."""
    factors = " to ".join(dict.fromkeys(_factor(speed[name]) for name in (names[-1], names[0])))
    return f"{kind} {factors} ({len(names)} of {sum(_kind(name) == kind for name in speed)})"


def _factor(change: SpeedChange) -> str:
    """The time relative to the older version or, if it is shorter, the speed."""
    if change.ratio >= 1:
        return f"{change.ratio:.2f}"
    return f"{1 / change.ratio:.{2 if change.ratio > MUCH_FASTER else 0}f}"


def changed(changes: Mapping[str, SpeedChange], verdict: Verdict) -> list[str]:
    """Operations with a verdict, the largest change first."""
    names = [name for name, change in changes.items() if change.verdict == verdict]
    return sorted(names, key=lambda name: -abs(log(changes[name].ratio)))


def change_text(change: SpeedChange) -> str:
    """How much slower or faster an operation is; a ratio far below 1 is hard to read."""
    return f"takes {_factor(change)} times as long" if change.ratio >= 1 else f"is {_factor(change)} times as fast"


def _largest_step(series: Series) -> str:
    """The step between neighbors with the most significant changes of speed."""
    counts = {
        series.label(row): len(changed(row.speed, "slower")) + len(changed(row.speed, "faster"))
        for row in steps(series)
        if not isinstance(row.speed, str)
    }
    most = max(counts, key=lambda step: counts[step], default="")
    if len(counts) < 2 or not counts[most]:
        return ""
    return f" The step with the most changes is {most}, with {counts[most]}."


def _memory(series: Series) -> str:
    sizes = _resident_sizes(series.records[0], series.records[-1])
    parts = [f"{model} from {old:.0f} to {new:.0f} MB ({new - old:+.0f})" for model, (old, new) in sizes.items()]
    return f"Resident memory after one epoch: {joined(parts)}." if parts else ""


def _resident_sizes(older: VersionRecord, newer: VersionRecord) -> dict[str, tuple[float, float]]:
    """Resident megabytes with both versions by model."""
    first, last = _resident(older), _resident(newer)
    return {model: (first[model], last[model]) for model in first if model in last}


def _resident(record: VersionRecord) -> dict[str, float]:
    """Mean resident megabytes by model."""
    values: dict[str, list[float]] = {}
    for start in record.starts:
        for name, value in start.facts.items():
            if name.startswith(MEMORY) and value is not None:
                values.setdefault(name.removeprefix(MEMORY), []).append(value)
    return {name: fmean(each) for name, each in values.items()}


def steps(series: Series) -> list[ComparedVersion]:
    """Each version but the oldest, compared with the previous one."""
    return list(series.rows.values())[1 : len(series.records)]


def step_sentences(series: Series) -> dict[str, str]:
    """What each step changes, by label; empty for a single step, which the findings describe."""
    if len(series.records) < 3:
        return {}
    pairs = zip(series.records, steps(series), strict=False)
    return {series.label(row): _step_sentence(series, older, row) for older, row in pairs}


def _step_sentence(series: Series, older: VersionRecord, row: ComparedVersion) -> str:
    verdicts = {model: change.verdict for model, change in row.accuracy.items() if isinstance(change, AccuracyChange)}
    accuracy = [f"{model} {verdict}" for model, verdict in verdicts.items()]
    if len({*verdicts.values()}) == 1:
        accuracy = [f"accuracy {next(iter(verdicts.values()))}"]
    memory = _growth(older, row.record)
    if memory and older is not series.records[0]:
        memory += f" (since {series.oldest}: {_growth(series.records[0], row.record)})"
    parts = [*accuracy, _step_speed(row.speed), f"resident memory: {memory}" if memory else ""]
    return f"{'; '.join(filter(None, parts))}."


def _growth(older: VersionRecord, newer: VersionRecord) -> str:
    """The change of resident memory by model."""
    sizes = _resident_sizes(older, newer)
    return joined([f"{model} {new - old:+.0f} MB" for model, (old, new) in sizes.items()])


def _step_speed(speed: Mapping[str, SpeedChange] | str) -> str:
    if isinstance(speed, str):
        return f"speed not compared: {speed}"
    return _changes_text(speed) or ("no operation significantly slower or faster" if speed else "")


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
