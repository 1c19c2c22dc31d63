"""Encode and decode JSON: strict types, no NaN, errors that name the file and the line."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from bench.errors import BenchError, RecordError

Upgrade = Callable[[Any], Any]  # JSON of an older schema to that of the current one


def read_json(kind: Any, path: Path, upgrade: Upgrade | None = None) -> Any:
    """Decode a file that contains one object of type `kind`.

    Raises:
        RecordError: the file is missing or damaged.
    """
    return _decode(kind, read_bytes(path), str(path), upgrade)


def read_lines(kind: Any, path: Path, upgrade: Upgrade | None = None) -> list[Any]:
    """Decode a file with one object of type `kind` per line; empty if there is no file.

    Raises:
        RecordError: the file cannot be read, or a line other than a torn last one is damaged.
    """
    # A last line torn by a kill is skipped, and not removed: another process may be writing it at this moment.
    lines = read_bytes(path).split(b"\n")[:-1] if path.exists() else []
    return [_decode(kind, line, f"{path}:{number}", upgrade) for number, line in enumerate(lines, 1)]


def encode(value: object, where: Path, *, indent: int | None = None) -> bytes:
    """Encode `value` as JSON, ending with a line break.

    Raises:
        RecordError: a number is not finite.
    """
    separators = (",", ":") if indent is None else None
    fields = msgspec.to_builtins(value, enc_hook=_python_number)
    try:
        # Not msgspec's encoder, which writes NaN as null.
        text = json.dumps(fields, allow_nan=False, ensure_ascii=False, indent=indent, separators=separators)
    except ValueError as error:
        raise RecordError(f"{where} was not written: expected finite numbers ({error})") from error
    return text.encode() + b"\n"


def _python_number(value: Any) -> Any:
    """A number of NumPy, which hyperparameters may have, as one of Python."""
    if not hasattr(value, "item"):
        raise NotImplementedError(f"{type(value).__name__} cannot be written as JSON")
    return value.item()


def read_bytes(path: Path) -> bytes:
    """Read a file.

    Raises:
        RecordError: the file is missing or cannot be read.
    """
    try:
        return path.read_bytes()
    except OSError as error:
        raise RecordError(f"{path}: {error.strerror or error}: restore the file") from error


def _decode(kind: Any, content: bytes, where: str, upgrade: Upgrade | None) -> Any:
    try:
        fields = msgspec.json.decode(content)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise RecordError(f"{where}: expected JSON, found damaged text ({error}): restore the file") from error
    try:
        return msgspec.convert(upgrade(fields) if upgrade else fields, type=kind)
    except (KeyError, TypeError, AttributeError) as error:  # raised by `upgrade`
        problem = f"does not match any known schema: {type(error).__name__}: {error}"
        raise RecordError(f"{where}: {problem}: restore the file") from error
    except (ValueError, BenchError) as error:  # msgspec's errors are ValueErrors
        raise RecordError(f"{where}: {error}: restore the file") from error
