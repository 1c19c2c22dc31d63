"""<dataset>/README.md: every table of a dataset with its models compared in detail."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bench.evaluation.error_analysis import SharedError
from bench.records.spec import SearchSpec
from bench.report.board import Board, Row, Table
from bench.report.evaluations import count_text
from bench.report.figures import images
from bench.report.figures import table as figures
from bench.report.figures.picture import Picture
from bench.report.figures.styles import styles
from bench.report.markdown import render
from bench.report.page import Files
from bench.report.pages.sections import TableSection, table_section
from bench.report.tables.costs import costs_table, pareto_fronts
from bench.report.tables.details import different_details, shared_details
from bench.report.tables.errors import (
    class_f1_table,
    confused_classes_table,
    error_changes_table,
    error_comparison,
    shared_misclassifications,
    shared_misclassifications_table,
)
from bench.report.tables.scores import calibration_table, metrics_table, metrics_text
from bench.report.tables.search import crossover_sentences, search_progress, selection_table
from bench.report.text.glossary import glossary

SHOWN_SHARED_ERRORS = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class DatasetSection:
    """What the template shows of one table; empty frames and lists are left out."""

    scores: TableSection
    only_top: bool  # whether there are more rows than are shown in full
    selection: pd.DataFrame
    crossovers: list[str]
    f1: pd.DataFrame
    confused: pd.DataFrame
    fixed: pd.DataFrame
    fixed_title: str
    shared_errors: pd.DataFrame
    n_shared_errors: int
    calibration: pd.DataFrame
    metrics: pd.DataFrame
    metrics_text: str
    costs: pd.DataFrame
    shared_details: pd.DataFrame
    different_details: pd.DataFrame
    pictures: Mapping[str, Picture]  # by file name


class DatasetPages:
    """A page for each dataset."""

    name = "datasets"

    def files(self, board: Board) -> Files:
        """<dataset>/README.md and its pictures."""
        looks = styles(board)
        files: dict[str, bytes | Picture] = {}
        for name, tables in groupby(board.tables, key=lambda table: table.dataset.name):
            sections = [dataset_section(table, looks) for table in tables]
            files[f"{name}/README.md"] = _page(board, name, sections)
            for section in sections:
                files |= {f"{name}/figures/{file}": picture for file, picture in section.pictures.items()}
        return files


def _page(board: Board, name: str, sections: Sequence[DatasetSection]) -> bytes:
    rows = [row for section in sections for row in section.scores.table.everything]
    specs = [row.run.record.spec for row in rows]
    return render(
        "dataset.md.j2",
        dataset=name,
        title=sections[0].scores.table.dataset.title,
        sections=sections,
        evaluations=count_text(board.results, name),
        reduced_precision=any(isinstance(spec, SearchSpec) and spec.precision != "float32" for spec in specs),
        glossary=glossary(rows[0].run.metrics),
    )


def dataset_section(table: Table, looks: figures.Styles) -> DatasetSection:
    """The contents of one table's part of the page."""
    shared = shared_misclassifications(table)
    compared = error_comparison(table)
    return DatasetSection(
        scores=table_section(table),
        only_top=len(table.compared) > len(table.top),
        selection=selection_table(table.top),
        crossovers=crossover_sentences(table.top),
        f1=class_f1_table(table),
        confused=confused_classes_table(table),
        fixed=pd.DataFrame() if compared is None else error_changes_table(*compared),
        fixed_title="" if compared is None else f"Errors of {compared[0].label} fixed by {compared[1].label}",
        shared_errors=shared_misclassifications_table(table, shared[:SHOWN_SHARED_ERRORS]),
        n_shared_errors=len(shared),
        calibration=calibration_table(table.top),
        metrics=metrics_table(table.top),
        metrics_text=metrics_text(table.top),
        costs=costs_table(table),
        shared_details=shared_details(table),
        different_details=different_details(table),
        pictures=_pictures(table, looks, shared[:SHOWN_SHARED_ERRORS]),
    )


def _pictures(table: Table, looks: figures.Styles, shared: Sequence[SharedError]) -> dict[str, Picture]:
    rows, one_machine = _drawn(table), len(table.machines) == 1
    searches = [progress for row in rows if (progress := search_progress(row)) is not None]
    stored = _stored_images(table)
    shown = [error for error in shared if error.index in stored]
    pictures = {
        "accuracy": figures.accuracies(rows, looks),
        "reliability": figures.reliability(_contrasted(table), looks),
    }
    if searches:
        pictures["search"] = figures.search_progress(searches, looks, with_times=one_machine)
    if len(rows) > 1:
        pictures["costs"] = figures.costs(rows, looks, pareto_fronts(rows, with_times=one_machine))
    if shown:
        names = table.dataset.class_names
        pictures["misclassified"] = images.misclassified_by_all(shown, [stored[error.index] for error in shown], names)
    return {f"table-{table.number}-{kind}.png": picture for kind, picture in pictures.items()}


def _drawn(table: Table) -> list[Row]:
    """The best rows, without those of less than half the best accuracy, which would squeeze the others together."""
    best = max(row.test_accuracy for row in table.top)
    return [row for row in table.top if row.test_accuracy > best / 2]


def _contrasted(table: Table) -> list[Row]:
    """The best tuned models and the best reference model: more curves would be indistinguishable."""
    return [row for row in table.top if row in table.rows] + list(table.references[:1])


def _stored_images(table: Table) -> dict[int, NDArray[np.uint8]]:
    """Test images that the records keep, by index: those that a model of the table misclassifies."""
    return {
        error.index: image
        for row in table.top
        for error, image in zip(row.run.scores.misclassifications, row.run.wrong_images, strict=False)
    }
