"""Markdown from templates: the text of pages is in templates/, numbers come as data frames of text."""

import re
import textwrap
from functools import cache

import pandas as pd
from jinja2 import Environment, PackageLoader, StrictUndefined
from tabulate import tabulate

PACKAGE = "bench.report"
# A page whose record is gone is removed only if it starts with this: not one that another package or a person wrote.
MARK_PREFIX = "<!-- Made by `python -m bench report` from the records;"
MIN_HEADING = 10  # characters per line of a heading on the terminal
NUMBER = re.compile(r"[-+]?[\d.,]+( ±.*| \(.*)?|\?|-")


def render(template: str, *, package: str = PACKAGE, **values: object) -> bytes:
    """A page from the folder `templates` of a package, UTF-8, with single empty lines and a final line break."""
    page = environment(package).get_template(template).render(mark=mark(package), **values)
    return (re.sub(r"\n{3,}", "\n\n", page).strip() + "\n").encode()


def mark(package: str) -> str:
    """The first line of a page that `package` makes."""
    prefix = MARK_PREFIX if package == PACKAGE else MARK_PREFIX.replace("from", f"with {package} from")
    return f"{prefix} manual changes are overwritten. -->"


@cache
def environment(package: str = PACKAGE, *, escape: bool = False) -> Environment:
    """The template engine; `escape` is for HTML, in Markdown the filters escape."""
    made = Environment(
        loader=PackageLoader(package),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        autoescape=escape,  # noqa: S701 - Markdown needs no HTML escapes
    )
    made.filters |= {"table": table, "code": code_block, "inline": inline}
    return made


def table(frame: pd.DataFrame) -> str:
    """A pipe table, padded so that it is readable as text."""
    return _tabulated(frame.map(inline), [inline(str(name)) for name in frame.columns], "pipe")


def plain_table(frame: pd.DataFrame) -> str:
    """A table for the terminal, with wrapped headers so that columns are narrow."""
    headers = [textwrap.fill(str(name), MIN_HEADING, break_long_words=False) for name in frame.columns]
    return _tabulated(frame, headers, "simple")


def _tabulated(frame: pd.DataFrame, headers: list[str], style: str) -> str:
    """A table of text, with columns of numbers right-aligned."""
    numeric = [all(map(NUMBER.fullmatch, map(str, frame[name]))) for name in frame.columns]
    return tabulate(
        frame,  # type: ignore[arg-type]
        headers=headers,
        tablefmt=style,
        showindex=False,
        disable_numparse=True,
        colalign=["right" if each else "left" for each in numeric],
    )


def inline(text: str) -> str:
    """Text on one line that cannot end a table cell, nor become a tag or emphasis."""
    return re.sub(r"([|*<>`\\\[\]])", r"\\\1", " ".join(text.split()))


def code_block(text: str) -> str:
    """`text` unchanged, in a fence longer than any it contains."""
    fence = "`" * max(3, 1 + max((len(ticks) for ticks in re.findall(r"`+", text)), default=0))
    return f"{fence}text\n{text.rstrip()}\n{fence}"
