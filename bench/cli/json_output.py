"""JSON on standard output, for other programs."""

import json

import typer


def echo_json(value: object) -> None:
    """Print a value as JSON at full precision; a data class becomes an object."""
    typer.echo(json.dumps(value, indent=1, default=_plain))


def _plain(value: object) -> object:
    import msgspec

    return msgspec.to_builtins(value)
