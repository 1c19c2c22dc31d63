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
from bench.report.text.label_smoothing import calibration_sentence
from bench.report.text.numbers import accuracy_cell, percent, points, range_text, seconds
from bench.report.text.tutorial_titles import TutorialTitle, published_accuracy, tutorial_title

STATED = "result stated by the tutorial"
MAX_TESTED_WIDTH = 0.02  # of the range that a stated accuracy stands for; a wider one overlaps almost any interval

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
                "longer_searches": longer_search_sentences(board, placed[0][0]),
                "label_smoothing": _label_smoothing(placed),
                "measured": tutorials_table(rows),
                "recipes": recipes_table(rows),
                "machines": _machines(rows),
            }
        )
    return (
        {"tutorials.md": render("tutorials.md.j2", sections=sections, max_width=MAX_TESTED_WIDTH)} if sections else {}
    )


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
            "layers and training": _layers_text(kind),
            STATED: "none" if (published := published_accuracy(row.run.record)) is None else published.text,
            "more accurate tuned model": _better_text(table, row),
            "measured (%)": percent(row.test_accuracy),
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
    parts = [f"{name}: {percent(tuned.test_accuracy)}% ({gain})"]
    if tuned.run.plain is not None:
        parts.append(str(link("code", section_link(tuned, _folder(tuned), code=True))))
    losses = [each.run.metrics[LOG_LOSS] for each in (tuned, row)]
    if losses[0] > losses[1]:
        parts.append(f"but a higher log loss ({' instead of '.join(map(LOG_LOSS.text, losses))})")
    return Markdown(", ".join(parts))


def _label_smoothing(placed: Sequence[tuple[Table, Row]]) -> str:
    """Why the tuned model has a higher log loss than a less accurate tutorial, if label smoothing is the reason."""
    tuned = placed[0][0].selected_row
    return "" if tuned is None else calibration_sentence([tuned, *(row for _, row in placed)])


def longer_search_sentences(board: Board, table: Table) -> list[str | Markdown]:
    """The tuned models of other tables of the dataset that are more accurate than the one in a table."""
    tuned = table.selected_row
    others = [
        (other.conditions["budget"], row)
        for other in board.tables
        if other.dataset == table.dataset and tuned is not None
        if (row := other.selected_row) is not None and row.test_accuracy > tuned.test_accuracy
    ]
    return [
        Markdown(
            f"A search with another budget ({inline(budget)}) reached {percent(row.test_accuracy)}%: "
            f"{link(row.label, section_link(row, _folder(row)))}."
        )
        for budget, row in others
    ]


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
    value, stands_for, agreement = "none", "-", "-"
    if published is not None:
        value, stands_for = published.text, _range_cell(published.low, published.high)
        if limits is not None:
            low, high = limits
            is_wide = round(published.high - published.low, 6) > MAX_TESTED_WIDTH
            overlap = "too wide to test" if is_wide else "consistent"
            agreement = "below" if published.high < low else "above" if published.low > high else overlap
    return {
        STATED: value,
        "stated accuracy (%)": stands_for,
        "95% prediction interval of one training run (%)": "unknown (1 seed)"
        if limits is None
        else range_text(*limits),
        "stated accuracy vs. interval": agreement,
    }


def _range_cell(low: float, high: float) -> str:
    """What a published value stands for."""
    if high - low < 0.0002:  # published with two decimals
        return percent((low + high) / 2)
    return f"above {percent(low)}" if high == 1 else range_text(low, high)
