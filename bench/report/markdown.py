"""Markdown from templates: the pages' words are in templates/, the numbers come as DataFrames of text."""

import re
from functools import cache

import pandas as pd
from jinja2 import Environment, PackageLoader, StrictUndefined
from tabulate import tabulate

# In the first line of every page, so that a page that no record asks for any more can be told from one made by hand.
MARK = "<!-- Made by `python -m bench report` from the records: changes made here are lost. -->"
NUMBER = re.compile(r"[-+]?[\d.,]+( ±.*| \(.*)?|\?|-")


def render(template: str, **values: object) -> bytes:
    """A page from `templates/`, UTF-8, with at most one empty line in a row and one line break at its end."""
    page = environment().get_template(template).render(mark=MARK, **values)
    return (re.sub(r"\n{3,}", "\n\n", page).strip() + "\n").encode()


@cache
def environment(*, escape: bool = False) -> Environment:
    """What renders the files in `templates/`; HTML asks for `escape`, in Markdown `table` escapes its cells."""
    made = Environment(
        loader=PackageLoader("bench.report"),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        autoescape=escape,  # noqa: S701 - Markdown is not escaped as HTML is
    )
    made.filters |= {"table": table, "code": code_block, "inline": inline}
    return made


def table(frame: pd.DataFrame) -> str:
    """A pipe table, padded so that it is readable as text; columns of numbers stand right."""
    escaped = frame.map(inline)
    escaped.columns = pd.Index([inline(str(name)) for name in frame.columns])
    return tabulate(
        escaped,  # type: ignore[arg-type]
        headers="keys",
        tablefmt="pipe",
        showindex=False,
        disable_numparse=True,
        colalign=alignment(frame),
    )


def plain_table(frame: pd.DataFrame) -> str:
    """The same for a terminal, a header's words below each other, so that most rows fit into 80 columns."""
    return tabulate(
        frame,  # type: ignore[arg-type]
        headers=["\n".join(re.split(",? ", str(name))) for name in frame.columns],
        tablefmt="simple",
        showindex=False,
        disable_numparse=True,
        colalign=alignment(frame),
    )


def alignment(frame: pd.DataFrame) -> list[str]:
    """How columns stand: right where all cells are numbers, else left."""
    return ["right" if all(NUMBER.fullmatch(str(cell)) for cell in frame[name]) else "left" for name in frame.columns]


def inline(text: str) -> str:
    """Text on one line that cannot end its cell, nor become a tag or emphasis."""
    return re.sub(r"([|*<>`\\\[\]])", r"\\\1", " ".join(text.split()))


def code_block(text: str) -> str:
    """`text` as it is, in a fence longer than any that it holds."""
    fence = "`" * max(3, 1 + max((len(ticks) for ticks in re.findall(r"`+", text)), default=0))
    return f"{fence}text\n{text.rstrip()}\n{fence}"
