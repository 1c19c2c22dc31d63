"""One winner's page: how it was found, what it is, what it gets right and wrong, and the trials that it beat."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bench.evaluation.comparison import Interval
from bench.evaluation.importance import ImportanceAnalysis, at_bound, full_length_trials, importances
from bench.evaluation.metrics import ClassReport, Misclassification, confused_pairs
from bench.records.record import Parameter, RunRecord, TrialRecord
from bench.records.spec import Value
from bench.report.image_figures import PAIR_IMAGES
from bench.report.leaderboard import Row, Table
from bench.report.runs import Run
from bench.report.tables import (
    accuracy_sentence,
    accuracy_with_interval,
    how_measured,
    pairs_table,
    percent,
    rank_text,
    seconds,
    tied_text,
    two_columns,
)
from bench.report.words import (
    MAX_LISTED,
    candidate_text,
    chosen_text,
    conditions_text,
    range_text,
    reason_text,
    signature_text,
    status_text,
    value_text,
)

SHOWN_MISTAKES = 25
SHOWN_PAIRS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Winner:
    """What the template shows of one run."""

    row: Row
    accuracy: str
    seeds_text: str
    found: pd.DataFrame
    hyperparameters: pd.DataFrame
    edges: list[str]
    importance: pd.DataFrame
    importance_text: str
    has_tried: bool
    scores: pd.DataFrame
    by_class: pd.DataFrame
    pairs: pd.DataFrame
    mistakes: pd.DataFrame
    trials: pd.DataFrame
    failed: pd.DataFrame
    has_curves: bool
    has_confused: bool
    signature: str


def winner(table: Table, row: Row) -> Winner:
    """The contents of one run's section."""
    record = row.run.record
    asked = (
        importances(record.space, record.trials, record.spec.budget.epochs)
        if row.pictured
        else ImportanceAnalysis(
            n_trials=0, unavailable_reason="of so many models only the best is asked", oob_r2=None, ranking=()
        )
    )
    return Winner(
        row=row,
        accuracy=accuracy_sentence(row.test_accuracy, row.run.interval),
        seeds_text=seeds_text(row.run.interval, record.dataset.n_test),
        found=two_columns({**table.conditions, **how_measured(row.run)}),
        hyperparameters=hyperparameters_table(record),
        edges=edges(record),
        importance=importance_table(asked),
        importance_text=importance_text(asked),
        has_tried=bool(tried_values(record)),
        scores=two_columns(_scores(table, row)),
        by_class=_class_table(row.run.scores.by_class),
        pairs=pairs_table(row.run),
        mistakes=_mistakes_table(row),
        trials=trials_table(record.trials, record.winner),
        failed=failed_table(record.trials),
        has_curves=has_curves(record),
        has_confused=bool(confused_images(row.run)),
        signature=signature_text(record),
    )


def others_table(placed: Iterable[tuple[Table, Row]]) -> pd.DataFrame:
    """Rows that have no section of their own, in a line each."""
    return pd.DataFrame(
        {
            "rank": rank_text(row),
            "model": row.label,
            "test accuracy, %": accuracy_with_interval(row.test_accuracy, row.run.interval),
            "budget": table.conditions["budget"],
            "hyperparameters": candidate_text(row.run.record.winning_trial),
            "run": row.run.record.run_id,
        }
        for table, row in placed
    )


def seeds_text(interval: Interval | None, n_test: int) -> str:
    """What the interval stands on, as a sentence."""
    if interval is not None and interval.n_seeds == 1:
        return (
            f"Every seed gives the same model. On {n_test:,} test images its 95 % interval, which takes in the finite "
            f"test set only, is {percent(interval.low)} to {percent(interval.high)}."
        )
    if interval is None:
        return f"One refit only, judged on {n_test:,} test images: with a single seed the chance in it is not known."
    return (
        f"Mean of {interval.n_seeds} refits on {n_test:,} test images, 95 % interval {percent(interval.low)} to "
        f"{percent(interval.high)}. Of its variance {100 * interval.seed_variance_share:.0f} % comes from the "
        "seeds, the rest from the finite test set."
    )


def _scores(table: Table, row: Row) -> dict[str, str]:
    record, scores = row.run.record, row.run.scores
    by_seed = ", ".join(percent(accuracy) for accuracy in scores.correct.mean(axis=1))
    searched = (
        {}
        if record.winner is None
        else {
            "tied with": tied_text(row, len(table.rows)),
            "validation accuracy of the winner's trial": f"{percent(record.winning_trial.score)} %",
            "search": f"{seconds(record.search_seconds)} s",
        }
    )
    return {
        "test accuracy": accuracy_sentence(row.test_accuracy, row.run.interval),
        "test accuracy of each refit": f"{by_seed} %",
        **searched,
        "train/test gap": f"{percent(row.train_test_gap)} points",
        "macro F1": f"{scores.macro_f1:.4f}",
        "log loss": f"{scores.log_loss:.4f}",
        "parameters": f"{row.parameters:,}",
        "training one refit (median)": f"{seconds(row.refit_seconds)} s",
        "predicting": f"{record.latency.microseconds_per_image:.3g} µs an image",
    }


def has_curves(record: RunRecord) -> bool:
    """Whether there are epochs to draw: not of what scikit-learn fits."""
    return any(refit.curve.training_loss for refit in record.refits)


