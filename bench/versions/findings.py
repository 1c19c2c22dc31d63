"""Findings on a series of versions: accuracy, speed and memory from the oldest to the newest, and by update."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import fmean

from packaging.version import Version

from bench.evaluation.equivalence import EQUIVALENCE_MARGIN, AccuracyChange
from bench.evaluation.speed import SpeedChange, Verdict
from bench.evaluation.text import joined, points, ratio_text
from bench.report.markdown import Markdown, anchor, inline, link
from bench.versions.operation_names import AMONG_OTHERS, SHORT_NAMES, kind_of, variant_of
from bench.versions.record import VersionRecord
from bench.versions.series import ComparedVersion, Series, accuracy_since_oldest, machine_differences, time_since_oldest

RESIDENT, UNIQUE = "megabytes, ", "megabytes of its own, "  # prefixes of the facts with memory by model
MAX_NAMED = 2  # operations of a kind that are listed one by one
MAX_KINDS = 5  # of operations that are listed, those with the largest changes
NOTABLE = 1.1  # times slower or faster from which on changes are listed without a test
IMPORTING_KERAS = Version("3.9")  # imports scikit-learn and Matplotlib if they are installed
REPOSITORIES = {"TensorFlow": "tensorflow/tensorflow", "Keras": "keras-team/keras"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Update:
    """What changed from one version to the next."""

    pair: str  # such as "2.16.2 to 2.17.1", or "2.16.2 to 2.17.1, Python 3.12"
    sentences: tuple[str, ...]  # Markdown


def title(series: Series) -> str:
    """The versions that findings compare."""
    return f"{series.library} {series.label(series.overall)}{series.suffix}"


def findings(series: Series) -> list[str]:
    """A few sentences of Markdown on the newest version compared with the oldest."""
    if series.overall.compared_with is None:
        return []
    sentences = _sentences(series, series.records[0], series.overall)
    most = _largest_update(series)
    return [f"{each}{most}" if each.startswith("Speed: ") else each for each in sentences]


def updates(series: Series) -> list[Update]:
    """What each update changes; empty for a single update, which the findings describe."""
    if len(series.records) < 3:
        return []
    pairs = zip(series.records, _compared(series), strict=False)
    return [
        Update(pair=f"{series.label(row)}{series.suffix}", sentences=tuple(_sentences(series, old, row)))
        for old, row in pairs
    ]


def _sentences(series: Series, older: VersionRecord, row: ComparedVersion) -> list[str]:
    """Other libraries, accuracy, speed, memory, machines, changes since the oldest version, and release notes."""
    notes = release_notes(series).get(series.label(row), [])
    parts = (
        _libraries(series, older, row.record),
        _accuracy(row),
        _speed(series, older, row),
        _memory(older, row.record),
        _machines(row),
        _since_oldest(series, row),
        f"Release notes: {', '.join(map(str, notes))}." if notes else "",
    )
    return [sentence for sentence in parts if sentence]


def _libraries(series: Series, older: VersionRecord, newer: VersionRecord) -> str:
    """The versions of Keras, if TensorFlow comes with another one, and of NumPy."""
    changed, unchanged = list[str](), list[str]()
    for library in ("Keras", "NumPy") if series.library == "TensorFlow" else ("NumPy",):
        old, new = (getattr(record.environment, library.lower()) for record in (older, newer))
        if old == new:
            unchanged.append(f"{library} {old}")
        else:
            changed.append(f"{library} {old} to {new}")
    named = {"Also changed": changed, "Unchanged": unchanged}
    return " ".join(f"{what}: {joined(libraries)}." for what, libraries in named.items() if libraries)


def _accuracy(row: ComparedVersion) -> str:
    """The models by verdict, with their changes."""
    verdicts: dict[str, list[str]] = {}
    for model, change in row.accuracy.items():
        if isinstance(change, AccuracyChange):
            size = "identical" if change.identical else points(change.difference.mean)
            verdicts.setdefault(change.verdict, []).append(f"{_name(model)} {size}")
    within = {"equivalent": f"(within ±{100 * EQUIVALENCE_MARGIN:g} points)"}
    parts = [f"{verdict} {within.get(verdict, '(points)')}: {joined(changes)}" for verdict, changes in verdicts.items()]
    return f"Accuracy {'; '.join(parts)}." if parts else ""


def _name(model: str) -> str:
    return inline(SHORT_NAMES.get(model, model))


def _speed(series: Series, older: VersionRecord, row: ComparedVersion) -> str:
    speed = row.speed
    if isinstance(speed, str):
        return f"Speed not compared: {inline(speed)}."
    if not speed:
        return ""
    slower, faster = changed(speed, "slower"), changed(speed, "faster")
    ratios = {name: change.ratio for name, change in speed.items()}
    if not slower and not faster:
        largest = _by_kind(series, ratios, _largest_first([*ratios], ratios)[:1])
        return (
            f"Speed: none of {len(speed)} operations is significantly slower or faster; largest change, not "
            f"significant: {largest}."
        )
    return (
        f"Speed: of {len(speed)} operations, {_counted(series, ratios, slower, 'significantly slower')}; "
        f"{_counted(series, ratios, faster, 'faster')}.{_imported(older, row.record, slower)}"
    )


def _imported(older: VersionRecord, newer: VersionRecord, slower: Sequence[str]) -> str:
    """What makes an import with other packages slower, if Keras began to import it."""
    old, new = (Version(record.environment.keras) for record in (older, newer))
    if not old < IMPORTING_KERAS <= new or not any(AMONG_OTHERS in name for name in slower):
        return ""
    return f" Keras {IMPORTING_KERAS} and newer import scikit-learn and Matplotlib if these are installed."


def _counted(series: Series, ratios: Mapping[str, float], names: Sequence[str], verdict: str) -> str:
    return f"{len(names)} {verdict}: {_by_kind(series, ratios, names)}" if names else f"none {verdict}"


def _by_kind(series: Series, ratios: Mapping[str, float], names: Sequence[str]) -> str:
    """Times relative to the older version by kind, the one with the largest change first, and how many are left out."""
    kinds: dict[str, list[str]] = {}
    for name in names:
        kinds.setdefault(kind_of(name), []).append(name)
    texts = [_kind_text(ratios, *each) for each in list(kinds.items())[:MAX_KINDS]]
    return ", ".join(texts) + _more(series, sum(map(len, list(kinds.values())[MAX_KINDS:])))


def _more(series: Series, operations: int) -> str:
    """How many operations are left out, with a link to the tables of all."""
    return f", and {operations} more ({link('details', anchor(series.title))})" if operations else ""


def _kind_text(ratios: Mapping[str, float], kind: str, names: Sequence[str]) -> str:
    """The change of each operation of a kind, or of how many, and the smallest and the largest one."""
    same = [name for name in ratios if kind_of(name) == kind]
    if len(names) <= MAX_NAMED:
        # In the order of measurement, so that the models always are in the same order.
        text = " and ".join(f"{ratio_text(ratios[name])}{_variant(name)}" for name in same if name in names)
    else:
        low, high = sorted((ratios[names[0]], ratios[names[-1]]))
        text = f"{ratio_text(low)} to {ratio_text(high)} ({len(names)} of {len(same)})"
    return f"`{kind}` {text}"


def _variant(operation: str) -> str:
    """In parentheses, after a space; empty if there is only one."""
    variant = variant_of(operation)
    return f" ({variant})" if variant else ""


def changed(changes: Mapping[str, SpeedChange], verdict: Verdict) -> list[str]:
    """Operations with a verdict, the largest change first."""
    names = [name for name, change in changes.items() if change.verdict == verdict]
    return _largest_first(names, {name: change.ratio for name, change in changes.items()})


def _largest_first(names: Sequence[str], ratios: Mapping[str, float]) -> list[str]:
    return sorted(names, key=lambda name: -_factor(ratios[name]))


def _factor(ratio: float) -> float:
    """How many times slower or faster."""
    return max(ratio, 1 / ratio)


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
    return f" The update with the most changes: {most} ({counts[most]})."


def _since_oldest(series: Series, row: ComparedVersion) -> str:
    """The changes from the oldest version, which are not tested; empty if `row` is itself about these."""
    oldest, record = series.records[0], row.record
    if row.compared_with == oldest.name:
        return ""
    if record is series.records[-1]:
        return f"Since {series.oldest}: {link('findings above', anchor(title(series)))}."
    accuracy = {each.model: accuracy_since_oldest(series, record, each.model) for each in record.trained}
    accuracies = [f"{_name(model)} {points(change)}" for model, change in accuracy.items() if change is not None]
    ratios = time_since_oldest(series, record)
    # Rounded as in the table, so that they agree with it.
    notable = [name for name in _largest_first([*ratios], ratios) if round(_factor(ratios[name]), 2) >= NOTABLE]
    slower, faster = ([name for name in notable if (ratios[name] > 1) == wanted] for wanted in (True, False))
    by = f"by {100 * (NOTABLE - 1):.0f}% or more"
    speed = (
        f"{_counted(series, ratios, slower, f'slower {by}')}; {_counted(series, ratios, faster, f'faster {by}')}"
        if notable
        else f"none of {len(ratios)} operations slower or faster {by}"
    )
    parts = (
        f"accuracy {joined(accuracies)}" if accuracies else "",
        speed if ratios else "",
        f"resident memory {joined(memory)}" if (memory := [*_resident_growth(oldest, record).values()]) else "",
    )
    to_newest = f"only {link(title(series), anchor(title(series)))} is tested"
    to_newest += "; the machines differ" if machine_differences(oldest, record) else ""
    return f"Since {series.oldest}, not tested: {'; '.join(filter(None, parts))} ({to_newest})." if any(parts) else ""


def _memory(older: VersionRecord, newer: VersionRecord) -> str:
    resident, unique = _resident_growth(older, newer), _growth(older, newer, UNIQUE)
    own = {model: f" (unique {unique[model]:+})" if model in unique else "" for model in resident}
    return f"Resident memory: {joined([text + own[model] for model, text in resident.items()])}." if resident else ""


def _machines(row: ComparedVersion) -> str:
    """What else may have changed accuracy and memory; speed is not compared then."""
    if not row.other_machine:
        return ""
    names = joined([name.replace("_", " ") for name in row.other_machine])
    return f"The machines differ ({names}), so a change of accuracy or memory need not come from the version."


def _resident_growth(older: VersionRecord, newer: VersionRecord) -> dict[str, str]:
    """The change of resident memory by model, as text; none if it was not measured."""
    return {model: f"{inline(model)} {change:+} MB" for model, change in _growth(older, newer, RESIDENT).items()}


def _growth(older: VersionRecord, newer: VersionRecord, prefix: str) -> dict[str, int]:
    """The change in megabytes by model, of values rounded as in the table, so that they agree with it."""
    first, last = _megabytes(older, prefix), _megabytes(newer, prefix)
    return {model: round(last[model]) - round(first[model]) for model in first if model in last}


def _megabytes(record: VersionRecord, prefix: str) -> dict[str, float]:
    """Mean megabytes by short name of a model."""
    values: dict[str, list[float]] = {}
    for start in record.starts:
        for name, value in start.facts.items():
            if name.startswith(prefix):
                values.setdefault(name.removeprefix(prefix), []).append(value)
    return {model: fmean(each) for model, each in values.items()}


def _compared(series: Series) -> list[ComparedVersion]:
    """Each version but the oldest, compared with the previous one."""
    return list(series.rows.values())[1 : len(series.records)]


def release_notes(series: Series) -> dict[str, list[Markdown]]:
    """By update such as "2.16.2 to 2.17.1", links to the release notes of the libraries that changed.

    The notes of a patch release do not repeat those of its minor release, so minor releases are included.
    """
    notes: dict[str, list[Markdown]] = {}
    for old, new in pairwise(series.records):
        update = notes.setdefault(f"{series.versions[old.name]} to {series.versions[new.name]}", [])
        for library, repository in REPOSITORIES.items():
            before, now = (Version(getattr(record.environment, library.lower())) for record in (old, new))
            for version in _releases(before, now):
                address = f"https://github.com/{repository}/releases/tag/v{version}"
                update.append(Markdown(f"[{library} {version}]({address})"))
    return notes


def _releases(old: Version, new: Version) -> list[str]:
    """The minor releases after `old` up to `new`, and `new`; pre-releases and nightly builds have no notes."""
    minors = range(old.minor + 1, new.minor + 1) if old.major == new.major else ()
    releases = dict.fromkeys([*(f"{new.major}.{minor}.0" for minor in minors), new.public])
    return [release for release in releases if old < Version(release) <= new and not Version(release).is_prerelease]
