"""Show the events of a run in a notebook: messages and a table below the cell, updated in place."""

import html
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from bench.evaluation.text import duration
from bench.execution.events import Detail, Event, Message, Progress, Report

UPDATE_SECONDS = 0.5
COLUMNS = ("run", "stage", "trials", "epochs", "best validation score", "time left")


def in_notebook() -> bool:
    """Whether this process is the kernel of a notebook."""
    ipython = sys.modules.get("IPython")
    shell = None if ipython is None else ipython.get_ipython()
    return getattr(shell, "kernel", None) is not None


@contextmanager
def notebook(cells: Callable[[Progress], tuple[str, ...]]) -> Iterator[Report]:
    """Show events below the current cell for the duration of the context.

    Args:
        cells: the columns of a row of the table, as text.
    """
    from IPython.display import display

    view = _View(cells)
    handle: Any = display(view, display_id=True)
    updated = time.monotonic()

    def report(event: Event) -> None:
        nonlocal updated
        view.take(event)
        if isinstance(event, Message | Detail) or time.monotonic() - updated >= UPDATE_SECONDS:
            handle.update(view)
            updated = time.monotonic()

    try:
        yield report
    finally:
        handle.update(view)


class _View:
    """The messages so far, and the progress of each run."""

    def __init__(self, cells: Callable[[Progress], tuple[str, ...]]) -> None:
        self._cells = cells
        self._start = time.monotonic()
        self._messages: list[str] = []
        self._rows: dict[str, Progress] = {}

    def take(self, event: Event) -> None:
        """Add an event."""
        if isinstance(event, Message | Detail):
            self._messages.append(f"[{duration(time.monotonic() - self._start)}] {event.text}")
        elif isinstance(event, Progress):
            self._rows[event.key] = event

    def __repr__(self) -> str:
        rows = (", ".join(map(": ".join, zip(COLUMNS, row, strict=True))) for row in self._table())
        return "\n".join([*self._messages, *rows])

    def _repr_html_(self) -> str:
        messages = "\n".join(map(html.escape, self._messages))
        head = "".join(f"<th>{name}</th>" for name in COLUMNS)
        rows = ("".join(f"<td>{html.escape(cell)}</td>" for cell in row) for row in self._table())
        body = "".join(f"<tr>{row}</tr>" for row in rows)
        table = f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>" if body else ""
        return f"<pre>{messages}</pre>{table}"

    def _table(self) -> list[tuple[str, ...]]:
        return [self._cells(row) for row in self._rows.values()]
