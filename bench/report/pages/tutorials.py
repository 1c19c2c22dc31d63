"""tutorials.md: published tutorials, their published and their measured accuracy."""

from collections.abc import Sequence
from statistics import fmean

import pandas as pd

from bench.evaluation.comparison import prediction_interval
from bench.evaluation.metric import LOG_LOSS, TRAIN_TEST_GAP
from bench.machine import machine_names
from bench.records.record import PublishedAccuracy
from bench.report.board import Board, Row, Table
from bench.report.markdown import Markdown, inline, link, render
from bench.report.pages.contract import Files
from bench.report.tables.leaderboard import section_link
from bench.report.text.numbers import accuracy_cell, percent, points, range_text, seconds
from bench.report.text.tutorial_titles import TutorialTitle, published_accuracy, tutorial_title

name = "tutorials"


def files(board: Board) -> Files:
    """tutorials.md, if a tutorial was trained."""
    sections = []
    for title, placed in _tutorials(board).items():
        rows = [row for _, row in placed]
        sections.append(
            {
                "title": title,
                "titles": titles_table(placed),
                "measured": tutorials_table(rows),
                "recipes": recipes_table(rows),
                "machines": _machines(rows),
            }
        )
    return {"tutorials.md": render("tutorials.md.j2", sections=sections)} if sections else {}


def _tutorials(board: Board) -> dict[str, list[tuple[Table, Row]]]:
    """The tutorials that were trained and the first table that has them, by the title of their dataset."""
    placed: dict[str, tuple[Table, Row]] = {}
    for table in board.tables:
        for row in table.references:
            if row.run.record.reference is not None and row.run.record.reference.group == "tutorial":
                placed.setdefault(row.run.record.run_id, (table, row))
    tutorials: dict[str, list[tuple[Table, Row]]] = {}
    for table, row in sorted(placed.values(), key=lambda pair: pair[1].label):
        tutorials.setdefault(table.dataset.title, []).append((table, row))
    return tutorials


def titles_table(placed: Sequence[tuple[Table, Row]]) -> pd.DataFrame:
    """What readers recognize a tutorial by, its accuracy, and the tuned model that it is compared with."""
    return pd.DataFrame(
        {
            "tutorial": _title_text(kind := tutorial_title(row.run.record.spec.model), row),
            "published": "none" if (published := published_accuracy(row.run.record)) is None else published.text,
            "better tuned model": _better_text(table, row),
            "measured (%)": percent(row.test_accuracy),
            "layers and training": _layers_text(kind),
        }
        for table, row in placed
    )


def _title_text(kind: TutorialTitle, row: Row) -> Markdown:
    """What readers recognize a tutorial by, and its name, with a link to its page."""
    return Markdown(f"{inline(kind.title)} ({link(row.label, section_link(row, _folder(row)))})")


def _better_text(table: Table, row: Row) -> str | Markdown:
    """The tuned model with the best validation accuracy, its gain over a tutorial and its code, if it is better."""
    test, tuned = row.versus_best, table.selected_row
    if test is None or test.difference is None or tuned is None:
        return "-"
    name, gain = link(tuned.label, section_link(tuned, _folder(tuned))), f"{points(-test.difference.mean)} pp"
    if test.verdict != "worse":
        verdict = "worse than this" if test.verdict == "better" else test.verdict
        return Markdown(f"none: {name} is {verdict} ({gain})")
    better = f"{name}: {percent(tuned.test_accuracy)}% ({gain})"
    code = link("code", section_link(tuned, _folder(tuned), code=True))
    return Markdown(better if tuned.run.plain is None else f"{better}, {code}")


def _layers_text(title: TutorialTitle) -> str | Markdown:
    """Layers and training, and a text that has both."""
    return (
        title.layers if title.source is None else Markdown(f"{inline(title.layers)}. Source: {title.source.citation}")
    )


def _folder(row: Row) -> str:
    return f"{row.run.record.dataset.name}/"


def tutorials_table(rows: Sequence[Row]) -> pd.DataFrame:
    """Published and measured accuracy; training times only if all are from one machine."""
    one_machine = len(_machines(rows)) == 1
    return pd.DataFrame(
        {
            "model": row.label,
            **_compared(published_accuracy(row.run.record), prediction_interval(row.run.scores.correct.mean(axis=1))),
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
    """Names of the machines that trained these rows."""
    return list(machine_names(row.run.record.environment for row in rows).values())


def _compared(published: PublishedAccuracy | None, limits: tuple[float, float] | None) -> dict[str, str]:
    """The columns that compare a published value with the prediction interval of one training run."""
    value, stands_for, agreement = "not published", "-", "-"
    if published is not None:
        value, stands_for = published.text, _range_cell(published.low, published.high)
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


def _range_cell(low: float, high: float) -> str:
    """What a published value stands for."""
    if high - low < 0.0002:  # published with two decimals
        return percent((low + high) / 2)
    return f"above {percent(low)}" if high == 1 else range_text(low, high)
