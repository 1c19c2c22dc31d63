"""The `bench` command. Heavy libraries are imported inside the command that needs them."""

import errno
import sys
from typing import Annotated

import typer

import search_spaces
from bench.cli.catalog import list_app
from bench.cli.data import data_app
from bench.cli.evaluate import evaluate_app
from bench.cli.export import export_app
from bench.cli.export_results import export_results_app
from bench.cli.families import families_app
from bench.cli.predict import predict_app
from bench.cli.results import results_app
from bench.cli.run import run_app
from bench.cli.runs import runs_app
from bench.cli.show import show_app
from bench.cli.verify import verify_app
from bench.cli.versions import versions_app
from bench.errors import BenchError
from bench.machine import discard_output

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    help="Compare families of Keras models, tuned with Keras Tuner.\n\n"
    "Exit codes: 0 success (or nothing to do), 1 a check found differences, 2 invalid input or a failed run, "
    "130 and 143 interrupted.",
    epilog="\b\nExamples:\n  bench run --family cnn\n  bench leaderboard",
)
for commands in (
    run_app,
    evaluate_app,
    show_app,
    predict_app,
    export_app,
    verify_app,
    families_app,
    list_app,
    results_app,
    export_results_app,
):
    app.add_typer(commands)
app.add_typer(data_app, name="data")
app.add_typer(runs_app, name="runs")
app.add_typer(versions_app, name="versions")


def _print_version(requested: bool) -> None:
    if requested:
        from bench import __version__

        typer.echo(__version__)
        raise typer.Exit


@app.callback()
def bench(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Global options. The help text is set on `app`."""


def main() -> None:
    """Entry point of `bench` and `python -m bench`."""
    search_spaces.add_current_folder()
    try:
        app()
    except BenchError as error:
        typer.echo(f"error: {error}", err=True)
        sys.exit(2)
    except OSError as error:
        if error.errno != errno.ENOSPC or error.filename is not None:
            raise
        discard_output()  # or Python would fail again when it flushes the buffer
        typer.echo("error: cannot write output: no space left on device", err=True)
        sys.exit(2)