def hyperparameters_table(record: RunRecord) -> pd.DataFrame:
    """What the winner chose for each hyperparameter, beside its range; empty where nothing was searched."""
    if record.winner is None:
        return pd.DataFrame()
    trial = record.winning_trial
    return pd.DataFrame(
        {
            "hyperparameter": parameter.name,
            "winner": chosen_text(parameter, trial),
            "range": range_text(parameter),
            "exists where": conditions_text(parameter),
        }
        for parameter in record.space
    )


def edges(record: RunRecord) -> list[str]:
    """A warning for each hyperparameter of which the winner has the smallest or the largest value of its range."""
    if record.winner is None:
        return []
    found = [(parameter, at_bound(parameter, record.winning_trial)) for parameter in record.space]
    values = record.winning_trial.values  # noqa: PD011 - of a trial, not of pandas
    return [
        f"{parameter.name} = {value_text(values[parameter.name])} is the {edge} there is: a wider range may hold a "
        "better model."
        for parameter, edge in found
        if edge is not None
    ]


def importance_table(asked: ImportanceAnalysis) -> pd.DataFrame:
    """What shuffling each hyperparameter costs the forest that explains the scores."""
    return pd.DataFrame(
        {"hyperparameter": one.name, "loss of R²": f"{one.mean:.2f} ± {one.std:.2f}"} for one in asked.ranking
    )


def importance_text(asked: ImportanceAnalysis) -> str:
    """What the table stands on, or why there is none."""
    if asked.unavailable_reason is not None or asked.oob_r2 is None:
        return f"Which hyperparameters matter cannot be said: {asked.unavailable_reason}."
    return (
        f"Permutation importance by a random forest over {asked.n_trials} trials of full length, which explains their "
        f"scores with an out-of-bag R² of {asked.oob_r2:.2f}; ± is the standard deviation over shufflings."
    )


Tried = tuple[str, list[Value], list[Value], list[float]]  # name, all values where finite, tried ones, their scores


def tried_values(record: RunRecord) -> list[Tried]:
    """What the trials of full length tried of each hyperparameter that varies, and what it scored."""
    trials = full_length_trials(record.trials, record.spec.budget.epochs)
    found: list[Tried] = []
    for parameter in record.space:
        with_it = [(value, trial.score) for trial in trials if (value := _value(parameter, trial)) is not None]
        chosen = [value for value, _ in with_it]
        if len(set(chosen)) > 1:
            # Many numbers stand on an axis of numbers, as those of a range without steps do.
            possible = parameter.values  # noqa: PD011 - of a hyperparameter, not of pandas
            numbers = not any(isinstance(value, bool | str) for value in possible)
            listed = parameter.finite and not (numbers and len(possible) > MAX_LISTED)
            every = list(dict.fromkeys([*possible, *chosen])) if listed else []
            found.append((parameter.name, every, chosen, [score for _, score in with_it]))
    return found


def _value(parameter: Parameter, trial: TrialRecord) -> Value | None:
    return trial.values.get(parameter.name)  # noqa: PD011 - of a trial, not of pandas


def confused_images(run: Run) -> list[tuple[str, str, list[tuple[Misclassification, NDArray[np.uint8]]]]]:
    """Both directions of the most confused pairs with the images that are most confidently wrong in that way."""
    names = run.record.dataset.class_names
    found = []
    for pair in confused_pairs(run.scores.confusion, names, SHOWN_PAIRS):
        for true, said in ((pair.a, pair.b), (pair.b, pair.a)):
            line = [
                (mistake, image)
                for mistake, image in zip(run.scores.misclassifications, run.wrong_images, strict=False)
                if (names[mistake.true], names[mistake.predicted]) == (true, said)
            ]
            if line:
                found.append((true, said, line[:PAIR_IMAGES]))
    return found


def _class_table(report: ClassReport) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "class": name,
            "precision": f"{report.precision[number]:.3f}",
            "recall": f"{report.recall[number]:.3f}",
            "F1": f"{report.f1[number]:.3f}",
            "support": f"{report.support[number]:,}",
        }
        for number, name in enumerate(report.names)
    )


def _mistakes_table(row: Row) -> pd.DataFrame:
    names, refits = row.run.record.dataset.class_names, len(row.run.record.refits)
    return pd.DataFrame(
        {
            "test image": str(mistake.index),
            "true class": names[mistake.true],
            "predicted": names[mistake.predicted],
            "probability, %": f"{100 * mistake.probability:.1f}",
            "refits that err": f"{mistake.wrong_seeds} of {refits}",
        }
        for mistake in row.run.scores.misclassifications[:SHOWN_MISTAKES]
    )


def trials_table(trials: Iterable[TrialRecord], winner: str | None) -> pd.DataFrame:
    """Every trial, best score first, failed ones last."""

    def order(trial: TrialRecord) -> tuple[bool, float, int]:
        return trial.status != "ok", -trial.score if trial.status == "ok" else 0.0, trial.number

    return pd.DataFrame(
        {
            "trial": trial.trial_id,
            "status": status_text(trial, winner),
            "validation, %": percent(trial.score) if trial.status == "ok" else "-",
            "epochs": "-" if trial.status == "failed" else str(trial.epochs),
            "seconds": seconds(trial.fit_seconds),
            "parameters": "-" if trial.parameters is None else f"{trial.parameters:,}",
            "hyperparameters": candidate_text(trial),
        }
        for trial in sorted(trials, key=order)
    )


def failed_table(trials: Iterable[TrialRecord]) -> pd.DataFrame:
    """Each failed trial with its reason."""
    return pd.DataFrame(
        {"trial": trial.trial_id, "reason": reason_text(trial.error)} for trial in trials if trial.error is not None
    )
