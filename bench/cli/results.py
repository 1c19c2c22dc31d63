"""Commands on a results folder: leaderboard, compare, plan, report. They need no TensorFlow."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal

import typer

from bench.cli import completion
from bench.cli.datasets import notify
from bench.cli.help import Command
from bench.cli.json_output import echo_json
from bench.cli.options import AsJson, ExistingResults
from bench.command import DEFAULT_RESULTS
from bench.errors import SpecError
from bench.evaluation.text import counted

results_app = typer.Typer()


@results_app.command(
    cls=Command,
    rich_help_panel="Results",
    epilog="Examples:\n  bench leaderboard\n  bench leaderboard --sort log-loss --format md\n"
    "  bench leaderboard --json | jq '.[].test_accuracy'",
)
def leaderboard(
    *,
    results: ExistingResults = DEFAULT_RESULTS,
    wide: Annotated[
        bool,
        typer.Option(
            "--wide", help="Print more columns, as many as fit in lines of 200 characters; csv and json have all."
        ),
    ] = False,
    sort: Annotated[
        str,
        typer.Option(
            metavar="COLUMN",
            help="Sort by accuracy, model, parameters, training-time, prediction-time, core-seconds, or a metric such "
            "as macro-f1 or log-loss.",
        ),
    ] = "accuracy",
    output: Annotated[
        Literal["text", "csv", "json", "md"],
        typer.Option(
            "--format", metavar="NAME", help="text, csv, json or md (Markdown); csv and json have all columns."
        ),
    ] = "text",
    as_json: AsJson = False,
) -> None:
    """Print the leaderboard.

    A table for each dataset and budget, tuned and reference models together. Needs neither TensorFlow nor the dataset.
    """
    from bench.report.frames import runs_frame
    from bench.report.ranked_table import sorted_board
    from bench.report.ranking import leaderboard
    from bench.report.rows_json import rows_json
    from bench.report.terminal import leaderboard_text

    if as_json and output not in ("text", "json"):
        raise SpecError(f"--json and --format {output}: choose one")
    board = leaderboard(results)
    if as_json or output in ("csv", "json"):
        board = sorted_board(board, sort)
        if output == "csv":
            typer.echo(runs_frame(board).to_csv(index=False), nl=False)
        else:
            echo_json(rows_json(board))
        warn_unreadable(board.problems)
    else:
        typer.echo(leaderboard_text(board, wide=wide, sort=sort, markdown=output == "md"))
    if board.problems and not board.tables:
        raise typer.Exit(2)


@results_app.command(
    cls=Command,
    rich_help_panel="Results",
    epilog="Examples:\n  bench compare cnn dense\n  bench compare cnn dense --pictures changed\n"
    "  bench compare cnn tutorial-cnn --json | jq .verdict",
)
def compare(
    a: Annotated[
        str,
        typer.Argument(metavar="A", autocompletion=completion.runs, help="Model name from the leaderboard, or run id."),
    ],
    b: Annotated[
        str,
        typer.Argument(
            metavar="B",
            autocompletion=completion.runs,
            help="Another model name or run id, evaluated on the same test images.",
        ),
    ],
    *,
    pictures: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR", help="Also write pictures of the images that only one of the two classifies correctly."
        ),
    ] = None,
    results: ExistingResults = DEFAULT_RESULTS,
    as_json: AsJson = False,
) -> None:
    """Compare two runs: significance test, metrics, errors, costs.

    Needs neither TensorFlow nor the dataset.
    """
    from bench.report.comparison import compare_runs, comparison_json, comparison_text

    comparison = compare_runs(results, a, b)
    if as_json:
        echo_json(comparison_json(comparison))
    else:
        typer.echo(comparison_text(comparison))
    if pictures is not None:
        from bench.report.comparison_pictures import write_pictures

        paths = write_pictures(comparison, pictures)
        for path in paths:
            typer.echo(f"Pictures: {path}", err=True)
        if not paths:
            typer.echo(
                "No pictures: the records contain no image that only one of the two models classifies correctly.",
                err=True,
            )


@results_app.command(
    cls=Command,
    rich_help_panel="Results",
    epilog="Examples:\n  bench plan --detect 0.3\n  bench plan cnn tutorial-cnn --detect 1 --json",
)
def plan(
    detect: Annotated[
        float, typer.Option(metavar="POINTS", help="Difference in test accuracy to detect, in percentage points.")
    ],
    names: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="A B",
            autocompletion=completion.runs,
            help="Two model names from the leaderboard, or run ids.",
            show_default="the two best",
        ),
    ] = None,
    dataset: Annotated[
        str | None,
        typer.Option(
            metavar="DATASET",
            autocompletion=completion.datasets,
            help="Dataset name (see `bench list`) or path.",
            show_default="that of the runs, else the only one, else fashion_mnist",
        ),
    ] = None,
    results: ExistingResults = DEFAULT_RESULTS,
    as_json: AsJson = False,
) -> None:
    """Compute how many seeds a comparison needs.

    Prints the number of seeds and minutes needed, or reports that the test set is too small to detect the difference.
    Needs neither TensorFlow nor the dataset.
    """
    from bench.data.catalog import name_of
    from bench.report.power_plan import plan_json, plan_text, power_plan

    planned = power_plan(results, None if dataset is None else name_of(dataset), detect, names or ())
    if as_json:
        echo_json(plan_json(planned))
    else:
        typer.echo(plan_text(planned))


@results_app.command(
    cls=Command,
    rich_help_panel="Results",
    epilog="Examples:\n  bench report\n  bench report --check\n  bench report --html\n  bench report --open",
)
def report(
    results: ExistingResults = DEFAULT_RESULTS,
    check: Annotated[
        bool, typer.Option("--check", help="Change nothing; exit with code 1 if a page is out of date.")
    ] = False,
    html: Annotated[
        bool, typer.Option("--html", help="Also write html/: all pages as HTML for a browser, which work offline.")
    ] = False,
    open_browser: Annotated[
        bool, typer.Option("--open", help="Also write html/, and open its first page in the browser.")
    ] = False,
    code: Annotated[
        bool,
        typer.Option("--code", help="First write the plain Keras code of runs that lack it; imports TensorFlow."),
    ] = False,
) -> None:
    """Rebuild all pages and figures from the records."""
    if check and (html or open_browser or code):
        raise SpecError("--check changes nothing; --html, --open and --code write files: choose one")
    notify(f"Generating the pages of {results}")
    from bench.report import build

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
    if html or open_browser:
        from bench.report.html.site import write_html

        first = write_html(results)
        typer.echo(first)
        if open_browser:
            from bench.cli.serve import open_url

            open_url(first.resolve().as_uri())
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
