"""<dataset>/README.md: every table of a dataset with its models compared in detail."""

from collections.abc import Sequence
from itertools import groupby
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bench.evaluation.error_analysis import SharedError
from bench.records.spec import SearchSpec
from bench.report.board import Board, Table
from bench.report.evaluations import count_text
from bench.report.figures import images
from bench.report.figures import table as figures
from bench.report.figures.picture import Picture
from bench.report.markdown import render
from bench.report.pages.contract import Files
from bench.report.pages.leaderboard import table_section
from bench.report.tables import costs, details, errors, scores
from bench.report.tables import search as searches
from bench.report.text.glossary import glossary
from bench.report.text.objective import score_name

SHOWN_SHARED_ERRORS = 20


name = "datasets"


def files(board: Board) -> Files:
    """<dataset>/README.md and its pictures."""
    looks = figures.styles(board)
    made: dict[str, bytes | Picture] = {}
    for dataset, tables in groupby(board.tables, key=lambda table: table.dataset.name):
        sections = [dataset_section(table, looks) for table in tables]
        made[f"{dataset}/README.md"] = _page(board, dataset, sections)
        for section in sections:
            start = f"{dataset}/figures/table-{section['scores']['table'].number}"
            made |= {f"{start}-{kind}.png": picture for kind, picture in section["pictures"].items()}
    return made


def _page(board: Board, dataset: str, sections: Sequence[dict[str, Any]]) -> bytes:
    tables = [section["scores"]["table"] for section in sections]
    rows = [row for table in tables for row in table.everything]
    specs = [row.run.record.spec for row in rows]
    outcomes = [row.run.record.search for row in rows]
    return render(
        "dataset.md.j2",
        dataset=dataset,
        title=tables[0].dataset.title,
        sections=sections,
        evaluations=count_text(board.results, dataset),
        own_recipes=any(search is not None and search.own_recipe is not None for search in outcomes),
        reduced_precision=any(isinstance(spec, SearchSpec) and spec.precision != "float32" for spec in specs),
        glossary=glossary(rows[0].run.metrics),
    )


def dataset_section(table: Table, looks: figures.Styles) -> dict[str, Any]:
    """What the template shows of one table; empty frames and lists are left out."""
    shared = errors.shared_misclassifications(table)
    shown = shared[:SHOWN_SHARED_ERRORS]
    compared = errors.error_comparison(table)
    return {
        "scores": table_section(table),
        "only_top": len(table.compared) > len(table.top),
        "selection": searches.selection_table(table.top),
        "crossovers": searches.crossover_sentences(table.top),
        "f1": errors.class_f1_table(table),
        "confused": errors.confused_classes_table(table),
        "fixed": pd.DataFrame() if compared is None else errors.error_changes_table(*compared),
        "fixed_models": () if compared is None else tuple(row.label for row in compared),
        "shared_errors": errors.shared_misclassifications_table(table, shown),
        "n_shared_errors": len(shared),
        "calibration": scores.calibration_table(table.top),
        "metrics": scores.metrics_table(table.top),
        "metrics_text": scores.metrics_text(table.top),
        "costs": costs.costs_table(table),
        "shared_details": details.shared_details(table),
        "different_details": details.different_details(table),
        "pictures": _pictures(table, looks, shown),
    }


def _pictures(table: Table, looks: figures.Styles, shared: Sequence[SharedError]) -> dict[str, Picture]:
    """The figures of one table by kind."""
    # Rows of less than half the best accuracy would squeeze the others together.
    rows = [row for row in table.top if row.test_accuracy > max(each.test_accuracy for each in table.top) / 2]
    one_machine = len(table.machines) == 1
    progress = [each for row in rows if (each := searches.search_progress(row)) is not None]
    stored = _stored_images(table)
    shown = [error for error in shared if error.index in stored]
    # More curves than those of the best tuned models and the best reference model would be indistinguishable.
    contrasted = [*(row for row in table.top if row in table.rows), *table.references[:1]]
    pictures = {"accuracy": figures.accuracies(rows, looks), "reliability": figures.reliability(contrasted, looks)}
    if progress:
        score = score_name(table.rows[0].run.record.spec)
        pictures["search"] = figures.search_progress(progress, looks, with_times=one_machine, score=score)
    if len(rows) > 1:
        pictures["costs"] = figures.costs(rows, looks, costs.pareto_fronts(rows, with_times=one_machine))
    if shown:
        names = table.dataset.class_names
        pictures["misclassified"] = images.misclassified_by_all(shown, [stored[error.index] for error in shown], names)
    return pictures


def _stored_images(table: Table) -> dict[int, NDArray[np.uint8]]:
    """Test images that the records keep, by index: those that a model of the table misclassifies."""
    return {
        error.index: image
        for row in table.top
        for error, image in zip(row.run.scores.misclassifications, row.run.wrong_images, strict=False)
    }
