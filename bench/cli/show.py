"""bench show: what a run found, and its model as plain Keras code."""

from typing import Annotated

import typer

from bench.cli.help import Command
from bench.cli.json_output import echo_json
from bench.cli.options import AsJson, ExistingResults, RunName
from bench.command import DEFAULT_RESULTS
from bench.errors import ModelError, SpecError

show_app = typer.Typer()


@show_app.command(
    cls=Command,
    rich_help_panel="Results",
    epilog="Examples:\n  bench show cnn\n  bench show cnn --code > cnn.py\n  bench show cnn --json | jq .recipe",
)
def show(
    name: RunName,
    results: ExistingResults = DEFAULT_RESULTS,
    code: Annotated[bool, typer.Option("--code", help="Print only the plain Keras code.")] = False,
    as_json: AsJson = False,
) -> None:
    """Show a run: summary, hyperparameters, recipe, and plain Keras code.

    The code rebuilds and trains the winner without this package. Needs neither the dataset nor the run's models. A run
    without stored code needs the family's code, which must not have changed since the run.
    """
    from bench.execution.rebuild import plain_code
    from bench.report.run_text import recipe_text, run_json, run_row, run_text

    if code and as_json:
        raise SpecError("--code prints code and --json prints JSON: choose one")
    table, row = run_row(results, name)
    if not code and not as_json:
        typer.echo(run_text(results, table, row))
    try:
        rebuilt = plain_code(row.run.folder, row.record)
    except ModelError as error:
        if code:
            raise
        if as_json:
            echo_json({**run_json(row), "code": None, "no_code": str(error)})
        else:
            typer.echo(f"\nNo code: {error}")
        return
    if rebuilt.note is not None:
        typer.echo(rebuilt.note, err=True)
    if code:
        typer.echo(rebuilt.plain.code, nl=False)
    elif as_json:
        recipe = dict(rebuilt.plain.recipe)
        echo_json({**run_json(row), "recipe": recipe, "code": rebuilt.plain.code, "no_code": None})
    else:
        typer.echo(f"\n{recipe_text(dict(rebuilt.plain.recipe))}\n\nCode\n\n{rebuilt.plain.code}", nl=False)
