"""A dataset's page: every table of it with all that can be said of the models side by side."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bench.evaluation.error_analysis import SharedError, error_changes, shared_errors
from bench.report import image_figures
from bench.report import table_figures as figures
from bench.report.figures import Picture
from bench.report.leaderboard import Row, Table
from bench.report.runs import Run
from bench.report.selection import course, crossings, selection_table
from bench.report.summary import summary
from bench.report.tables import (
    class_f1_table,
    confused_table,
    costs_table,
    families_table,
    fronts,
    measured_alike,
    measured_differently,
    percent,
    references_table,
    scores_table,
)
from bench.report.verdicts import family_sentences, sentences

SHOWN_MISSED = 20
SHOWN_MENDED = 8
MEASURES = ("test accuracy", "macro F1", "log loss", "worst class")


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """What the template shows of one table; empty frames and lists are left out."""

    table: Table
    summary: tuple[str, str, str]
    cut: bool  # whether only the best rows are shown in full
    scores: pd.DataFrame
    verdicts: list[str]
    families: pd.DataFrame
    family_verdicts: list[str]
    references: pd.DataFrame
    selection: pd.DataFrame
    crossings: list[str]
    f1: pd.DataFrame
    confused: pd.DataFrame
    mended: pd.DataFrame
    mended_title: str
    missed: pd.DataFrame
    missed_count: int
    calibration: pd.DataFrame
    measures: pd.DataFrame
    measures_text: str
    costs: pd.DataFrame
    alike: pd.DataFrame
    differently: pd.DataFrame
    pictures: Mapping[str, Picture]  # by the name of their file


def section(table: Table, styles: figures.Styles) -> Section:
    """The contents of one table's part of the page."""
    missed = _missed(table)
    worse, better = _compared(table)
    return Section(
        table=table,
        summary=summary(table),
        cut=len(table.everything) > len(table.best),
        scores=scores_table(table) if table.rows else pd.DataFrame(),
        verdicts=sentences(table),
        families=families_table(table),
        family_verdicts=family_sentences(table),
        references=references_table(table) if table.references else pd.DataFrame(),
        selection=selection_table(table.best),
        crossings=crossings(table.best),
        f1=class_f1_table(table),
        confused=confused_table(table),
        mended=_mended_table(table, worse, better),
        mended_title="" if worse is None or better is None else f"{better.label} mends of {worse.label}",
        missed=_missed_table(table, missed[:SHOWN_MISSED]),
        missed_count=len(missed),
        calibration=calibration_table(table.best),
        measures=measures_table(table.best),
        measures_text=measures_text(table.best),
        costs=costs_table(table),
        alike=measured_alike(table),
        differently=measured_differently(table),
        pictures=_pictures(table, styles, missed[:SHOWN_MISSED]),
    )


def _pictures(table: Table, styles: figures.Styles, missed: Sequence[SharedError]) -> dict[str, Picture]:
    rows, one_machine = _drawn(table), len(table.machines) == 1
    courses = [one for row in rows if (one := course(row)) is not None and one.best]
    images = _images(table)
    shown = [one for one in missed if one.index in images]
    found = {
        "accuracy": figures.accuracies(rows, styles),
        "reliability": figures.reliability(_contrasted(table), styles),
    }
    if courses:
        found["search"] = figures.courses(courses, styles, with_seconds=one_machine)
    if len(rows) > 1:
        found["costs"] = figures.costs(rows, styles, fronts(rows, with_seconds=one_machine))
    if shown:
        found["missed"] = image_figures.missed(shown, [images[one.index] for one in shown], table.dataset.class_names)
    return {f"table-{table.number}-{kind}.png": picture for kind, picture in found.items()}


def _drawn(table: Table) -> list[Row]:
    """The best rows, without those that are right at less than half as many images as the first one."""
    best = max(row.test_accuracy for row in table.best)
    return [row for row in table.best if row.test_accuracy > best / 2]


def _contrasted(table: Table) -> list[Row]:
    """The best searched rows, and of the references the best one: more curves could not be told apart."""
    return [row for row in table.best if row in table.rows] + list(table.references[:1])


def _images(table: Table) -> dict[int, NDArray[np.uint8]]:
    """Test images that records keep, by index: those that a model of the table got wrong."""
    return {
        mistake.index: image
        for row in table.best
        for mistake, image in zip(row.run.scores.misclassifications, row.run.wrong_images, strict=False)
    }


