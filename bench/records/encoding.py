"""Encode and decode JSON: strict types, no NaN, errors that name the file."""

import json
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from bench.errors import BenchError, RecordError

_T = TypeVar("_T")


def decode(kind: type[_T], content: bytes, where: str) -> _T:
    """Decode `content` as an object of type `kind`.

    Raises:
        RecordError: the content is not JSON or not of this type; the message starts with `where`.
    """
    value: _T = convert(kind, parse(content, where), where)
    return value


def parse(content: bytes, where: str) -> Any:
    """Decode `content` as plain values.

    Raises:
        RecordError: the content is not JSON.
    """
    try:
        return msgspec.json.decode(content)
    except (msgspec.MsgspecError, ValueError) as error:
        raise RecordError(f"{where}: {error}") from error


def convert(kind: Any, fields: Any, where: str) -> Any:
    """Convert plain values to an object of type `kind`.

    Raises:
        RecordError: the values are not of this type.
    """
    try:
        return msgspec.convert(fields, type=kind)
    except (msgspec.MsgspecError, ValueError, BenchError) as error:
        raise RecordError(f"{where}: {error}") from error


def encode(value: object, where: Path, *, indent: int | None = None) -> bytes:
    """Encode `value` as JSON, ending with a line break.

    Raises:
        RecordError: a number is not finite.
    """
    separators = (",", ":") if indent is None else None
    fields = msgspec.to_builtins(value)
    try:
        # Not msgspec's encoder, which writes NaN as null.
        text = json.dumps(fields, allow_nan=False, ensure_ascii=False, indent=indent, separators=separators)
    except ValueError as error:
        raise RecordError(f"{where}: contains a number that is not finite: {fields}") from error
    return text.encode() + b"\n"


def read_bytes(path: Path) -> bytes:
    """Read a file.

    Raises:
        RecordError: the file is missing or cannot be read.
    """
    try:
        return path.read_bytes()
    except OSError as error:
        raise RecordError(f"{path}: {error.strerror or error}") from error
