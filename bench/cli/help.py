"""Help of commands: options in named groups, one column of names and one of explanations, examples at the end.

Color and width are those of the terminal; into a file or a pipe it is plain text of 80 columns.
"""

import re
from typing import Any

from typer.core import TyperCommand, TyperGroup

MAX_WIDTH = 110  # longer lines are hard to read
PLAIN_WIDTH = 80
DEFAULTS = re.compile(r"  \[([^\[\]]*)\]$")  # which Typer appends to the text of an option
RANGE = re.compile(r"(; )?(-?\d+<=?x(<=?\d+)?|x[<>]=?\d+)")
Entry = tuple[str, str]  # name and explanation


class Command(TyperCommand):
    """A command with the help of this module."""

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Write the help of this command."""
        formatter.write(help_text(self, ctx))


class Group(TyperGroup):
    """A group of commands with the help of this module."""

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Write the help of this group."""
        formatter.write(help_text(self, ctx))


def help_text(command: Any, context: Any) -> str:
    """The help of a command or group, styled for the standard output."""
    from rich.console import Console
    from rich.text import Text

    console = Console(highlight=False)
    console.width = min(console.width, MAX_WIDTH) if console.is_terminal else PLAIN_WIDTH
    sections = {**parameters(command, context), **_commands(command, context)}
    width = max(len(name) for entries in sections.values() for name, _ in entries)
    with console.capture() as capture:
        console.print(Text(re.sub("[{}]", "", command.get_usage(context)), style="bold"))
        for paragraph in (command.help or "").split("\n\n"):
            console.print("\n", Text(" ".join(paragraph.split())), sep="")
        for title, entries in sections.items():
            console.print("\n", Text(f"{title}:", style="bold"), sep="")
            console.print(_grid(entries, width))
        if command.epilog:
            console.print("\n", Text(command.epilog, style="dim"), sep="", no_wrap=True, overflow="ignore", crop=False)
    return "\n".join(line.rstrip() for line in capture.get().splitlines()) + "\n"


def _grid(entries: list[Entry], width: int) -> Any:
    from rich.padding import Padding
    from rich.table import Table
    from rich.text import Text

    grid = Table.grid(padding=(0, 2, 0, 0))
    grid.add_column(min_width=width, no_wrap=True)
    grid.add_column()
    for name, explanation in entries:
        text = Text(explanation)
        text.highlight_regex(DEFAULTS, "dim")
        grid.add_row(Text(name, style="cyan"), text)
    return Padding.indent(grid, 2)


def parameters(command: Any, context: Any) -> dict[str, list[Entry]]:
    """Arguments, options without a group, then options by group."""
    sections: dict[str, list[Entry]] = {"Arguments": [], "Options": []}
    for parameter in command.get_params(context):
        if (record := parameter.get_help_record(context)) is None:
            continue
        name, explanation = record
        if parameter.param_type_name == "argument":
            sections["Arguments"].append((name.partition(" <")[0], without_range(explanation)))
        else:
            group = getattr(parameter, "rich_help_panel", None) or "Options"
            sections.setdefault(group, []).append((name, without_range(explanation)))
    return {title: entries for title, entries in sections.items() if entries}


def without_range(explanation: str) -> str:
    """Without the permitted numbers, which an error names, and without parentheses around a default."""

    def shorten(match: re.Match[str]) -> str:
        extra = RANGE.sub("", match[1]).strip()
        extra = re.sub(r"^default: \((.*)\)$", r"default: \1", extra)
        return f"  [{extra}]" if extra else ""

    return DEFAULTS.sub(shorten, explanation)


def _commands(group: Any, context: Any) -> dict[str, list[Entry]]:
    """The commands of a group, by kind."""
    sections: dict[str, list[Entry]] = {}
    for name in group.list_commands(context) if isinstance(group, TyperGroup) else ():
        command: Any = group.get_command(context, name)
        if not command.hidden:
            summary = " ".join((command.help or "").partition("\n\n")[0].split())
            sections.setdefault(command.rich_help_panel or "Commands", []).append((name, summary))
    return sections
