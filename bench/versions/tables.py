"""Tables of versions of a library: accuracy, speed, memory, environments."""

import itertools
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from statistics import median

import pandas as pd

from bench.evaluation.comparison import interval
from bench.evaluation.equivalence import MAX_SEEDS, AccuracyChange
from bench.evaluation.speed import SpeedChange, Verdict, required_starts
from bench.evaluation.text import accuracy_cell, counted, difference_text, percent, points, ratio_text
from bench.evaluation.variance import Correctness
from bench.report.tables.provenance import short_commit
from bench.versions.findings import changed
from bench.versions.operation_names import label
from bench.versions.record import SEEDS_PER_RUN, ModelResults, VersionRecord
from bench.versions.series import (
    ComparedVersion,
    Series,
    accuracy_since_oldest,
    machine_differences,
    time_since_oldest,
    variation_between_starts,
)

COMMIT_DIGITS = 12
OTHER_MACHINE = ", other machine"  # after a change of accuracy that need not come from the version
DETECTABLE = 2.5  # a change in standard deviations between starts that ten starts of six versions find in 77% of series
ENVIRONMENT_HEADINGS = {
    "python": "Python",
    "tensorflow": "TensorFlow",
    "keras": "Keras",
    "keras_tuner": "Keras Tuner",
    "numpy": "NumPy",
    "onednn": "oneDNN",
    "cpu": "CPU",
}
# Facts in records, and their column names; `{}` stands for what follows the prefix, a model or an input.
MEMORY_FACTS = {"megabytes, ": "{}: resident", "megabytes of its own, ": "{}: unique"}
DELAY_FACTS = {"seconds at the start of an epoch, ": "{}, delay (s)", "of these idle, ": "{}, idle (s)"}


def versions_table(series: Series) -> pd.DataFrame:
    """One row per comparison: accuracy and verdict of each model, and the operations that became slower or faster."""
    return pd.DataFrame(_row(series, row) for row in series.rows.values())


def models_of(series: Series) -> list[str]:
    """Names of the trained models."""
    return list(dict.fromkeys(results.model for record in series.records for results in record.trained))


def _row(series: Series, version: ComparedVersion) -> dict[str, str]:
    record = version.record
    row: dict[str, str] = {series.library: series.label(version)}
    if series.library == "TensorFlow":
        row["Keras"] = record.environment.keras
    for model in models_of(series):
        results = record.results_of(model)
        row[f"{model} (%)"] = "-" if results is None else _accuracy(results)
        mark = OTHER_MACHINE if version.other_machine else ""
        row[f"{model}: change (pp)"] = _change_text(version.accuracy.get(model), mark)
        if len(series.records) > 2:
            since = None if version.compared_with is None else accuracy_since_oldest(series, record, model)
            mark = OTHER_MACHINE if machine_differences(series.records[0], record) else ""
            row[f"{model}: since {series.oldest} (pp)"] = "-" if since is None else f"{points(since)}{mark}"
    row["slower"] = _changed_operations(version, "slower")
    row["faster"] = _changed_operations(version, "faster")
    return row


def _accuracy(results: ModelResults) -> str:
    correctness = Correctness(correct=results.bits)
    return accuracy_cell(float(correctness.correct.mean()), interval(correctness))


def _change_text(change: AccuracyChange | str | None, mark: str) -> str:
    """A verdict with its numbers, followed by `mark`."""
    if change is None:
        return "-"
    if isinstance(change, str):
        return f"not compared: {change}"
    verdict = _inconclusive_text(change) if change.verdict == "inconclusive" else change.verdict
    numbers = difference_text(change.difference.mean, change.low, change.high)
    result = f"{verdict}, identical" if change.identical else f"{verdict}: {numbers}"
    return f"{result}{mark}"


def _inconclusive_text(change: AccuracyChange) -> str:
    """What a verdict would take; seeds are rounded up to whole runs."""
    seeds = change.additional_seeds
    if change.test_set_too_small:
        return "inconclusive, the test set is too small"
    if seeds is None:
        return f"inconclusive, needs more than {MAX_SEEDS} seeds"
    return f"inconclusive, needs about {-(-seeds // SEEDS_PER_RUN) * SEEDS_PER_RUN} more seeds"


def changes_of(version: ComparedVersion) -> Mapping[str, SpeedChange]:
    """By operation; none if the speed is not compared."""
    return {} if isinstance(version.speed, str) else version.speed


def speed_comparisons(series: Series) -> dict[str, int]:
    """How many comparisons of speed there are, their fewest process starts, and how many one change would require."""
    starts = [change.starts for row in series.rows.values() for change in changes_of(row).values()]
    return {
        "comparisons": len(starts),
        "fewest_starts": min(starts, default=0),
        "required_starts": required_starts(len(starts)),
    }


def _changed_operations(version: ComparedVersion, verdict: Verdict) -> str:
    """How many operations became slower or faster, and the one that changed most."""
    if isinstance(version.speed, str):
        return f"not compared: {version.speed}"
    names = changed(version.speed, verdict)
    if not names:
        return "-"
    ratio = ratio_text(version.speed[names[0]].ratio)
    return f"{len(names)} of {len(version.speed)}, largest change: {label(names[0])} takes {ratio} times as long"


