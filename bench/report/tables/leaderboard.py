"""The leaderboard: tuned and reference models of a table together, best first."""

from collections.abc import Sequence

import pandas as pd

from bench.evaluation.metric import MACRO_F1, TRAIN_TEST_GAP
from bench.evaluation.text import accuracy_cell, difference_text, joined, percent
from bench.report.board import Row, Table
from bench.report.markdown import Markdown, anchor, link
from bench.report.tables.costs import cost_cells
from bench.report.tables.scores import ACCURACY, REFERENCE_TYPES, metric_text, rank_text

TUNED = "tuned"
TIMES = ("training time per refit (s)", "prediction time (µs/image)")
NOT_SIGNIFICANT = "n.s."
MAX_FOREST_ROWS = 25
_OTHER_PAGES = (TRAIN_TEST_GAP, MACRO_F1)  # the dataset's page shows these


def row_type(row: Row) -> str:
    """Tuned, or the kind of reference model."""
    reference, search = row.record.reference, row.record.search
    if reference is not None:
        return REFERENCE_TYPES[reference.group]
    return TUNED if search is None or search.own_recipe is None else f"{TUNED}, own recipe"


def by_accuracy(rows: Sequence[Row]) -> Sequence[Row]:
    """Tuned and reference models, best first."""
    return sorted(rows, key=lambda row: (-row.test_accuracy, row.label))


def plotted(rows: Sequence[Row]) -> list[Row]:
    """The rows without those of less than half the best accuracy, which would squeeze the others together."""
    best = max(row.test_accuracy for row in rows)
    return [row for row in rows if row.test_accuracy >= best / 2]


def forest_rows(table: Table) -> list[Row]:
    """The models in the forest plot, best first."""
    return plotted(by_accuracy(table.compared)[:MAX_FOREST_ROWS])


def left_out_sentence(table: Table) -> str:
    """Which models are not in the forest plot; empty if all are."""
    if len(table.compared) > MAX_FOREST_ROWS:
        return f"The plot shows the {len(forest_rows(table))} best models."
    shown = {row.label for row in forest_rows(table)}
    names = joined([row.label for row in by_accuracy(table.compared) if row.label not in shown])
    return f"Not in the plot, with less than half the best accuracy: {names}." if names else ""


def only_top_sentence(table: Table) -> str:
    """Which models are not compared in detail; empty if all are."""
    sentences = []
    if len(table.distinct) > len(table.top):
        sentences.append(f"Only the first {len(table.top)} models are shown, tuned models before reference models.")
    if len(table.distinct) < len(table.compared):
        sentences.append("Of reference models with the same predictions, only one is shown.")
    return " ".join(sentences)


def leaderboard_table(table: Table, *, from_top: bool) -> pd.DataFrame:
    """All compared models, best first; `from_top` as in `section_link`."""
    one_machine = len(table.machines) == 1
    return pd.DataFrame(
        {
            **leaderboard_cells(table, row, with_times=one_machine),
            "model": section_link(row, from_top=from_top),
        }
        for row in by_accuracy(table.compared)
    )


def leaderboard_cells(table: Table, row: Row, *, with_times: bool = True) -> dict[str, str]:
    """The columns of one row as text: heading to cell."""
    costs, selected = cost_cells(row.run), table.compared_with
    return {
        "rank": rank_text(row),
        "model": row.label,
        "type": row_type(row),
        ACCURACY: accuracy_cell(row.test_accuracy, row.run.interval),
        **({} if selected is None else {f"difference from {selected.label} (pp)": versus_selected_text(row)}),
        "lowest class recall (%)": worst_class_text(row),
        **{
            metric.heading: metric_text(row.run, metric)
            for metric in row.run.metrics
            if not metric.details_only and metric not in _OTHER_PAGES
        },
        **{name: costs[name] for name in ("parameters", *(TIMES if with_times else ()))},
    }


def section_link(row: Row, text: str | None = None, *, code: bool = False, from_top: bool = False) -> Markdown:
    """A link to a row's section on its model's page.

    Args:
        row: of the board.
        text: of the link; by default the row's label.
        code: whether to link to the code in the section, if there is any.
        from_top: whether the link is on a page in the results folder, not in the folder of the dataset.
    """
    heading = f"code of {row.label}" if code and row.run.plain is not None else row.label
    page = row.page if from_top else row.page_name
    return link(text or row.label, f"{page}{anchor(heading) if row.in_full else ''}")


def versus_selected_text(row: Row) -> str:
    """The difference from the selected tuned model, with its interval."""
    if row.run.reproduces is not None:
        return "not tested"
    if row.versus_best is None:
        return "-"
    difference = row.versus_best.difference
    if difference is None:
        return "unknown (1 seed)"
    mark = f", {NOT_SIGNIFICANT}" if row.versus_best.verdict == "not significantly different" else ""
    return difference_text(difference.mean, difference.low, difference.high) + mark


def worst_class_text(row: Row, unit: str = "") -> str:
    """The lowest recall of any class, and the class unless several share it."""
    hardest, lowest = row.run.scores.by_class.hardest, row.run.scores.by_class.recall.min()
    return f"{percent(lowest)}{unit}" + (f" ({hardest[0]})" if len(hardest) == 1 else "")
