"""Tables and paragraphs for terminals of 80 characters."""

import re
import textwrap
from collections.abc import Iterable

import pandas as pd

MAX_WIDTH = 80  # characters
NUMBER = re.compile(r"[-+]?[\d.,]+.*|[-?]|unknown")  # also with a unit or an interval


def narrow_table(frame: pd.DataFrame) -> str:
    """A table of text, as narrow as its cells permit: headers break at spaces, columns of numbers are right-aligned."""
    cells = [[*map(str, column)] for _, column in frame.items()]
    widths = [max(map(len, [*column, *name.split()])) for name, column in zip(frame.columns, cells, strict=True)]
    numeric = [all(map(NUMBER.fullmatch, column)) for column in cells]

    def line(texts: Iterable[str]) -> str:
        aligned = (
            text.rjust(width) if right else text.ljust(width)
            for text, width, right in zip(texts, widths, numeric, strict=True)
        )
        return "  ".join(aligned).rstrip()

    headers = [
        textwrap.wrap(name, width, break_on_hyphens=False) for name, width in zip(frame.columns, widths, strict=True)
    ]
    height = max(map(len, headers))
    heading = zip(*([*header, *[""] * (height - len(header))] for header in headers), strict=True)
    rule = "  ".join("-" * width for width in widths)
    return "\n".join([*map(line, heading), rule, *map(line, zip(*cells, strict=True))])


def wrap(text: str) -> str:
    """Each line of a text, wrapped."""
    return "\n".join(textwrap.fill(line, MAX_WIDTH, break_on_hyphens=False) for line in text.splitlines())
