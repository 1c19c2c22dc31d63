"""<dataset>/<model>.md: what each run of a model is, how it was chosen, and what it classifies correctly."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import pandas as pd

from bench.evaluation.comparison import Interval
from bench.evaluation.importance import ImportanceAnalysis, importances
from bench.records.record import Curve, RunRecord
from bench.report.board import TOP_ROWS, Board, Row, Table
from bench.report.figures import images
from bench.report.figures import model as figures
from bench.report.figures.picture import Picture
from bench.report.markdown import render
from bench.report.page import Files
from bench.report.ranking import conditions
from bench.report.tables.costs import search_time_text
from bench.report.tables.details import reproductions_of_run_table, run_details, two_columns
from bench.report.tables.errors import (
    SHOWN_MISCLASSIFICATIONS,
    class_report_table,
    misclassified_table,
    model_confused_classes_table,
)
from bench.report.tables.scores import (
    ACCURACY,
    NOT_DIFFERENT,
    different_conditions_text,
    not_different_text,
    rank_text,
    reproduction_entry,
)
from bench.report.tables.search import (
    bound_sentences,
    failed_trials_table,
    hyperparameters_table,
    importance_table,
    importance_text,
    trials_table,
    tried_values,
)
from bench.report.text.hyperparameters import candidate_text
from bench.report.text.numbers import accuracy_cell, accuracy_text, percent, points, seconds
from bench.report.text.signature import signature_text


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelSection:
    """What the template shows of one run; empty frames and lists are left out."""

    row: Row
    accuracy: str
    interval_sentence: str
    details: pd.DataFrame
    signature: str
    reproductions: pd.DataFrame
    reproduction_sentence: str
    hyperparameters: pd.DataFrame
    bounds: list[str]
    importance: pd.DataFrame
    importance_text: str
    scores: pd.DataFrame
    by_class: pd.DataFrame
    confused: pd.DataFrame
    misclassified: pd.DataFrame
    trials: pd.DataFrame
    failed: pd.DataFrame
    has_curves: bool
    has_confused_images: bool
    has_hyperparameter_figure: bool


class ModelPages:
    """A page for each model of each dataset."""

    name = "models"

    def files(self, board: Board) -> Files:
        """<dataset>/<model>.md and its pictures."""
        files: dict[str, bytes | Picture] = {}
        for page, placed in _by_page(board).items():
            files[page] = _page(placed)
            for _, row in placed:
                if row.has_figures:
                    files |= _pictures(row)
        return files


def _by_page(board: Board) -> dict[str, list[tuple[Table, Row]]]:
    pages: dict[str, list[tuple[Table, Row]]] = {}
    placed = set()
    for table in board.tables:
        for row in table.everything:
            if (table.dataset.name, row.label) not in placed:  # reference models are in every table of their dataset
                placed.add((table.dataset.name, row.label))
                pages.setdefault(row.page, []).append((table, row))
    return pages


def _page(placed: Sequence[tuple[Table, Row]]) -> bytes:
    record = placed[0][1].run.record
    return render(
        "model.md.j2",
        model=record.spec.model,
        title=record.dataset.title,
        sections=[model_section(table, row) for table, row in placed if row.in_full],
        others=_others_table((table, row) for table, row in placed if not row.in_full),
        top_rows=TOP_ROWS,
    )


def model_section(table: Table, row: Row) -> ModelSection:
    """The section of one run."""
    run, record = row.run, row.run.record
    search = record.search
    analysis = ImportanceAnalysis(
        n_trials=0, unavailable_reason="computed for the best model of a large table only", oob_r2=None, ranking=()
    )
    if row.has_figures and search is not None:
        analysis = importances(search.space, search.trials, record.spec.refit_epochs)
    return ModelSection(
        row=row,
        accuracy=accuracy_text(row.test_accuracy, run.interval),
        interval_sentence=interval_sentence(run.interval, record.dataset.n_test),
        details=two_columns({**conditions(run), **run_details(run)}),
        signature=signature_text(record),
        reproductions=reproductions_of_run_table(run),
        reproduction_sentence=_reproduction_sentence(row),
        hyperparameters=hyperparameters_table(search),
        bounds=bound_sentences(search),
        importance=importance_table(analysis),
        importance_text=importance_text(analysis),
        scores=two_columns(_scores(table, row)),
        by_class=class_report_table(run.scores.by_class),
        confused=model_confused_classes_table(run),
        misclassified=misclassified_table(row),
        trials=trials_table(search),
        failed=failed_trials_table(search.trials if search is not None else ()),
        has_curves=_has_curves(record),
        has_confused_images=bool(images.confused_images(run)),
        has_hyperparameter_figure=bool(tried_values(row)),
    )


def _reproduction_sentence(row: Row) -> str:
    """For the row of a reproduction: what it reproduces, under which conditions, and the difference."""
    published = row.run.reproduces
    if published is None:
        return ""
    return (
        f"A reproduction of {published.label} (run {published.record.run_id}) with different predictions. Its test "
        f"accuracy differs by {points(row.test_accuracy - published.scores.accuracy)} points. Different conditions: "
        f"{different_conditions_text(reproduction_entry(row))}."
    )


def interval_sentence(interval: Interval | None, n_test: int) -> str:
    """What the accuracy and its interval are based on."""
    if interval is None:
        return f"One refit on {n_test:,} test images: a single seed gives no variance estimate."
    limits = f"95% confidence interval {percent(interval.low)}% to {percent(interval.high)}%"
    if interval.n_seeds == 1:
        return f"Training is deterministic. {limits} on {n_test:,} test images, for the finite test set only."
    return (
        f"Mean of {interval.n_seeds} refits on {n_test:,} test images, {limits}. "
        f"{100 * interval.seed_variance_share:.0f}% of its squared half-width is due to the seeds, the rest to the "
        "finite test set."
    )


def _scores(table: Table, row: Row) -> dict[str, str]:
    record, scores = row.run.record, row.run.scores
    by_seed = ", ".join(percent(accuracy) for accuracy in scores.correct.mean(axis=1))
    tuned = (
        {}
        if record.search is None
        else {
            **({NOT_DIFFERENT: not_different_text(row, len(table.rows))} if row.run.reproduces is None else {}),
            "validation accuracy of the winner's trial (%)": percent(record.search.winning_trial.score),
            "search time (s)": search_time_text(row),
        }
    )
    return {
        ACCURACY: accuracy_cell(row.test_accuracy, row.run.interval),
        "test accuracy of each refit (%)": by_seed,
        **tuned,
        **{metric.heading: metric.text(value) for metric, value in row.run.metrics.items()},
        "parameters": f"{row.parameters:,}",
        "training time of a refit, median (s)": seconds(row.training_seconds),
        "prediction time (µs/image)": f"{record.latency.microseconds_per_image:.3g}",
    }


def _has_curves(record: RunRecord) -> bool:
    """Whether there are epochs to draw, which scikit-learn's classifiers do not have."""
    return any(refit.curve.training_loss for refit in record.refits)


