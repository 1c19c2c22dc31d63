"""Commands on a results folder: leaderboard, compare, plan, report. They need no TensorFlow."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from bench.cli.options import AsJson, Command, ExistingResults
from bench.errors import SpecError

results_app = typer.Typer()


@results_app.command(epilog="\b\nExamples:\n  bench leaderboard\n  bench leaderboard --json | jq '.[].test_accuracy'")
def leaderboard(results: ExistingResults = Path("results"), as_json: AsJson = False) -> None:
    """Print the leaderboard.

    Needs neither TensorFlow nor the dataset.
    """
    from bench.report.ranking import leaderboard
    from bench.report.rows_json import rows_json
    from bench.report.terminal import leaderboard_text

    board = leaderboard(results)
    typer.echo(json.dumps(rows_json(board), indent=1) if as_json else leaderboard_text(board))
    if as_json:
        warn_unreadable(board.problems)
    if board.problems and not board.tables:
        raise typer.Exit(2)


@results_app.command(
    cls=Command,
    epilog="\b\nExamples:\n  bench compare cnn dense\n  bench compare cnn tutorial-cnn --json | jq .verdict",
)
def compare(
    a: Annotated[str, typer.Argument(metavar="A", help="Model name from the leaderboard, or run id.")],
    b: Annotated[
        str, typer.Argument(metavar="B", help="Another model name or run id, evaluated on the same test images.")
    ],
    results: ExistingResults = Path("results"),
    as_json: AsJson = False,
) -> None:
    """Compare two runs: significance test, metrics, errors, costs.

    Needs neither TensorFlow nor the dataset.
    """
    from bench.report.comparison import compare_runs, comparison_json, comparison_text

    comparison = compare_runs(results, a, b)
    typer.echo(json.dumps(comparison_json(comparison), indent=1) if as_json else comparison_text(comparison))


@results_app.command(
    cls=Command,
    epilog="\b\nExamples:\n  bench plan --detect 0.3\n  bench plan cnn tutorial-cnn --detect 1 --json",
)
def plan(
    detect: Annotated[
        float, typer.Option(metavar="POINTS", help="Difference in test accuracy to detect, in percentage points.")
    ],
    names: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="A B", help="Two model names from the leaderboard, or run ids.", show_default="the two best"
        ),
    ] = None,
    dataset: Annotated[
        str, typer.Option(metavar="DATASET", help="Dataset name (see `bench list`) or path.")
    ] = "fashion_mnist",
    results: ExistingResults = Path("results"),
    as_json: AsJson = False,
) -> None:
    """Compute how many seeds a comparison needs.

    Prints the number of seeds and minutes needed, or reports that the test set is too small to detect the difference.
    Needs neither TensorFlow nor the dataset.
    """
    from bench.data.catalog import name_of
    from bench.report.power_plan import plan_json, plan_text, power_plan

    planned = power_plan(results, name_of(dataset), detect, names or ())
    typer.echo(json.dumps(plan_json(planned), indent=1) if as_json else plan_text(planned))


@results_app.command(epilog="\b\nExamples:\n  bench report\n  bench report --check\n  bench report --html")
def report(
    results: ExistingResults = Path("results"),
    check: Annotated[
        bool, typer.Option("--check", help="Change nothing; exit with code 1 if a page is out of date.")
    ] = False,
    html: Annotated[
        bool, typer.Option("--html", help="Also write report.html: all pages and figures in one file.")
    ] = False,
    code: Annotated[
        bool,
        typer.Option("--code", help="First write the plain Keras code of runs that lack it; imports TensorFlow."),
    ] = False,
) -> None:
    """Rebuild all pages and figures from the records."""
    from bench.report import build
    from bench.report.text.numbers import counted

    if check and (html or code):
        raise SpecError("--check changes nothing; --html and --code write files: choose one")
    if check:
        differences = build.check(results)
        for difference in differences:
            typer.echo(difference)
        typer.echo(counted(len(differences), "problem") if differences else "All pages are up to date.")
        raise typer.Exit(1 if differences else 0)
    if code:
        from bench.execution.rebuild import store_plain_code

        for run_id, problem in store_plain_code(results):
            typer.echo(f"{run_id}: {problem or 'code written'}", err=True)
    changed, problems = build.write(results)
    for path in changed:
        typer.echo(path if path.exists() else f"removed {path}")
    typer.echo(f"{counted(len(changed), 'file')} written or removed", err=True)
    if html:
        from bench.report.html import write_html

        typer.echo(write_html(results))
    warn_unreadable(problems)


def write_pages(results: Path) -> None:
    """Bring all pages up to date and report records that cannot be read."""
    from bench.report import build

    _, problems = build.write(results)
    warn_unreadable(problems)


def warn_unreadable(problems: Sequence[str]) -> None:
    """Name the records that could not be read and are missing from pages and output."""
    for problem in problems:
        typer.echo(f"Could not be read: {problem}", err=True)