def _missed(table: Table) -> tuple[SharedError, ...]:
    """By the models that are networks; the floor is there to be bettered."""
    models = _networks(table)
    if not models:
        return ()
    found = shared_errors([run.scores.predicted for run in models], models[0].labels)
    confidence = _confidences(table)
    return tuple(sorted(found, key=lambda one: (-one.agreement, -confidence.get(one.index, 0.0), one.index)))


def _networks(table: Table) -> list[Run]:
    runs = [row.run for row in table.best]
    return [run for run in runs if run.record.reference is None or run.record.reference.is_network]


def _confidences(table: Table) -> dict[int, float]:
    """Of wrong answers, by test image, the mean over the networks whose record keeps it: the most confident ones do."""
    found: dict[int, list[float]] = {}
    for run in _networks(table):
        for mistake in run.scores.misclassifications:
            found.setdefault(mistake.index, []).append(mistake.probability)
    # Rounded, so that the last bit, which depends on the machine, changes no order.
    return {index: round(sum(probabilities) / len(probabilities), 2) for index, probabilities in found.items()}


def _missed_table(table: Table, missed: Sequence[SharedError]) -> pd.DataFrame:
    names, confidence = table.dataset.class_names, _confidences(table)
    return pd.DataFrame(
        {
            "test image": str(one.index),
            "label": names[one.true],
            "usual answer": names[one.most_common_prediction],
            "trainings that agree, %": f"{100 * one.agreement:.0f}",
            "mean confidence, %": f"{100 * confidence[one.index]:.0f}" if one.index in confidence else "-",
        }
        for one in missed
    )


def _compared(table: Table) -> tuple[Row | None, Row | None]:
    """The second best and the best searched model; where there is one only, the best reference and it."""
    if len(table.rows) > 1:
        return table.rows[1], table.rows[0]
    if table.rows and table.references:
        return table.references[0], table.rows[0]
    return None, None


def _mended_table(table: Table, worse: Row | None, better: Row | None) -> pd.DataFrame:
    if worse is None or better is None:
        return pd.DataFrame()
    names = table.dataset.class_names
    found = error_changes(worse.run.scores.predicted, better.run.scores.predicted, worse.run.labels)
    return pd.DataFrame(
        {
            "mistake": f"{names[one.true]} taken for {names[one.predicted]}",
            "mended": str(one.fixed),
            "new": str(one.regressed),
            "fewer mistakes": f"{one.net_fixed:+d}",
        }
        for one in found[:SHOWN_MENDED]
        if one.net_fixed > 0
    )


def calibration_table(rows: Sequence[Row]) -> pd.DataFrame:
    """How sure each model is when it is right and when it is wrong, and how far that may be believed."""
    return pd.DataFrame(
        {
            "model": row.label,
            "calibration error, points": percent(row.run.scores.calibration.expected_calibration_error),
            "Brier score": f"{row.run.scores.calibration.brier_score:.4f}",
            "confidence when right, %": _confidence(row.run.scores.calibration.mean_confidence_correct),
            "confidence when wrong, %": _confidence(row.run.scores.calibration.mean_confidence_incorrect),
        }
        for row in rows
    )


def _confidence(mean: float | None) -> str:
    return "-" if mean is None else f"{100 * mean:.1f}"


def _measures(row: Row) -> tuple[float, float, float, float]:
    """Accuracy, macro F1, log loss, recall of the worst class."""
    scores, classes = row.run.scores, len(row.run.record.dataset.class_names)
    return row.test_accuracy, scores.macro_f1, scores.log_loss, float(scores.by_class.recall[:classes].min())


def _places(rows: Sequence[Row]) -> list[list[int]]:
    """The place of each row by each measure, from 1; equals share the better place."""
    values = np.array([_measures(row) for row in rows]) * [1, 1, -1, 1]  # the smaller the log loss, the better
    return [[int(1 + (values[:, column] > value).sum()) for column, value in enumerate(row)] for row in values]


def measures_table(rows: Sequence[Row]) -> pd.DataFrame:
    """Each measure with the place that it gives; no test stands behind these places."""
    return pd.DataFrame(
        {"model": row.label}
        | {name: f"{value:.4f} ({place})" for name, value, place in zip(MEASURES, _measures(row), places, strict=True)}
        for row, places in zip(rows, _places(rows), strict=True)
    )


def measures_text(rows: Sequence[Row]) -> str:
    """Whether another measure would give another order, in a sentence."""
    places = _places(rows)
    others = [name for column, name in enumerate(MEASURES) if any(row[column] != row[0] for row in places)]
    if len(rows) == 1:
        return ""
    if not others:
        return "Every measure puts the models in the same order."
    return f"By {' and '.join(others)} the order is another than by test accuracy."
