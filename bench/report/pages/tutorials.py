"""tutorials.md: published tutorials, their published and their measured accuracy."""

from collections.abc import Sequence

import pandas as pd

from bench.evaluation.comparison import prediction_interval
from bench.evaluation.metric import LOG_LOSS, TRAIN_TEST_GAP
from bench.records.record import PublishedAccuracy
from bench.report.board import Board, Row
from bench.report.markdown import render
from bench.report.page import Files
from bench.report.text.numbers import accuracy_cell, percent, seconds


class TutorialsPage:
    """The page of the published tutorials."""

    name = "tutorials"

    def files(self, board: Board) -> Files:
        """tutorials.md, if a tutorial was trained."""
        tutorials = tutorial_rows(board)
        if not tutorials:
            return {}
        page = render(
            "tutorials.md.j2",
            tutorials=tutorials,
            tutorials_table=tutorials_table,
            recipes_table=recipes_table,
            machines=machines,
        )
        return {"tutorials.md": page}


def tutorial_rows(board: Board) -> dict[str, list[Row]]:
    """The tutorials that were trained, each once, by the title of their dataset."""
    tutorials: dict[str, dict[str, Row]] = {}
    for table in board.tables:
        for row in table.references:
            reference = row.run.record.reference
            if reference is not None and reference.group == "tutorial":
                tutorials.setdefault(table.dataset.title, {})[row.run.record.run_id] = row
    return {title: sorted(rows.values(), key=lambda row: row.label) for title, rows in tutorials.items()}


def tutorials_table(rows: Sequence[Row]) -> pd.DataFrame:
    """Published and measured accuracy; training times only if all are from one machine."""
    one_machine = len(machines(rows)) == 1
    return pd.DataFrame(
        {
            "model": row.label,
            "published": _published_text(row),
            "published range (%)": _published_range(row),
            "measured test accuracy (%)": accuracy_cell(row.test_accuracy, row.run.interval),
            "seeds": str(len(row.run.record.refits)),
            "95% prediction interval of one training (%)": _range_text(_one_training(row)),
            "published value": _place(row),
            **{metric.heading: metric.text(row.run.metrics[metric]) for metric in (TRAIN_TEST_GAP, LOG_LOSS)},
        }
        | ({"training time (s)": seconds(row.training_seconds)} if one_machine else {})
        for row in rows
    )


def machines(rows: Sequence[Row]) -> list[str]:
    """The CPUs these rows were trained on."""
    return sorted({row.run.record.environment.cpu for row in rows})


def recipes_table(rows: Sequence[Row]) -> pd.DataFrame:
    """How each is trained, and its accuracy on the training images, which some tutorials publish."""
    return pd.DataFrame(
        {
            "model": row.label,
            "parameters": f"{row.parameters:,}",
            "training accuracy (%)": percent(row.train_accuracy),
            "recipe": row.run.record.reference.recipe if row.run.record.reference else "",
        }
        for row in rows
    )


def _published(row: Row) -> PublishedAccuracy | None:
    reference = row.run.record.reference
    # The published values are for Fashion-MNIST.
    return reference.published if reference is not None and row.run.record.dataset.name == "fashion_mnist" else None


def _published_text(row: Row) -> str:
    published = _published(row)
    return "no value" if published is None else published.text


def _published_range(row: Row) -> str:
    published = _published(row)
    if published is None:
        return "-"
    if published.high - published.low < 0.0002:  # published with two decimals
        return percent((published.low + published.high) / 2)
    return f"{percent(published.low)} to {percent(published.high)}"


def _one_training(row: Row) -> tuple[float, float] | None:
    return prediction_interval(row.run.scores.correct.mean(axis=1))


def _range_text(limits: tuple[float, float] | None) -> str:
    return "unknown (1 seed)" if limits is None else f"{percent(limits[0])} to {percent(limits[1])}"


def _place(row: Row) -> str:
    """Whether the published value lies inside the prediction interval."""
    published, limits = _published(row), _one_training(row)
    if published is None or limits is None:
        return "-"
    if published.high < limits[0]:
        return "below the interval"
    return "above the interval" if published.low > limits[1] else "inside"
