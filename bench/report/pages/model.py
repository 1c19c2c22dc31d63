"""<dataset>/<model>.md: what each run of a model is, how it was chosen, and what it classifies correctly."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import pandas as pd

from bench.evaluation.importance import ImportanceAnalysis, importances
from bench.evaluation.text import accuracy_cell, interval_text, percent, points, seconds, span_text
from bench.records.objective import score_name
from bench.records.record import Curve, SearchOutcome
from bench.report.board import TOP_ROWS, Board, Row, Table
from bench.report.figures import images
from bench.report.figures import model as figures
from bench.report.figures.history import search_history
from bench.report.figures.picture import Picture, with_titles
from bench.report.figures.table import styles
from bench.report.markdown import Markdown, render
from bench.report.pages.contract import Files
from bench.report.ranking import conditions
from bench.report.runs import Run
from bench.report.tables import costs, details, errors, hyperparameters, scores
from bench.report.tables import search as searches
from bench.report.tables.leaderboard import section_link, worst_class_text
from bench.report.text.label_smoothing import training_loss_sentence
from bench.report.text.signature import signature_text
from bench.report.text.statements import interval_sentence, row_sentences
from bench.report.text.tutorial_titles import stated_result, tutorial_title

TITLES = {  # of plots
    "confusion": "confusion matrix",
    "confused": "errors between the most confused classes",
    "curves": "loss and accuracy by epoch",
    "history": "score of every trial",
    "hyperparameters": "score by hyperparameter",
    "misclassified": "most confident misclassifications",
}

MIN_TRIALS = 3  # of full length, for a plot by hyperparameter
SEARCH_CONDITIONS = ("budget", "search precision", "protocol", "split")  # of which reference models are independent

name = "models"


def files(board: Board) -> Files:
    """<dataset>/<model>.md and its pictures."""
    looks = styles(board)
    made: dict[str, bytes | Picture] = {}
    for page, placed in _by_page(board).items():
        sections = [_section(table, row, looks[row.record.spec.model].color) for table, row in placed if row.in_full]
        made[page] = _page(placed, sections)
        for section in sections:
            run = section["row"].run
            start = f"{run.record.dataset.name}/figures/{run.stem}"
            made |= {f"{start}-{kind}.png": picture for kind, picture in section["pictures"].items()}
    return made


def _by_page(board: Board) -> dict[str, list[tuple[Table, Row]]]:
    first: dict[tuple[str, str], tuple[Table, Row]] = {}  # reference models are in every table of their dataset
    for table, row in board.placed:
        first.setdefault((table.dataset.name, row.label), (table, row))
    pages: dict[str, list[tuple[Table, Row]]] = {}
    for table, row in first.values():
        pages.setdefault(row.page, []).append((table, row))
    return pages


def _page(placed: Sequence[tuple[Table, Row]], sections: Sequence[dict[str, Any]]) -> bytes:
    record = placed[0][1].record
    return render(
        "model.md.j2",
        model=record.spec.model,
        title=record.dataset.title,
        sections=sections,
        others=_others_table((table, row) for table, row in placed if not row.in_full),
        top_rows=TOP_ROWS,
    )


def _same_predictions(table: Table, row: Row) -> Row | None:
    """The first reference model that predicts the same classes as the reference model `row`; it has the pictures."""
    if row.record.reference is None:  # its trials and learning curves are its own
        return None
    first, *_ = table.references_by_predictions.get(row.predicted, [row])
    return None if first is row else first


def _details(run: Run) -> dict[str, str]:
    """Conditions and details without those that do not apply."""
    every = {**conditions(run), **details.run_details(run)}
    if run.record.search is None:
        for name in SEARCH_CONDITIONS:
            del every[name]
    return every


def _section(table: Table, row: Row, color: str) -> dict[str, Any]:
    """What the template shows of one run, with plots in `color`; empty frames and lists are left out."""
    run, record, same = row.run, row.record, _same_predictions(table, row)
    constant = len(np.unique(run.scores.predicted)) == 1
    # Another page has the errors of both, or there is nothing to see in them.
    shows_errors = same is None and not constant
    return {
        "row": row,
        "link": section_link(row),
        "code": section_link(row, "code", code=True) if run.plain is not None else "",
        "plain_code": _code(run),
        "code_sentence": _code_sentence(run),
        "budget": "" if record.search is None else table.conditions["budget"],
        "selected": row is table.selected_row,
        "tutorial": tutorial_title(record.spec.model) if record.is_tutorial else None,
        "stated": stated_result(record) if record.is_tutorial else None,
        "better_code": _better_code(table, row),
        "accuracy": f"{percent(row.test_accuracy)}% ({interval_text(run.interval)})",
        "interval_sentence": interval_sentence(run),
        "comparisons": row_sentences(table, row),
        "same_as": same,
        "worst_class": worst_class_text(row, "%"),
        "details": details.two_columns(_details(run)),
        "recipe": pd.DataFrame() if run.plain is None else details.two_columns(run.plain.recipe),
        "signature": signature_text(record),
        "training_loss": training_loss_sentence(run),
        "reproductions": details.reproductions_of_run_table(run),
        "reproduction_sentence": _reproduction_sentence(row),
        "search": None if record.search is None else _search_section(record.search, row),
        "scores": details.two_columns(_scores(table, row)),
        "by_class": errors.class_report_table(run.scores.by_class),
        "class_size": errors.class_size(run.scores.by_class),
        "confused": pd.DataFrame(errors.confused_classes(run)),
        "misclassified": errors.misclassified_table(row),
        "constant": constant,
        "shows_errors": shows_errors,
        "pictures": _pictures(row, color, of_errors=shows_errors, of_training=same is None) if row.has_figures else {},
    }


def _code(run: Run) -> str:
    """The plain code and, if it evaluates the model, the accuracy to expect; empty without code."""
    code = "" if run.plain is None else run.plain.code
    if "model.evaluate(" in code or "model.score(" in code:
        refits = len(run.record.refits)
        basis = "as measured" if refits == 1 else f"the mean of {refits} refits"
        code += f"# expected accuracy: {percent(run.scores.accuracy)}%, {basis} by keras-family-bench\n"
    return code


def _code_sentence(run: Run) -> str:
    """What the plain code needs, how long it takes, and the test accuracy to expect; empty without."""
    if run.plain is None:
        return ""
    is_complete = "load_data()" in run.plain.code
    script = "Complete script" if is_complete else "Script with images in x_train and labels in y_train"
    reference, accuracies = run.record.reference, run.scores.accuracy_by_seed
    libraries = "TensorFlow with Keras 3"
    if reference is not None and not reference.is_network:
        libraries = f"scikit-learn{', with images from Keras' if is_complete else ''}"
    if len(accuracies) > 1:
        limits = span_text(accuracies, lambda accuracy: f"{percent(accuracy)}%")
        reached = f"{limits} with {len(accuracies)} seeds"
    else:
        other = "versions" if run.record.deterministic else "seeds"
        reached = f"{percent(accuracies.item())}%; it may differ slightly with other {other}"
    return (
        f"{script} for {libraries}, without this package; one training took {seconds(run.training_seconds)} s here. "
        f"Test accuracy here: {reached}."
    )


def _better_code(table: Table, row: Row) -> Markdown | None:
    """The code of the tuned model that a reference model is compared with, if that is better."""
    tuned, test = table.selected_row, row.versus_best
    if row.record.reference is None or test is None or test.verdict != "worse":
        return None
    if tuned is None or tuned.run.plain is None:
        return None
    return section_link(tuned, code=True)


def _search_section(search: SearchOutcome, row: Row) -> dict[str, Any]:
    """The parts of a section that a reference model lacks."""
    analysis = ImportanceAnalysis(unavailable_reason="it is computed only for the best model of a large table")
    if row.has_figures:
        analysis = importances(search.space, search.trials, row.record.spec.refit_epochs)
    return {
        "hyperparameters": hyperparameters.hyperparameters_table(search),
        "bounds": hyperparameters.bound_sentences(search),
        "importance": hyperparameters.importance_table(analysis),
        "importance_text": hyperparameters.importance_text(analysis),
        "score": score_name(row.record.spec),
        "trials": searches.trials_table(search, score_name(row.record.spec)),
        "failed": searches.failed_trials_table(search),
    }


def _reproduction_sentence(row: Row) -> str:
    """For the row of a reproduction: what it reproduces, under which conditions, and the difference."""
    published = row.run.reproduces
    if published is None:
        return ""
    return (
        f"A reproduction of {published.label} (run {published.record.run_id}) with different predictions. Its test "
        f"accuracy differs by {points(row.test_accuracy - published.scores.accuracy)} points. Different conditions: "
        f"{scores.different_conditions_text(scores.reproduction_entry(row))}."
    )


def _scores(table: Table, row: Row) -> dict[str, str]:
    run, search = row.run, row.record.search
    cells = {scores.ACCURACY: accuracy_cell(row.test_accuracy, run.interval)}
    if len(row.record.refits) > 1:
        cells["test accuracy of each refit (%)"] = ", ".join(map(percent, run.scores.accuracy_by_seed))
    if search is not None:
        cells[scores.NOT_DIFFERENT] = scores.not_different_text(row, table)
        cells[f"{score_name(run.record.spec)} of the winner's trial (%)"] = percent(search.winning_trial.score)
    cells |= {metric.heading: scores.metric_text(run, metric) for metric in run.metrics}
    return cells | {name: cost for name, cost in costs.cost_cells(run).items() if cost != "-"}


def _others_table(placed: Iterable[tuple[Table, Row]]) -> pd.DataFrame:
    """Rows that have no section."""
    return pd.DataFrame(
        {
            "rank": scores.rank_text(row),
            "model": row.label,
            scores.ACCURACY: accuracy_cell(row.test_accuracy, row.run.interval),
            "budget": table.conditions["budget"],
            "hyperparameters": hyperparameters.candidate_text(search.winning_trial),
            "run": row.record.run_id,
        }
        for table, row in placed
        if (search := row.record.search) is not None
    )


def _pictures(row: Row, color: str, *, of_errors: bool, of_training: bool) -> dict[str, Picture]:
    """The figures of a section by kind."""
    pictures = (_error_pictures(row.run) if of_errors else {}) | (_training_pictures(row, color) if of_training else {})
    model = f"{row.label} on {row.record.dataset.title}"
    return with_titles(pictures, {kind: f"{model}: {title}" for kind, title in TITLES.items()})


def _error_pictures(run: Run) -> dict[str, Picture]:
    names = run.record.dataset.class_names
    pictures = {"confusion": figures.confusion_matrix(run.scores.confusion, names)}
    if shown := run.scores.misclassifications[: errors.SHOWN_MISCLASSIFICATIONS]:
        pictures["misclassified"] = images.misclassified(run.wrong_images[: len(shown)], shown, names)
    if (confused := images.confused(run)) is not None:
        pictures["confused"] = confused
    return pictures


def _training_pictures(row: Row, color: str) -> dict[str, Picture]:
    record, search = row.record, row.record.search
    pictures = {}
    # scikit-learn's classifiers have no epochs.
    if any(refit.curve.training_loss for refit in record.refits):
        trial = Curve() if search is None else search.winning_trial.curve
        own = search is not None and search.own_recipe is not None  # whose loss may be another one than cross-entropy
        loss = "loss" if own else "loss (nats)"
        pictures["curves"] = figures.curves(trial, [refit.curve for refit in record.refits], color, loss)
    if search is None:
        return pictures
    score = score_name(record.spec)
    if (history := search_history(search.trials, search.winner, record.spec.refit_epochs, score, color)) is not None:
        pictures["history"] = history
    full_length = searches.full_length(row)
    if len(full_length) >= MIN_TRIALS and (tried := hyperparameters.tried_values(search.space, full_length)):
        pictures["hyperparameters"] = figures.hyperparameters(tried, search.winning_trial.score, score, color)
    return pictures
