"""tutorials.md: published tutorials, their published and their measured accuracy."""

from collections.abc import Sequence
from statistics import fmean
from typing import Any

import pandas as pd

from bench.evaluation.comparison import prediction_interval
from bench.evaluation.metric import CALIBRATION_ERROR, LOG_LOSS, TRAIN_TEST_GAP
from bench.evaluation.text import accuracy_cell, joined, percent, points, range_text, seconds, span_text
from bench.machine import machine_names
from bench.records.record import PublishedAccuracy
from bench.report.board import Board, Row, Table
from bench.report.markdown import Markdown, inline, link, render
from bench.report.pages.contract import Files
from bench.report.ranking import TEST_LABELS, selection_order
from bench.report.tables.leaderboard import section_link
from bench.report.text.label_smoothing import calibration_sentence
from bench.report.text.statements import identical_sentences
from bench.report.text.tutorial_titles import (
    TutorialTitle,
    own_result,
    published_accuracy,
    stated_result,
    tutorial_title,
)

STATED = "result stated by the tutorial"
MAX_TESTED_WIDTH = 0.02  # of the range that a stated accuracy stands for; a wider one overlaps almost any interval

name = "tutorials"


def files(board: Board) -> Files:
    """tutorials.md, if a tutorial was trained."""
    sections = [_section(board, table, rows) for table, rows in _tutorials(board)]
    if not sections:
        return {}
    return {"tutorials.md": render("tutorials.md.j2", sections=sections, max_width=MAX_TESTED_WIDTH)}


def _section(board: Board, table: Table, rows: Sequence[Row]) -> dict[str, Any]:
    """What the template shows of the tutorials in one table."""
    return {
        "title": table.dataset.title,
        "score": table.score,
        "titles": titles_table(table, rows),
        "notes": _notes(board, table, rows),
        "measured": tutorials_table(rows),
        "recipes": recipes_table(rows),
        "machines": _machines(rows),
    }


def _tutorials(board: Board) -> list[tuple[Table, list[Row]]]:
    """The first tables that have the tutorials that were trained, and these."""
    placed: list[tuple[Table, list[Row]]] = []
    known: set[str] = set()
    for table in board.tables:
        rows = [row for row in table.references if row.record.is_tutorial and row.record.run_id not in known]
        known |= {row.record.run_id for row in rows}
        if rows:
            placed.append((table, sorted(rows, key=_order)))
    return sorted(placed, key=lambda pair: _order(pair[1][0]))


def _order(row: Row) -> tuple[bool, str]:
    """Tutorials with a known source first."""
    return tutorial_title(row.record.spec.model).source is None, row.label


def titles_table(table: Table, rows: Sequence[Row]) -> pd.DataFrame:
    """What readers recognize a tutorial by, its accuracy, and the tuned model that it is compared with."""
    return pd.DataFrame(
        {
            "tutorial": _title_text(kind := tutorial_title(row.record.spec.model), row),
            "layers and training": f"{kind.layers}{f'; states {own}' if (own := own_result(row.record)) else ''}",
            "test accuracy (%)": percent(row.test_accuracy),
            "more accurate tuned model": _better_text(table, row),
        }
        for row in rows
    )


def _title_text(kind: TutorialTitle, row: Row) -> Markdown:
    """What readers recognize a tutorial by, linked to its source if that is known, and a link to its page."""
    source = kind.source
    title = inline(kind.title) if source is None else f"{link(kind.title, source.url)}, by {inline(source.author)}"
    return Markdown(f"{title} ({section_link(row, from_top=True)})")


def _better_text(table: Table, row: Row) -> str | Markdown:
    """The selected tuned model, its gain over a tutorial and its code, if it is better."""
    test, tuned = row.versus_best, table.selected_row
    if test is None or test.difference is None or tuned is None:
        return "-"
    name, gain = section_link(tuned, from_top=True), f"{points(-test.difference.mean)} pp"
    interval = f"95% CI {range_text(-test.difference.high, -test.difference.low)}"
    if test.verdict != "worse":
        verdict = "worse than this" if test.verdict == "better" else test.verdict
        return Markdown(f"none: {name} is {verdict} ({gain}, {interval})")
    parts = [f"{name}: {percent(tuned.test_accuracy)}%, {gain} ({interval})", *_code_link(tuned)]
    losses = [each.run.metrics[LOG_LOSS] for each in (tuned, row)]
    if losses[0] > losses[1]:
        parts.append(f"but a higher log loss ({' instead of '.join(map(LOG_LOSS.text, losses))})")
    return Markdown(", ".join(parts))


def _code_link(row: Row) -> list[str]:
    """A link to the plain Keras code, if there is any."""
    return [] if row.run.plain is None else [str(section_link(row, "code", code=True, from_top=True))]


