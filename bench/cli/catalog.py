"""bench list: the names that other commands accept."""

import re
import shutil
import sys
from collections.abc import Mapping

import typer

from bench.cli import descriptions
from bench.cli.help import Command
from bench.cli.json_output import echo_json
from bench.cli.options import AsJson

list_app = typer.Typer()

MIN_LENGTH = 20  # of a shortened description, in characters


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
        echo_json(names)
        return
    sections = [f"{kind}:\n{items_text(items)}" for kind, items in described.items()]
    typer.echo("\n\n".join(sections))


def items_text(items: Mapping[str, str]) -> str:
    """Names and their descriptions, one line each; shortened to the width of a terminal, complete elsewhere."""
    width = max(map(len, items), default=0)
    space = shutil.get_terminal_size().columns - width - 4 if sys.stdout.isatty() else None
    return "\n".join(f"  {name:<{width}}  {shortened(text, space)}" for name, text in items.items())


def shortened(text: str, length: int | None) -> str:
    """At most `length` characters of a text, if possible up to a punctuation mark; None for no limit."""
    if length is None or len(text) <= length:
        return text
    starts = [text[: mark.start()] for mark in re.finditer(r"[,;:] | \(", text[: length + 2])]
    fitting = [start for start in starts if len(start) >= MIN_LENGTH and start.count("(") == start.count(")")]
    return fitting[-1] if fitting else f"{text[: length - 3]}..."
