"""<dataset>/README.md: every table of a dataset with its models compared in detail."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import groupby
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bench.evaluation.error_analysis import SharedError
from bench.evaluation.text import percent
from bench.records.spec import SearchSpec
from bench.report.board import MAX_TIME_RATIO, Board, Table, score_names
from bench.report.evaluations import evaluations_text
from bench.report.figures import images
from bench.report.figures import table as figures
from bench.report.figures.class_f1 import class_f1_map
from bench.report.figures.picture import Picture, with_titles
from bench.report.markdown import link, render
from bench.report.pages.contract import Files
from bench.report.pages.leaderboard import ranking
from bench.report.tables import costs, details, errors, scores
from bench.report.tables import search as searches
from bench.report.tables.hyperparameters import winners_at_bounds
from bench.report.tables.leaderboard import forest_rows, left_out_sentence, only_top_sentence, plotted
from bench.report.text.glossary import glossary
from bench.report.text.human import human_accuracy
from bench.report.text.label_smoothing import calibration_sentence
from bench.report.text.statements import family_sentences, identical_sentences, pair_sentences, summary

SHOWN_SHARED_ERRORS = 20
TITLES = {  # of plots
    "accuracy": "Test accuracy",
    "search": "Progress of each search",
    "f1": "F1 by class",
    "reliability": "Accuracy by confidence",
    "costs": "Test accuracy by cost",
    "misclassified": "Images that every network misclassifies",
}

name = "datasets"


def files(board: Board) -> Files:
    """<dataset>/README.md and its pictures."""
    looks = figures.styles(board)
    made: dict[str, bytes | Picture] = {}
    for dataset, tables in groupby(board.tables, key=lambda table: table.dataset.name):
        first, *others = tables
        shown = [first, *(_without_repeats(table, first) for table in others)]
        sections = [dataset_section(table, looks) for table in shown]
        made[f"{dataset}/README.md"] = _page(board, shown, sections)
        for table, section in zip(shown, sections, strict=True):
            start = f"{dataset}/figures/table-{table.number}"
            made |= {f"{start}-{kind}.png": picture for kind, picture in section["pictures"].items()}
    return made


def _without_repeats(table: Table, first: Table) -> Table:
    """A later table without the reference models of the first one, except the best, and without reproductions there."""
    repeated = {row.record.run_id for row in (*first.references, *first.reproductions)}
    kept = (row for place, row in enumerate(table.references) if not place or row.record.run_id not in repeated)
    reproductions = (row for row in table.reproductions if row.record.run_id not in repeated)
    return replace(table, references=tuple(kept), reproductions=tuple(reproductions))


def _page(board: Board, tables: Sequence[Table], sections: Sequence[dict[str, Any]]) -> bytes:
    rows = [row for table in tables for row in table.everything]
    specs = [row.record.spec for row in rows]
    outcomes = [row.record.search for row in rows]
    return render(
        "dataset.md.j2",
        title=tables[0].dataset.title,
        score=score_names(tables),
        model_pages=dict.fromkeys(link(row.record.spec.model, row.page_name) for row in rows),
        sections=sections,
        evaluations=evaluations_text(board.results, tables),
        own_recipes=any(search is not None and search.own_recipe is not None for search in outcomes),
        reduced_precision=any(isinstance(spec, SearchSpec) and spec.precision != "float32" for spec in specs),
        min_predictions=figures.MIN_PREDICTIONS,
        max_time_ratio=MAX_TIME_RATIO,
        same_time=percent(costs.SAME_TIME, 0),
        glossary=glossary(rows[0].run.metrics),
    )


def table_section(table: Table) -> dict[str, Any]:
    """What `_table.md.j2` shows; empty frames and lists are left out."""
    return {
        **ranking(table, from_top=False),
        "uncertainty": scores.uncertainty_table(table),
        "pair_tests": pair_sentences(table),
        "families": scores.families_table(table),
        "family_tests": family_sentences(table),
        "identical": identical_sentences(table),
        "reproductions": scores.reproductions_table(table),
    }


def dataset_section(table: Table, looks: figures.Styles) -> dict[str, Any]:
    """What the template shows of one table; empty frames and lists are left out."""
    shared = errors.shared_misclassifications(table)
    shown = shared[:SHOWN_SHARED_ERRORS]
    compared = errors.error_comparison(table)
    return {
        "scores": table_section(table),
        "summary": summary(table),
        "left_out": left_out_sentence(table),
        "only_top": only_top_sentence(table),
        "selection": searches.selection_table(table.top),
        "at_bounds": winners_at_bounds([search for row in table.rows if (search := row.record.search) is not None]),
        "crossovers": searches.crossover_sentences(table.top),
        "confused": errors.confused_classes_table(table),
        "fixed": pd.DataFrame() if compared is None else errors.error_changes_table(*compared),
        "fixed_models": () if compared is None else tuple(row.label for row in compared),
        "shared_errors": errors.shared_misclassifications_table(table, shown),
        "n_shared_errors": len(shared),
        "calibration": scores.calibration_table(table.top),
        "label_smoothing": calibration_sentence(table.top),
        "metrics": scores.metrics_table(table.top),
        "metrics_text": scores.metrics_text(table.top),
        "costs": costs.costs_table(table),
        "timed": costs.timed_sentence(table),
        "prediction_note": costs.prediction_note(table.compared),
        "shared_details": details.shared_details(table),
        "different_details": details.different_details(table),
        "pictures": _pictures(table, looks, shown),
    }


def _pictures(table: Table, looks: figures.Styles, shared: Sequence[SharedError]) -> dict[str, Picture]:
    """The figures of one table by kind."""
    rows, compared = plotted(table.top), forest_rows(table)
    one_machine = len(table.machines) == 1
    progress = [each for row in rows if (each := searches.search_progress(row)) is not None]
    stored = _stored_images(table)
    shown = [error for error in shared if error.index in stored]
    # More curves than those of the best tuned models and the best reference model would be indistinguishable.
    contrasted = [*(row for row in table.top if row in table.rows), *table.references[:1]]
    human = human_accuracy(table.dataset.name)
    forest = figures.accuracies(compared, looks, None if human is None else human.accuracy)
    pictures = {"accuracy": forest, "reliability": figures.reliability(contrasted, looks)}
    if progress:
        pictures["search"] = figures.search_progress(progress, looks, with_times=one_machine, score=table.score)
    if len(compared) > 2:
        pictures["costs"] = figures.costs(compared, looks, costs.comparable_costs(table), costs.pareto_fronts(table))
    pictures["f1"] = class_f1_map(errors.class_f1(rows))
    if shown:
        names = table.dataset.class_names
        pictures["misclassified"] = images.misclassified_by_all(shown, [stored[error.index] for error in shown], names)
    where = f"{table.dataset.title}, {table.conditions['budget'].partition(',')[0]}"
    return with_titles(pictures, {kind: f"{title}: {where}" for kind, title in TITLES.items()})


def _stored_images(table: Table) -> dict[int, NDArray[np.uint8]]:
    """Test images that the records keep, by index: those that a model of the table misclassifies."""
    return {
        error.index: image
        for row in table.top
        for error, image in zip(row.run.scores.misclassifications, row.run.wrong_images, strict=False)
    }
