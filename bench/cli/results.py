"""What a results folder holds: leaderboard, comparisons of runs, pages. Needs no TensorFlow."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from bench.errors import SpecError

results_app = typer.Typer()

Results = Annotated[Path, typer.Option("--results", metavar="DIR", help="Where records and reports are kept.")]


@results_app.command(epilog="\b\nExamples:\n  bench leaderboard\n  bench leaderboard --json | jq '.[].test_accuracy'")
def leaderboard(
    results: Results = Path("results"),
    as_json: Annotated[bool, typer.Option("--json", help="Rows as JSON, numbers in full.")] = False,
) -> None:
    """Print the leaderboard of a results folder.

    Needs no TensorFlow and no dataset.
    """
    from bench.records.files import require_results_dir
    from bench.report.leaderboard import as_data, leaderboard
    from bench.report.terminal import leaderboard_text

    require_results_dir(results)
    board = leaderboard(results)
    typer.echo(json.dumps(as_data(board), indent=1) if as_json else leaderboard_text(board))
    if as_json:
        for problem in board.problems:
            typer.echo(f"Could not be read: {problem}", err=True)


@results_app.command(
    epilog="\b\nExamples:\n  bench compare cnn dense\n  bench compare cnn tutorial-cnn --json | jq .verdict"
)
def compare(
    a: Annotated[str, typer.Argument(metavar="A", help="A row of the leaderboard, or the folder of a run.")],
    b: Annotated[str, typer.Argument(metavar="B", help="Another one, judged on the same test images.")],
    results: Results = Path("results"),
    as_json: Annotated[bool, typer.Option("--json", help="As JSON, numbers in full.")] = False,
) -> None:
    """Compare two runs: verdict, classes, images that flip, costs.

    Needs no TensorFlow and no dataset.
    """
    from bench.records.files import require_results_dir
    from bench.report.pair import pair, pair_data, pair_text

    require_results_dir(results)
    found = pair(results, a, b)
    typer.echo(json.dumps(pair_data(found), indent=1) if as_json else pair_text(found))


@results_app.command(epilog="\b\nExamples:\n  bench plan --detect 0.3\n  bench plan cnn tutorial-cnn --detect 1 --json")
def plan(
    detect: Annotated[float, typer.Option(metavar="POINTS", help="Difference of test accuracy to be seen, in points.")],
    names: Annotated[
        list[str] | None,
        typer.Argument(metavar="[A B]", help="Two rows of the leaderboard.", show_default="the two best"),
    ] = None,
    dataset: Annotated[str, typer.Option(metavar="NAME", help="Dataset, see `bench list`.")] = "fashion_mnist",
    results: Results = Path("results"),
    as_json: Annotated[bool, typer.Option("--json", help="As JSON, numbers in full.")] = False,
) -> None:
    """Notify how many seeds and minutes a difference needs, or that this test set cannot show it.

    Needs no TensorFlow and no dataset.
    """
    from bench.data.catalog import module
    from bench.records.files import require_results_dir
    from bench.report.plan import plan, plan_data, plan_text

    module(dataset)  # there is one of that name
    require_results_dir(results)
    found = plan(results, dataset, detect, names or ())
    typer.echo(json.dumps(plan_data(found), indent=1) if as_json else plan_text(found))


@results_app.command(epilog="\b\nExamples:\n  bench report\n  bench report --check\n  bench report --html")
def report(
    results: Results = Path("results"),
    check: Annotated[bool, typer.Option("--check", help="Change nothing; exit 1 where a file differs.")] = False,
    html: Annotated[
        bool, typer.Option("--html", help="Write report.html, too: all pages and pictures in one file.")
    ] = False,
) -> None:
    """Rebuild every page and picture from the records alone."""
    from bench.records.files import require_results_dir
    from bench.report import report as reporting

    if check and html:
        raise SpecError("--check changes nothing and --html writes a file: choose one")
    require_results_dir(results)
    if check:
        differences = reporting.check(results)
        for difference in differences:
            typer.echo(difference)
        count = len(differences)
        typer.echo(f"{count} file(s) differ or are damaged" if count else "Every file is what the records give.")
        raise typer.Exit(1 if differences else 0)
    changed, problems = reporting.write(results)
    for path in changed:
        typer.echo(path if path.exists() else f"removed {path}")
    typer.echo(f"{len(changed)} file(s) written or removed", err=True)
    if html:
        from bench.report.html import write_html

        typer.echo(write_html(results))
    _tell_left_out(problems)


def _tell_left_out(problems: Sequence[str]) -> None:
    for problem in problems:
        typer.echo(f"Could not be read, and left out: {problem}", err=True)