def _notes(board: Board, table: Table, rows: Sequence[Row]) -> list[str | Markdown]:
    """What is to be known about the tuned model that the tutorials are compared with; none without one."""
    tuned = table.selected_row
    if tuned is None:
        return []
    calibration = calibration_sentence([tuned, *rows])
    if calibration:
        errors = span_text((row.run.metrics[CALIBRATION_ERROR] for row in rows), CALIBRATION_ERROR.text)
        own = CALIBRATION_ERROR.text(tuned.run.metrics[CALIBRATION_ERROR])
        calibration += f" Calibration error: {tuned.label} {own} pp, tutorials {errors} pp."
    notes: list[str | Markdown] = [
        _times_sentence(tuned, rows),
        *other_models(board, table, rows),
        *identical_sentences(table),
        _choice(table, tuned),
        calibration,
    ]
    return [note for note in notes if note]


def _times_sentence(tuned: Row, rows: Sequence[Row]) -> str:
    """How long the tuned model and the tutorials train; empty if they were trained on several machines."""
    if len(_machines([tuned, *rows])) > 1:
        return ""
    times = span_text((row.run.training_seconds for row in rows), seconds)
    return (
        f"One training takes {seconds(tuned.run.training_seconds)} s for {tuned.label}, {times} s for the tutorials, "
        f"on {_machines([tuned])[0]}."
    )


def _choice(table: Table, tuned: Row) -> str:
    """Why a tuned model with a higher test accuracy is not the one that is named; empty without one."""
    higher = [row for row in table.rows if row.test_accuracy > tuned.test_accuracy]
    if not higher:
        return ""
    verdicts = joined(sorted({row.versus_best.verdict for row in higher if row.versus_best is not None}))
    names = joined([row.label for row in higher])
    return (
        f"{tuned.label} is named although {names} {'has' if len(higher) == 1 else 'have'} a higher test accuracy "
        f"({verdicts}): it has the best {table.score}, and choosing by the test set would make the result look too "
        "good."
    )


def other_models(board: Board, table: Table, tutorials: Sequence[Row]) -> list[Markdown]:
    """The best model of other families in a table, and the tuned models of other tables that are more accurate."""
    tuned = table.selected_row
    if tuned is None:
        return []
    families = dict.fromkeys(row.record.spec.model for row in table.rows)
    best = [
        min((row for row in table.rows if row.record.spec.model == family), key=lambda row: selection_order(row.run))
        for family in families
        if family != tuned.record.spec.model
    ]
    more_accurate = [
        (other.differing_text, row)
        for other in board.tables
        if (other.dataset, other.conditions[TEST_LABELS]) == (table.dataset, table.conditions[TEST_LABELS])
        if (row := other.selected_row) is not None and row.test_accuracy > tuned.test_accuracy
    ]
    found = [(f"Of family {row.record.spec.model}, the best by {table.score} is", row) for row in best]
    found += [(f"A search under other conditions ({differing}) found", row) for differing, row in more_accurate]
    return [_other_model(text, row, tutorials) for text, row in found]


def _other_model(text: str, row: Row, tutorials: Sequence[Row]) -> Markdown:
    """A tuned model, its accuracy, gain over the tutorials, time if it is of the same machine, and code."""
    gain = span_text((row.test_accuracy - tutorial.test_accuracy for tutorial in tutorials), points)
    one_machine = len(_machines([row, *tutorials])) == 1
    parts = [
        f"{percent(row.test_accuracy)}%, {gain} pp compared with the tutorials",
        *([f"{seconds(row.run.training_seconds)} s per training"] if one_machine else []),
        *_code_link(row),
    ]
    return Markdown(f"{inline(text)} {section_link(row, from_top=True)}: {', '.join(parts)}.")


def tutorials_table(rows: Sequence[Row]) -> pd.DataFrame:
    """Published and measured accuracy; training times only if all are from one machine."""
    one_machine = len(_machines(rows)) == 1
    return pd.DataFrame(
        {
            "model": row.label,
            STATED: stated_result(row.record) or "none",
            **_compared(published_accuracy(row.record), prediction_interval(row.run.scores.accuracy_by_seed)),
            "measured test accuracy (%)": accuracy_cell(row.test_accuracy, row.run.interval),
            "seeds": str(len(row.record.refits)),
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
            "training accuracy (%)": percent(fmean(refit.train_accuracy for refit in row.record.refits)),
            "recipe": row.record.reference.recipe if row.record.reference else "",
        }
        for row in rows
    )


def _machines(rows: Sequence[Row]) -> list[str]:
    """Names of the machines that trained these rows."""
    return list(machine_names(row.record.environment for row in rows).values())


def _compared(published: PublishedAccuracy | None, limits: tuple[float, float] | None) -> dict[str, str]:
    """The columns that compare a published value with the prediction interval of one training run."""
    stands_for, agreement = "-", "-"
    if published is not None:
        stands_for = _range_cell(published.low, published.high)
        if limits is not None:
            low, high = limits
            is_wide = round(published.high - published.low, 6) > MAX_TESTED_WIDTH
            overlap = "too wide to test" if is_wide else "consistent"
            agreement = "below" if published.high < low else "above" if published.low > high else overlap
    return {
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
