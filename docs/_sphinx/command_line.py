"""Sphinx extension: the reference of the command line, made from the Typer app where a page has MARK."""

import inspect
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import typer

from bench.cli.help import parameters

if TYPE_CHECKING:
    from sphinx.application import Sphinx

MARK = "<!-- command line reference -->"


def reference(app: typer.Typer, name: str) -> str:
    """Markdown: one section per command, with its usage, arguments, options and examples."""
    return "\n".join(_command(typer.main.get_command(app), name, None))


def _command(command: Any, name: str, parent: typer.Context | None) -> Iterator[str]:
    context = typer.Context(command, info_name=name, parent=parent, **command.context_settings)
    path = context.command_path
    yield f"## `{path}`\n"
    yield _markdown(_plain(command.help or "")) + "\n"
    yield f"```text\n{' '.join([path, *command.collect_usage_pieces(context)])}\n```\n"
    for heading, rows in parameters(command, context).items():
        yield f"| {heading} | meaning |\n|---|---|"
        yield from (f"| `{name}` | {_markdown(' '.join(text.split()))} |" for name, text in rows)
        yield ""
    if command.epilog:
        heading, *lines = _plain(command.epilog).splitlines()
        yield "\n".join([f"{heading}\n", "```text", *(line.strip() for line in lines if line.strip()), "```\n"])
    for child, subcommand in getattr(command, "commands", {}).items():
        if not subcommand.hidden:
            yield from _command(subcommand, child, context)


def _plain(text: str) -> str:
    """The text without Click's marks for paragraphs that are not wrapped."""
    return inspect.cleandoc(text.replace("\b\n", "").replace("\f", ""))


def _markdown(text: str) -> str:
    """The text with options as code; code in backticks stays, all else is literal."""
    parts = re.split(r"(`[^`]*`|(?<!\S)--[a-z][a-z-]*)", text)
    parts[1::2] = [f"`{part.strip('`')}`" for part in parts[1::2]]
    parts[::2] = [re.sub(r"([|*_<>\[\]\\])", r"\\\1", part) for part in parts[::2]]
    return "".join(parts)


def _insert(_app: "Sphinx", _document: str, source: list[str]) -> None:
    if MARK in source[0]:
        from bench.cli.app import app

        source[0] = source[0].replace(MARK, reference(app, "bench"))


def setup(app: "Sphinx") -> dict[str, bool]:
    """Register the extension."""
    app.connect("source-read", _insert)
    return {"parallel_read_safe": True}
