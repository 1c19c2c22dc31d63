"""Findings on a series of versions: accuracy, speed and memory from the oldest to the newest, and by update."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import log
from statistics import fmean

from bench.evaluation.equivalence import EQUIVALENCE_MARGIN, AccuracyChange
from bench.evaluation.speed import SpeedChange, Verdict
from bench.report.markdown import Markdown, inline
from bench.report.text.numbers import joined, points
from bench.versions.record import VersionRecord
from bench.versions.series import ComparedVersion, Series, accuracy_since_oldest, time_since_oldest

MEMORY = "megabytes, "  # prefix of the facts with resident memory by model
SMALL = 0.1  # ratios below are written as fractions: two decimals would hide most of them
NOTABLE = 1.1  # ratio from which changes that are not tested are listed, in either direction
UNEXPLAINED = 5.0  # ratio above which a change is said to have no known cause, in either direction
MAX_NAMED = 2  # operations of a kind that are listed one by one
VARIANTS = {"among others": "among other installed packages"}  # of operations
REPOSITORIES = {"TensorFlow": "tensorflow/tensorflow", "Keras": "keras-team/keras"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Update:
    """What changed from one version to the next."""

    pair: str  # such as "2.16.2 to 2.17.1"
    title: str
    sentences: tuple[str, ...]  # Markdown


def title(series: Series) -> str:
    """The versions that findings compare; a newer TensorFlow comes with a newer Keras."""
    oldest, newest = series.records[0].environment, series.records[-1].environment
    other = f" together with Keras {oldest.keras} to {newest.keras}" if series.library == "TensorFlow" else ""
    return f"{series.library} {series.label(series.overall)}{other}"


def findings(series: Series) -> list[str]:
    """At most three sentences of Markdown on the newest version compared with the oldest."""
    if series.overall.compared_with is None:
        return []
    most = _largest_update(series)
    parts = [_accuracy(series.overall), f"{speed}{most}" if (speed := _speed(series.overall)) else "", _memory(series)]
    return [sentence for sentence in parts if sentence]


def updates(series: Series) -> list[Update]:
    """What each update changes, and all up to it; empty for a single update, which the findings describe."""
    if len(series.records) < 3:
        return []
    pairs = zip(series.records, _compared(series), strict=False)
    return [
        Update(pair=series.label(row), title=_title(series, older, row), sentences=_sentences(series, older, row))
        for older, row in pairs
    ]


def _title(series: Series, older: VersionRecord, row: ComparedVersion) -> str:
    """The versions of an update, of Keras as well if TensorFlow comes with another one."""
    keras = f" (Keras {older.environment.keras} to {row.record.environment.keras})"
    return series.label(row) + (keras if series.library == "TensorFlow" else "")


def _sentences(series: Series, older: VersionRecord, row: ComparedVersion) -> tuple[str, ...]:
    """Accuracy, speed and memory; those since the oldest version too, except for the newest, as findings have them."""
    since = ("", "", "")
    if older is not series.records[0] and row.record is not series.records[-1]:
        since = _accuracy_since(series, row.record), _speed_since(series, row.record), _growth_since(series, row.record)
    growth = _growth(older, row.record)
    memory = f"Resident memory: {growth}." if growth else ""
    parts = zip((_accuracy(row), _speed(row), memory), since, strict=True)
    return tuple(f"{change}{sum_}" for change, sum_ in parts if change)


def _accuracy(row: ComparedVersion) -> str:
    """The models by verdict, with their changes."""
    verdicts: dict[str, list[str]] = {}
    for model, change in row.accuracy.items():
        if isinstance(change, AccuracyChange):
            verdicts.setdefault(change.verdict, []).append(f"{inline(model)} {points(change.difference.mean)}")
    within = {"equivalent": f" (within ±{100 * EQUIVALENCE_MARGIN:g} points)"}
    parts = [f"{verdict}{within.get(verdict, '')}: {joined(changes)} points" for verdict, changes in verdicts.items()]
    return f"Accuracy {'; '.join(parts)}." if parts else ""


def _accuracy_since(series: Series, record: VersionRecord) -> str:
    changes = {each.model: accuracy_since_oldest(series, record, each.model) for each in record.trained}
    parts = [f"{inline(model)} {points(change)}" for model, change in changes.items() if change is not None]
    return f" Since {series.oldest}, not tested: {joined(parts)} points." if parts else ""


def _speed(row: ComparedVersion) -> str:
    speed = row.speed
    if isinstance(speed, str):
        return f"Speed not compared: {inline(speed)}."
    if not speed:
        return ""
    slower, faster = changed(speed, "slower"), changed(speed, "faster")
    if not slower and not faster:
        return f"Speed: none of {len(speed)} operations is significantly slower or faster."
    ratios = {name: change.ratio for name, change in speed.items()}
    return (
        f"Speed: of {len(speed)} operations, {_counted(ratios, slower, 'significantly slower')}; "
        f"{_counted(ratios, faster, 'faster')}."
    )


def _speed_since(series: Series, record: VersionRecord) -> str:
    """The notable changes, which are not tested."""
    ratios = time_since_oldest(series, record)
    names = _largest_first([name for name, ratio in ratios.items() if abs(log(ratio)) >= log(NOTABLE)], ratios)
    if not ratios:
        return ""
    start = f" Since {series.oldest}, not tested, changes of at least {100 * (NOTABLE - 1):.0f}%"
    return f"{start}: {_by_kind(ratios, names)}." if names else f"{start}: none."


def _counted(ratios: Mapping[str, float], names: Sequence[str], verdict: str) -> str:
    return f"{len(names)} {verdict}: {_by_kind(ratios, names)}" if names else f"none {verdict}"


def _by_kind(ratios: Mapping[str, float], names: Sequence[str]) -> str:
    """The times of operations relative to the older version by kind; the kind with the largest change is first."""
    kinds: dict[str, list[str]] = {}
    for name in names:
        kinds.setdefault(_kind(name), []).append(name)
    return ", ".join(_kind_text(ratios, *each) for each in kinds.items())


def _kind(operation: str) -> str:
    """`predict` of `predict[cnn-call-1]`."""
    return operation.partition("[")[0]


def _kind_text(ratios: Mapping[str, float], kind: str, names: Sequence[str]) -> str:
    """The change of each operation of a kind, or of how many, and the smallest and the largest one."""
    if len(names) <= MAX_NAMED:
        text = " and ".join(f"{ratio_text(ratios[name])}{_variant(name)}" for name in reversed(names))
    else:
        low, high = sorted((ratios[names[0]], ratios[names[-1]]))
        total = sum(_kind(name) == kind for name in ratios)
        text = f"{ratio_text(low)} to {ratio_text(high)} ({len(names)} of {total})"
    unexplained = abs(log(ratios[names[0]])) > log(UNEXPLAINED)
    return f"`{kind}` {text}{' (cause not determined)' if unexplained else ''}"


def _variant(operation: str) -> str:
    """` (cnn)` of `save[cnn]`."""
    variant = operation.partition("[")[2].rstrip("]")
    return f" ({VARIANTS.get(variant, variant)})" if variant else ""


def ratio_text(ratio: float) -> str:
    """The time relative to the older version; far below 1 as a fraction."""
    return f"{ratio:.2f}" if ratio >= SMALL else f"1/{1 / ratio:.0f}"


def changed(changes: Mapping[str, SpeedChange], verdict: Verdict) -> list[str]:
    """Operations with a verdict, the largest change first."""
    names = [name for name, change in changes.items() if change.verdict == verdict]
    return _largest_first(names, {name: change.ratio for name, change in changes.items()})


def _largest_first(names: Sequence[str], ratios: Mapping[str, float]) -> list[str]:
    return sorted(names, key=lambda name: -abs(log(ratios[name])))


def _largest_update(series: Series) -> str:
    """The update with the most significant changes of speed."""
    counts = {
        series.label(row): len(changed(row.speed, "slower")) + len(changed(row.speed, "faster"))
        for row in _compared(series)
        if not isinstance(row.speed, str)
    }
    most = max(counts, key=lambda pair: counts[pair], default="")
    if len(counts) < 2 or not counts[most]:
        return ""
    return f" The update with the most changes is {most}, with {counts[most]}."


def _memory(series: Series) -> str:
    sizes = _resident_sizes(series.records[0], series.records[-1])
    parts = [f"{model} from {old} to {new} MB ({new - old:+})" for model, (old, new) in sizes.items()]
    return f"Resident memory after one epoch: {joined(parts)}." if parts else ""


def _growth(older: VersionRecord, newer: VersionRecord) -> str:
    """The change of resident memory by model."""
    sizes = _resident_sizes(older, newer)
    return joined([f"{model} {new - old:+} MB" for model, (old, new) in sizes.items()])


def _growth_since(series: Series, record: VersionRecord) -> str:
    growth = _growth(series.records[0], record)
    return f" Since {series.oldest}: {growth}." if growth else ""


def _resident_sizes(older: VersionRecord, newer: VersionRecord) -> dict[str, tuple[int, int]]:
    """Resident megabytes with both versions by model, rounded as in the table, so that differences agree with it."""
    first, last = _resident(older), _resident(newer)
    return {_model(newer, name): (round(first[name]), round(last[name])) for name in first if name in last}


def _resident(record: VersionRecord) -> dict[str, float]:
    """Mean resident megabytes by short name of a model."""
    values: dict[str, list[float]] = {}
    for start in record.starts:
        for name, value in start.facts.items():
            if name.startswith(MEMORY) and value is not None:
                values.setdefault(name.removeprefix(MEMORY), []).append(value)
    return {name: fmean(each) for name, each in values.items()}


def _model(record: VersionRecord, short: str) -> str:
    """The name of the tutorial that `dense` or `cnn` stands for; the families of users have no short names."""
    return next((each.model for each in record.trained if each.model.startswith(f"tutorial-{short}")), inline(short))


def _compared(series: Series) -> list[ComparedVersion]:
    """Each version but the oldest, compared with the previous one."""
    return list(series.rows.values())[1 : len(series.records)]


def release_notes(series: Series) -> dict[str, list[Markdown]]:
    """By update such as "2.16.2 to 2.17.1", links to the release notes of the libraries that changed."""
    notes: dict[str, list[Markdown]] = {}
    for old, new in pairwise(series.records):
        update = notes.setdefault(f"{series.versions[old.name]} to {series.versions[new.name]}", [])
        for library, repository in REPOSITORIES.items():
            version = getattr(new.environment, library.lower())
            if version != getattr(old.environment, library.lower()):
                address = f"https://github.com/{repository}/releases/tag/v{version}"
                update.append(Markdown(f"[{library} {version}]({address})"))
    return notes