def _others_table(placed: Iterable[tuple[Table, Row]]) -> pd.DataFrame:
    """Rows without a section of their own."""
    return pd.DataFrame(
        {
            "rank": rank_text(row),
            "model": row.label,
            ACCURACY: accuracy_cell(row.test_accuracy, row.run.interval),
            "budget": table.conditions["budget"],
            "hyperparameters": candidate_text(search.winning_trial),
            "run": row.run.record.run_id,
        }
        for table, row in placed
        if (search := row.run.record.search) is not None
    )


def _pictures(row: Row) -> dict[str, Picture]:
    run, record, names = row.run, row.run.record, row.run.record.dataset.class_names
    winner = record.search.winning_trial if record.search is not None else None
    pictures = {"confusion": figures.confusion_matrix(run.scores.confusion, names)}
    if _has_curves(record):
        trial = Curve() if winner is None else winner.curve
        pictures["curves"] = figures.curves(trial, [refit.curve for refit in record.refits])
    if shown := run.scores.misclassifications[:SHOWN_MISCLASSIFICATIONS]:
        pictures["misclassified"] = images.misclassified(run.wrong_images[: len(shown)], shown, names)
    if lines := images.confused_images(run):
        pictures["confused"] = images.confused(lines)
    if winner is not None and (tried := tried_values(row)):
        pictures["hyperparameters"] = figures.hyperparameters(tried, winner.score)
    return {f"{record.dataset.name}/figures/{run.stem}-{kind}.png": picture for kind, picture in pictures.items()}
