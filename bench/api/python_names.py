"""Errors as a script sees them: what is an option of the command line is a parameter here."""

import re
from collections.abc import Iterator
from contextlib import contextmanager

from bench.errors import BenchError

COMMANDS = re.compile(r"(`[^`]*`|^ *python -m bench .*$)", re.MULTILINE)
OPTION = re.compile(r"(?<![\w-])--([a-z]+(?:-[a-z]+)*)")
SIZE = re.compile(r"image_size (\w+)x(\w+)")


@contextmanager
def python_names() -> Iterator[None]:
    """Name parameters such as `image_size` instead of options such as `--image-size` in the errors of the block."""
    try:
        yield
    except BenchError as error:
        error.args = tuple(translated(each) if isinstance(each, str) else each for each in error.args)
        raise


def translated(message: str) -> str:
    """A message with parameters instead of options, except in commands."""
    parts = COMMANDS.split(message)
    return "".join(part if number % 2 else _parameters(part) for number, part in enumerate(parts))


def _parameters(text: str) -> str:
    text = OPTION.sub(lambda option: option[1].replace("-", "_"), text.replace("--again", "again=True"))
    return SIZE.sub(r"image_size=(\1, \2)", text)
