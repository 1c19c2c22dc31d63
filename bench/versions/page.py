"""versions.md: how a newer TensorFlow or Keras changed accuracy and speed, and the differences that may explain it."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from bench.evaluation.comparison import interval
from bench.evaluation.equivalence import EQUIVALENCE_MARGIN, AccuracyChange
from bench.evaluation.variance import Correctness
from bench.report.board import Board
from bench.report.figures.picture import Picture, titled
from bench.report.figures.time_map import time_map
from bench.report.markdown import anchor, link, render
from bench.report.narrow_table import narrow_table
from bench.report.pages.contract import Files
from bench.report.runs import relative_to
from bench.versions.differences import LIBRARIES, differences
from bench.versions.findings import findings, updates
from bench.versions.findings import title as findings_title
from bench.versions.record import ModelResults, VersionRecord, read_all
from bench.versions.series import ComparedVersion, Series, all_series
from bench.versions.subjects import family_root, measured_families
from bench.versions.tables import (
    DELAY_FACTS,
    MEMORY_FACTS,
    changes_by_update,
    changes_of,
    cumulative_table,
    environments_table,
    facts_table,
    median_seconds,
    models_of,
    scope,
    speed_comparisons,
    speed_table,
    versions_table,
)

VERSION_NAMES = ("TensorFlow", "Keras", "environment")  # columns that tables keep


class VersionsPage:
    """The page of the measured versions."""

    name = "versions"

    def files(self, board: Board) -> Files:
        """versions.md and epoch-delay.md, and for each family versions-<name>.md and so on, if they were measured."""
        files: dict[str, bytes | Picture] = {}
        for family, (records, problems) in _measured(board).items():
            if records:
                files |= _files(records, problems, "" if family is None else f"-{family}", family)
        return files

    def problems(self, board: Board) -> tuple[str, ...]:
        """The errors of version records that cannot be read."""
        return tuple(problem for _, problems in _measured(board).values() for problem in problems)


def _measured(board: Board) -> dict[str | None, tuple[tuple[VersionRecord, ...], tuple[str, ...]]]:
    """Records, and errors of those that cannot be read, by family; None for the reference models."""
    roots: dict[str | None, Path] = {None: board.results}
    roots |= {family: family_root(board.results, family) for family in measured_families(board.results)}
    measured = {}
    for family, root in roots.items():
        records, problems = read_all(root)
        measured[family] = records, tuple(relative_to(board.results, problem) for problem in problems)
    return measured


PAGE = VersionsPage()


def _files(records: Sequence[VersionRecord], problems: Sequence[str], suffix: str, family: str | None) -> Files:
    """The pages and figures of the reference models, or of a family.

    Args:
        records: oldest version first.
        problems: errors of records that cannot be read.
        suffix: of the names of files.
        family: None for the reference models.
    """
    series = all_series(records)
    figures = {
        f"versions/figures/time{suffix}-{number}.png": titled(
            time_map(changes),
            f"{each.library}: time relative to the version before (above 1: slower; gray: not significant)",
        )
        for number, each in enumerate(series, start=1)
        if not (changes := changes_by_update(each)).empty
    }
    comparisons = [speed_comparisons(each) for each in series]
    delays = facts_table(records, DELAY_FACTS, digits=3)
    delay_page = None if delays.empty else f"epoch-delay{suffix}.md"
    page = render(
        "versions.md.j2",
        package="bench.versions",
        family=family,
        datasets=", ".join(dict.fromkeys(results.dataset for record in records for results in record.trained)),
        problems=problems,
        series=[
            {
                "title": each.title,
                "library": each.library,
                "oldest": each.oldest,
                "findings_title": findings_title(each),
                "link": link(f"{each.label(each.overall)}{each.suffix}", anchor(findings_title(each))),
                "update_links": [link(update.pair, anchor(update.pair)) for update in updates(each)],
                "details": link("details", anchor(each.title)),
                "findings": findings(each),
                "updates": updates(each),
                "other_machine": any(row.other_machine for row in each.rows.values()),
                "versions": versions_table(each).drop(columns=["slower", "faster"]),
                "speed": speed_table(each),
                "cumulative": cumulative_table(each),
                "figure": name if (name := f"versions/figures/time{suffix}-{number}.png") in figures else None,
                **compared,
                "differences": differences(each.records, each.versions),
            }
            for number, (each, compared) in enumerate(zip(series, comparisons, strict=True), start=1)
        ],
        memory=facts_table(records, MEMORY_FACTS, digits=0),
        delay_page=delay_page,
        environments=environments_table(records),
        names=VERSION_NAMES,
        scope=scope(records),
        few_starts=any(each["fewest_starts"] < each["required_starts"] for each in comparisons if each["comparisons"]),
        margin=f"{100 * EQUIVALENCE_MARGIN:g}",
    )
    files: dict[str, bytes | Picture] = {f"versions{suffix}.md": page, **figures}
    if delay_page is not None:
        files[delay_page] = render(
            "delay.md.j2", package="bench.versions", suffix=suffix, delays=delays, names=VERSION_NAMES
        )
    return files


def versions_text(series: Sequence[Series]) -> str:
    """The tables for a terminal: one for each model and one for speed, narrow enough for most terminals."""
    parts = []
    for each in series:
        table = versions_table(each)
        names = [name for name in table.columns if name in ("TensorFlow", "Keras")]
        for model in models_of(each):
            columns = [name for name in table.columns if name.startswith((f"{model} ", f"{model}:"))]
            parts.append(f"{each.title}\n\n{narrow_table(table[[*names, *columns]])}")
        parts.append(f"{each.title}\n\n{narrow_table(table[[*names, 'slower', 'faster']])}")
    return "\n\n".join(parts)


def versions_data(series: Sequence[Series]) -> list[dict[str, Any]]:
    """One dict per row with unrounded values, for JSON."""
    return [_row_data(each, version) for each in series for version in each.rows.values()]


def _row_data(series: Series, version: ComparedVersion) -> dict[str, Any]:
    record, changes = version.record, changes_of(version)
    return {
        "series": series.title,
        "version": record.name,
        "compared_with": version.compared_with,
        "other_machine": version.other_machine,
        **{name: getattr(record.environment, name) for name in LIBRARIES},
        "models": {
            results.model: _model_data(results, version.accuracy.get(results.model)) for results in record.trained
        },
        "speed_not_compared": version.speed if isinstance(version.speed, str) else None,
        "speed": {
            operation: {
                "seconds": seconds,
                "change": asdict(changes[operation]) if operation in changes else None,
            }
            for operation, seconds in median_seconds(record).items()
        },
    }


def _model_data(results: ModelResults, change: AccuracyChange | str | None) -> dict[str, Any]:
    correctness = Correctness(correct=results.bits)
    limits = interval(correctness)
    return {
        "test_accuracy": float(correctness.correct.mean()),
        "interval": None if limits is None else asdict(limits),
        "verdict": change.verdict if isinstance(change, AccuracyChange) else None,
        "not_compared": change if isinstance(change, str) else None,
        "change": asdict(change) if isinstance(change, AccuracyChange) else None,
    }
