"""The `bench` command. Heavy libraries are imported inside the command that needs them."""

import errno
import sys
from typing import Annotated, NoReturn

import typer

import search_spaces
from bench.cli.catalog import list_app
from bench.cli.data import data_app
from bench.cli.evaluate import evaluate_app
from bench.cli.export import export_app
from bench.cli.export_results import export_results_app
from bench.cli.families import families_app
from bench.cli.help import Group
from bench.cli.predict import predict_app
from bench.cli.reproduce import reproduce_app
from bench.cli.results import results_app
from bench.cli.run import run_app
from bench.cli.runs import runs_app
from bench.cli.serve import serve_app
from bench.cli.show import show_app
from bench.cli.verify import verify_app
from bench.cli.versions import versions_app
from bench.errors import BenchError
from bench.machine import discard_output
from bench.signals import exit_code

app = typer.Typer(
    cls=Group,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # the help is that of bench.cli.help
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Compare families of Keras models, tuned with Keras Tuner.\n\n"
    "Exit codes: 0 success (or nothing to do), 1 a check found differences, 2 invalid input or a failed run, "
    "129, 130 and 143 interrupted.",
    epilog="Examples:\n  bench run --family cnn\n  bench leaderboard",
)
for commands in (
    run_app,
    reproduce_app,
    evaluate_app,
    results_app,
    show_app,
    serve_app,
    verify_app,
    export_results_app,
    predict_app,
    export_app,
    list_app,
    families_app,
):
    app.add_typer(commands)
app.add_typer(runs_app, name="runs", rich_help_panel="Results")
app.add_typer(versions_app, name="versions", rich_help_panel="Results")
app.add_typer(data_app, name="data", rich_help_panel="Families and datasets")


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
        # Shells complete this name. Without standalone mode, exceptions arrive here.
        sys.exit(app(prog_name="bench", standalone_mode=False) or 0)
    except BenchError as error:
        _end(str(error))
    except typer.TyperException as error:
        _end_usage(error)
    except typer.Abort:  # Ctrl-C or Ctrl-D instead of an answer
        typer.echo("\naborted", err=True)
        sys.exit(exit_code(KeyboardInterrupt()))
    except OSError as error:
        if error.errno != errno.ENOSPC or error.filename is not None:
            raise
        discard_output()  # or Python would fail again when it flushes the buffer
        _end("cannot write output: no space left on device")


def _end_usage(error: typer.TyperException) -> NoReturn:
    """End with the command whose help explains what is valid."""
    message = error.format_message()
    if "Usage: " in message.partition("\n")[0]:  # the help of a group without a command
        typer.echo(message, err=True)
        sys.exit(2)
    message = " ".join(message.split()).replace("Value error, ", "").replace("Input should be", "must be").rstrip(".")
    message = message.replace("a valid integer, unable to parse string as an integer", "a whole number")
    message = message.replace("a valid number, unable to parse string as a number", "a number")
    context = getattr(error, "ctx", None)
    hint = "" if context is None else f"\nSee: {context.command_path} --help"
    _end(f"{message[:1].lower()}{message[1:]}{hint}")


def _end(message: str) -> NoReturn:
    typer.echo(f"error: {message}", err=True)
    sys.exit(2)
