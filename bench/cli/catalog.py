"""bench list: the names that other commands accept."""

import json
import shutil
import sys
from collections.abc import Mapping

import typer

from bench.cli import descriptions
from bench.cli.help import Command
from bench.cli.options import AsJson

list_app = typer.Typer()


@list_app.command(
    "list",
    cls=Command,
    rich_help_panel="Families and datasets",
    epilog="Examples:\n  bench list\n  bench list --json | jq .families",
)
def list_names(as_json: AsJson = False) -> None:
    """List families, datasets, tuners and reference models, with one line on each.

    Includes those that installed packages provide.
    """
    described = {
        "families": descriptions.families(),
        "datasets": descriptions.datasets(),
        "tuners": descriptions.tuners(),
        "reference models": descriptions.reference_models(),
    }
    if as_json:
        names = {kind.replace(" ", "_"): list(items) for kind, items in described.items()}
        typer.echo(json.dumps(names, indent=1))
        return
    sections = [f"{kind}:\n{items_text(items)}" for kind, items in described.items()]
    typer.echo("\n\n".join(sections))


def items_text(items: Mapping[str, str]) -> str:
    """Names and their descriptions, one line each; cut to the width of a terminal, complete elsewhere."""
    width = max(map(len, items), default=0)
    return "\n".join(_cut(f"  {name:<{width}}  {text}") for name, text in items.items())


def _cut(line: str) -> str:
    columns = shutil.get_terminal_size().columns
    return line if not sys.stdout.isatty() or len(line) <= columns else f"{line[: columns - 3]}..."
