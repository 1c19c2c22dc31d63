"""Results for other programs: tables of plain values, TensorBoard logs, MLflow runs."""

from collections.abc import Iterator, Mapping

from bench.records.objective import score_name
from bench.records.record import Curve, TrialRecord
from bench.records.spec import SearchSpec
from bench.report.board import Board
from bench.report.runs import Run


def runs_of(board: Board) -> list[Run]:
    """Every run of a leaderboard once; a reference model may be in several tables."""
    return list({(table.dataset.name, row.record.run_id): row.run for table, row in board.placed}.values())


def curve_points(curve: Curve) -> Iterator[tuple[str, int, float]]:
    """Name, epoch, counted from 1, and value of every point of learning curves."""
    for name in curve.__slots__:
        for epoch, value in enumerate(getattr(curve, name), 1):
            yield name.replace("_", " "), epoch, value


def score_of(run: Run, trial: TrialRecord) -> Mapping[str, float]:
    """The score of a trial by its name; empty if it has none, or if it is the last value of its curve."""
    spec = run.record.spec
    is_in_curve = isinstance(spec, SearchSpec) and spec.objective is None and trial.curve.validation_accuracy
    return {} if trial.status != "ok" or is_in_curve else {score_name(spec): trial.score}
