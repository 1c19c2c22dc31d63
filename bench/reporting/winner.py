"""One winner's page: how it was found, what it is, what it gets right and wrong, and the trials that it beat."""

from collections.abc import Iterable
from dataclasses import dataclass

import pandas as pd

from bench.evaluation.comparison import Interval
from bench.evaluation.metrics import ClassReport
from bench.record import Parameter, TrialRecord
from bench.reporting.leaderboard import Row, Table
from bench.reporting.tables import (
    accuracy_with_interval,
    how_measured,
    pairs_table,
    percent,
    seconds,
    tied_text,
    two_columns,
)
from bench.reporting.words import (
    candidate_text,
    chosen_text,
    conditions_text,
    range_text,
    reason_text,
    status_text,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Winner:
    """What the template shows of one run."""

    row: Row
    accuracy: str
    seeds_text: str
    found: pd.DataFrame
    hyperparameters: pd.DataFrame
    scores: pd.DataFrame
    by_class: pd.DataFrame
    pairs: pd.DataFrame
    mistakes: pd.DataFrame
    trials: pd.DataFrame
    failed: pd.DataFrame


def winner(table: Table, row: Row) -> Winner:
    """The contents of one run's section."""
    record = row.run.record
    return Winner(
        row=row,
        accuracy=accuracy_with_interval(row.test_accuracy, row.run.interval),
        seeds_text=seeds_text(row.run.interval, record.dataset.n_test),
        found=two_columns({**table.conditions, **how_measured(row.run)}),
        hyperparameters=hyperparameters_table(record.space, record.winning_trial),
        scores=two_columns(_scores(table, row)),
        by_class=_class_table(row.run.scores.by_class),
        pairs=pairs_table(row.run),
        mistakes=_mistakes_table(row),
        trials=trials_table(record.trials, record.winner),
        failed=failed_table(record.trials),
    )


def others_table(placed: Iterable[tuple[Table, Row]]) -> pd.DataFrame:
    """Rows that have no section of their own, in a line each."""
    return pd.DataFrame(
        {
            "rank": "?" if row.rank is None else str(row.rank),
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
    if interval is None:
        return f"One refit only, judged on {n_test:,} test images: with a single seed the chance in it is not known."
    return (
        f"Mean of {interval.n_seeds} refits on {n_test:,} test images, 95 % interval {percent(interval.low)} to "
        f"{percent(interval.high)}. Of its variance {100 * interval.seeds_share:.0f} % comes from the "
        "seeds, the rest from the finite test set."
    )


def _scores(table: Table, row: Row) -> dict[str, str]:
    record, scores = row.run.record, row.run.scores
    by_seed = ", ".join(percent(accuracy) for accuracy in scores.correct.mean(axis=1))
    return {
        "test accuracy": f"{accuracy_with_interval(row.test_accuracy, row.run.interval)} %",
        "test accuracy of each refit": f"{by_seed} %",
        "tied with": tied_text(row, len(table.rows)),
        "validation accuracy of the winner's trial": f"{percent(row.validation_accuracy)} %",
        "train/test gap": f"{percent(row.train_test_gap)} points",
        "macro F1": f"{scores.macro_f1:.4f}",
        "log loss": f"{scores.log_loss:.4f}",
        "parameters": f"{row.parameters:,}",
        "search": f"{seconds(record.search_seconds)} s",
        "training one refit (median)": f"{seconds(row.refit_seconds)} s",
        "predicting": f"{record.latency.microseconds_per_image:.3g} µs an image",
    }


def hyperparameters_table(space: Iterable[Parameter], trial: TrialRecord) -> pd.DataFrame:
    """What the winner chose for each hyperparameter, beside its range."""
    return pd.DataFrame(
        {
            "hyperparameter": parameter.name,
            "winner": chosen_text(parameter, trial),
            "range": range_text(parameter),
            "exists where": conditions_text(parameter),
        }
        for parameter in space
    )


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
        for mistake in row.run.scores.mistakes
    )


def trials_table(trials: Iterable[TrialRecord], winner: str) -> pd.DataFrame:
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
