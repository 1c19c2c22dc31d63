"""tutorials.md: published tutorials, their published and their measured accuracy."""

from collections.abc import Sequence
from statistics import fmean

import pandas as pd

from bench.evaluation.comparison import prediction_interval
from bench.evaluation.metric import LOG_LOSS, TRAIN_TEST_GAP
from bench.records.record import PublishedAccuracy
from bench.report.board import Board, Row
from bench.report.markdown import link, render
from bench.report.pages.contract import Files
from bench.report.tables.leaderboard import section_anchor
from bench.report.text.numbers import accuracy_cell, percent, points, range_text, seconds
from bench.report.text.tutorial_titles import tutorial_title

name = "tutorials"


def files(board: Board) -> Files:
    """tutorials.md, if a tutorial was trained."""
    sections = [
        {
            "title": title,
            "titles": titles_table(rows),
            "measured": tutorials_table(rows),
            "recipes": recipes_table(rows),
            "machines": _machines(rows),
        }
        for title, rows in _tutorials(board).items()
    ]
    return {"tutorials.md": render("tutorials.md.j2", sections=sections)} if sections else {}


def _tutorials(board: Board) -> dict[str, list[Row]]:
    """The tutorials that were trained, by the title of their dataset; each is in every table of its dataset."""
    # Compared with the tuned models of the first table.
    rows = {
        row.run.record.run_id: row
        for table in reversed(board.tables)
        for row in table.references
        if row.run.record.reference is not None and row.run.record.reference.group == "tutorial"
    }
    tutorials: dict[str, list[Row]] = {}
    for row in sorted(rows.values(), key=lambda row: row.label):
        tutorials.setdefault(row.run.record.dataset.title, []).append(row)
    return tutorials


def titles_table(rows: Sequence[Row]) -> pd.DataFrame:
    """What readers recognize a tutorial by, and the tuned model that it is compared with."""
    return pd.DataFrame(
        {
            "tutorial": (title := tutorial_title(row.run.record.spec.model)).title,
            "layers and training": title.layers,
            "published": "-" if (published := _published(row)) is None else published.text,
            "measured (%)": percent(row.test_accuracy),
            "tuned model": _tuned_text(row),
            "page and code": link(row.label, f"{row.page}{section_anchor(row)}"),
        }
        for row in rows
    )


def _tuned_text(row: Row) -> str:
    """The tuned model with the best validation accuracy, and its difference from the tutorial."""
    test = row.versus_best
    if test is None or test.difference is None:
        return "-"
    verdict = ", n.s." if test.verdict == "not significantly different" else ""
    return f"{test.b}: {points(-test.difference.mean)} pp{verdict}"


def tutorials_table(rows: Sequence[Row]) -> pd.DataFrame:
    """Published and measured accuracy; training times only if all are from one machine."""
    one_machine = len(_machines(rows)) == 1
    return pd.DataFrame(
        {
            "model": row.label,
            **_compared(_published(row), prediction_interval(row.run.scores.correct.mean(axis=1))),
            "measured test accuracy (%)": accuracy_cell(row.test_accuracy, row.run.interval),
            "seeds": str(len(row.run.record.refits)),
            **{metric.heading: metric.text(row.run.metrics[metric]) for metric in (TRAIN_TEST_GAP, LOG_LOSS)},
        }
        | ({"training time per refit (s)": seconds(row.run.training_seconds)} if one_machine else {})
        for row in rows
    )


def recipes_table(rows: Sequence[Row]) -> pd.DataFrame:
    """How each is trained, and its accuracy on the training images, which some tutorials publish."""
    return pd.DataFrame(
        {
            "model": row.label,
            "parameters": f"{row.run.costs['parameters']:,}",
            "training accuracy (%)": percent(fmean(refit.train_accuracy for refit in row.run.record.refits)),
            "recipe": row.run.record.reference.recipe if row.run.record.reference else "",
        }
        for row in rows
    )


def _machines(rows: Sequence[Row]) -> list[str]:
    """The CPUs these rows were trained on."""
    return sorted({row.run.record.environment.cpu for row in rows})


def _published(row: Row) -> PublishedAccuracy | None:
    reference = row.run.record.reference
    # The published values are for Fashion-MNIST.
    return reference.published if reference is not None and row.run.record.dataset.name == "fashion_mnist" else None


def _compared(published: PublishedAccuracy | None, limits: tuple[float, float] | None) -> dict[str, str]:
    """The columns that compare a published value with the prediction interval of one training run."""
    value, stands_for, agreement = "not published", "-", "-"
    if published is not None:
        exact = published.high - published.low < 0.0002  # published with two decimals
        middle = (published.low + published.high) / 2
        value, stands_for = published.text, percent(middle) if exact else range_text(published.low, published.high)
        if limits is not None:
            low, high = limits
            agreement = "below" if published.high < low else "above" if published.low > high else "consistent"
    return {
        "published": value,
        "published range (%)": stands_for,
        "95% prediction interval of one training run (%)": "unknown (1 seed)"
        if limits is None
        else range_text(*limits),
        "published value vs. interval": agreement,
    }
