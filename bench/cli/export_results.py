"""bench export-results: trials, runs and predictions for other programs."""

import shlex
from pathlib import Path
from typing import Annotated, Literal

import typer

from bench.cli.help import Command
from bench.cli.options import ExistingResults
from bench.cli.results import warn_unreadable
from bench.command import DEFAULT_RESULTS
from bench.evaluation.text import counted
from bench.records.choices import TableFormat

export_results_app = typer.Typer()


@export_results_app.command(
    "export-results",
    cls=Command,
    rich_help_panel="Results",
    epilog="Examples:\n"
    "  bench export-results --format csv\n"
    "  bench export-results --format tensorboard --output logs\n"
    "  bench export-results --format mlflow --output sqlite:///mlflow.db",
)
def export_results(
    kind: Annotated[
        Literal[TableFormat, "tensorboard", "mlflow"],
        typer.Option(
            "--format",
            metavar="NAME",
            help="csv, json, parquet, tensorboard or mlflow. parquet and mlflow need further packages, and name "
            "those that are missing.",
        ),
    ],
    output: Annotated[
        str,
        typer.Option(
            metavar="DIR", help="Folder to write to; for mlflow also the address of a store, e.g. sqlite:///mlflow.db."
        ),
    ] = "exported",
    results: ExistingResults = DEFAULT_RESULTS,
) -> None:
    """Export trials, runs and predictions.

    csv, parquet and json: one table of runs, one of trials, and one per run with its predictions. The table of runs has
    one row per model and table of the leaderboard, so that a reference model may have several. Of repeated runs, only
    the newest is exported.
    tensorboard: learning curves and hyperparameters of all trials and refits. mlflow: a parent run per run with one
    child per trial. Runs that TensorBoard's folder or the MLflow store already has are not written again.
    """
    from bench.report.ranking import leaderboard

    board = leaderboard(results)
    if kind == "tensorboard":
        from bench.report.exports.tensorboard_logs import write_logs

        _report(*write_logs(board, Path(output)), shlex.join(["tensorboard", "--logdir", output]))
    elif kind == "mlflow":
        from bench.report.exports.mlflow_runs import how_to_show, tracking_uri, write_runs

        uri = tracking_uri(output)
        _report(*write_runs(board, uri), how_to_show(uri))
    else:
        from bench.records.files import write_atomic
        from bench.report.exports.tables import tables

        for name, content in tables(board, kind):
            write_atomic(Path(output) / name, content)
            typer.echo(Path(output) / name)
    warn_unreadable(board.problems)


def _report(written: int, existing: int, how: str) -> None:
    typer.echo(f"{counted(written, 'run')} written, {existing} already there. To show them: {how}")
