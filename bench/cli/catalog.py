"""bench list: the names that other commands accept."""

import json

import typer

from bench.cli.options import AsJson

list_app = typer.Typer()


@list_app.command("list", epilog="\b\nExamples:\n  bench list\n  bench list --json")
def list_names(as_json: AsJson = False) -> None:
    """List families, datasets, tuners and reference models.

    Includes those that installed packages provide.
    """
    import search_spaces
    from bench.baselines.catalog import NAMES
    from bench.data import catalog
    from bench.tuning import tuners

    names = {
        "families": search_spaces.names(),
        "datasets": catalog.names(),
        "tuners": tuners.names(),
        "reference models": NAMES,
    }
    if as_json:
        typer.echo(json.dumps({kind.replace(" ", "_"): values for kind, values in names.items()}, indent=1))
        return
    for kind, values in names.items():
        typer.echo(f"{kind}: {', '.join(values)}")