def speed_table(series: Series) -> pd.DataFrame | None:
    """One row per operation: time with the oldest version, and the ratio of each comparison; None without any."""
    oldest, *others = series.rows.values()
    seconds = median_seconds(oldest.record)
    changes = {series.label(row): changes_of(row) for row in others}
    operations = dict.fromkeys([*seconds, *itertools.chain.from_iterable(changes.values())])
    rows = [
        {
            "operation": label(operation),
            f"{series.label(oldest)} (ms)": f"{1000 * seconds[operation]:,.2f}" if operation in seconds else "-",
            **{heading: _ratio_text(by_operation.get(operation)) for heading, by_operation in changes.items()},
        }
        for operation in operations
    ]
    return pd.DataFrame(rows) if rows else None


def changes_by_update(series: Series) -> pd.DataFrame:
    """The change of each operation (row) by comparison (column), the total in the last; missing if not compared."""
    changes = {series.label(row): changes_of(row) for row in [*series.rows.values()][1:]}
    if len(changes) > 1:
        changes[f"total: {series.label(series.overall)}"] = changes.pop(series.label(series.overall))
    frame = pd.DataFrame({pair: pd.Series(each, dtype=object) for pair, each in changes.items() if each})
    return frame.rename(index=label)


def times_since_oldest(series: Series) -> pd.DataFrame:
    """Time relative to the oldest version: operations as rows, newer versions as columns; empty if not compared."""
    times = {series.versions[record.name]: time_since_oldest(series, record) for record in series.records[1:]}
    return pd.DataFrame({version: ratios for version, ratios in times.items() if ratios})


def cumulative_table(series: Series) -> pd.DataFrame:
    """Time relative to the oldest version as text; empty with fewer than three versions, or if not compared."""
    if len(series.records) < 3:
        return pd.DataFrame()
    times = times_since_oldest(series).map(lambda ratio: "-" if pd.isna(ratio) else ratio_text(ratio))
    return times.rename(index=label).rename_axis("operation").reset_index() if len(times) else times


def median_seconds(record: VersionRecord) -> dict[str, float]:
    """By operation, over the process starts that timed it."""
    starts = pd.DataFrame({name: each.seconds for name, each in start.operations.items()} for start in record.starts)
    return {str(name): float(median) for name, median in starts.median().items()}


def _ratio_text(change: SpeedChange | None) -> str:
    """In parentheses if it is not significant."""
    if change is None:
        return "-"
    ratio = ratio_text(change.ratio)
    return f"({ratio})" if change.verdict == "not significant" else ratio


def scope(records: Sequence[VersionRecord]) -> dict[str, str]:
    """Numbers of seeds and process starts, the CPU and threads of the starts, and the changes that these miss.

    Records without seeds or without starts are left out; "-" if all are.
    """
    variation = variation_between_starts(records)
    return {
        "seeds": _distinct(str(len(results.seeds)) for record in records for results in record.trained),
        "starts": _distinct(str(len(record.starts)) for record in records if record.starts),
        "cpu": _distinct(record.environment.cpu for record in records if record.starts),
        "threads": _distinct(counted(start.threads, "thread") for record in records for start in record.starts),
        "missed": f"{percent(DETECTABLE * median(variation.values()), 0)}%" if variation else "",
        "variation": _variation_text(variation) if variation else "",
    }


def _variation_text(variation: Mapping[str, float]) -> str:
    """The standard deviation between starts: typical, smallest and largest."""
    low, *_, high = sorted([*variation] * 2, key=lambda operation: variation[operation])
    extremes = " and ".join(f"{percent(variation[name], 1)}% for {label(name)}" for name in (low, high))
    return f"{percent(median(variation.values()), 1)}% for the median operation, {extremes}"


def facts_table(records: Sequence[VersionRecord], headings: Mapping[str, str], *, digits: int) -> pd.DataFrame:
    """Means over the process starts, since delays are rare but long, with the smallest and the largest value.

    Empty if no version has any of the facts in `headings`.
    """
    starts = pd.DataFrame({**_names(record), **start.facts} for record in records for start in record.starts)
    columns = {
        name: heading.format(name.removeprefix(prefix))
        for name in map(str, starts)
        for prefix, heading in headings.items()
        if name.startswith(prefix)
    }
    if not columns:
        return pd.DataFrame()

    def cell(values: "pd.Series[float]") -> str:
        low, high = values.min(), values.max()
        return "-" if values.isna().all() else f"{values.mean():.{digits}f} ({low:.{digits}f} to {high:.{digits}f})"

    names = list(_names(records[0]))
    table = starts.rename(columns=columns).groupby(names, sort=False)[list(columns.values())].agg(cell)
    return table.reset_index()


def _names(record: VersionRecord) -> dict[str, str]:
    """What a version is called in tables that contain all of them."""
    environment = record.environment
    return {"TensorFlow": environment.tensorflow, "Keras": environment.keras, "environment": record.name}


def environments_table(records: Sequence[VersionRecord]) -> pd.DataFrame:
    """The environment of each version, and the commits of this repository that measured it."""
    return pd.DataFrame(
        {
            "environment": record.name,
            **{heading: getattr(record.environment, name) for name, heading in ENVIRONMENT_HEADINGS.items()},
            "threads": _distinct(str(start.threads) for start in record.starts),
            "reference workload": _distinct(start.reference for start in record.starts),
            "process starts": str(len(record.starts)),
            "speed at commit": _distinct(_commit(start.git_commit) for start in record.starts),
            "seeds": _distinct(str(len(results.seeds)) for results in record.trained),
            "accuracy at commit": _distinct(_commit(commit) for each in record.trained for commit in each.git_commits),
        }
        for record in records
    )


_commit = partial(short_commit, digits=COMMIT_DIGITS)


def _distinct(values: Iterable[str]) -> str:
    return ", ".join(dict.fromkeys(values)) or "-"
