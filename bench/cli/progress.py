"""Show the events of a run: a live table on a terminal or in a notebook, plain lines elsewhere."""

import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import replace
from typing import TextIO

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from bench.cli.notebook import COLUMNS, in_notebook, notebook
from bench.evaluation.text import duration
from bench.execution.events import Detail, Event, Message, Progress, Report
from bench.execution.steady_time import steady
from bench.signals import handle_signals

PLAIN_SECONDS = 10


@contextmanager
def display(stream: TextIO | None = None, *, quiet: bool = False, verbose: bool = False) -> Iterator[Report]:
    """Show events for the duration of the context.

    Args:
        stream: where to; by default standard error, or a notebook.
        quiet: whether to show none.
        verbose: whether to show every trial and refit that ends.
    """
    with nullcontext(_ignore) if quiet else _display(stream) as show:
        report = steady(show)
        yield report if verbose else _without_details(report)


@contextmanager
def interruptible_display(*, quiet: bool = False, verbose: bool = False) -> Iterator[Report]:
    """As `display`; Ctrl-C raises KeyboardInterrupt and SIGTERM Terminated, at the latest at the next report."""
    with handle_signals() as raise_lost_interrupt, display(quiet=quiet, verbose=verbose) as show:

        def report(event: Event) -> None:
            raise_lost_interrupt()
            show(event)

        yield report


def _display(stream: TextIO | None) -> AbstractContextManager[Report]:
    if stream is None and in_notebook():
        return notebook(_cells)
    stream = stream or sys.stderr
    console = Console(file=stream)
    can_redraw = console.is_terminal and not console.is_dumb_terminal
    return _live(console) if can_redraw else _plain(stream)


def _ignore(event: Event) -> None:
    """Show nothing."""


def _without_details(report: Report) -> Report:
    return lambda event: None if isinstance(event, Detail) else report(event)


def line(progress: Progress) -> str:
    """The progress of one run in one line."""
    is_search = progress.trials_total > 0 or progress.trials > 0
    score = "no score yet" if progress.best is None else f"best {progress.best}"
    parts = [
        f"{progress.run}: {progress.stage}",
        f"trials {_count(progress.trials, progress.trials_total)}" + _failed(progress) if is_search else "",
        f"epochs {_count(progress.epochs, progress.epochs_total)}" if progress.epochs or progress.epochs_total else "",
        score if is_search or progress.best is not None else "",
        f"time left {duration(progress.seconds_left)}" if progress.seconds_left is not None else "",
    ]
    return ", ".join(filter(None, parts))


def _count(number: int, total: int) -> str:
    return f"{number} of {total}" if total else f"{number}"


def _failed(progress: Progress) -> str:
    return f" ({progress.failed} failed)" if progress.failed else ""


@contextmanager
def _plain(stream: TextIO) -> Iterator[Report]:
    """One line per message, and at most one progress line per run and stage every ten seconds."""
    start, last = time.monotonic(), dict[tuple[str, str], float]()

    def report(event: Event) -> None:
        text = None
        if isinstance(event, Message | Detail):
            text = event.text
        elif isinstance(event, Progress):
            key, now = (event.key, event.stage), time.monotonic()
            if now - last.get(key, -PLAIN_SECONDS) >= PLAIN_SECONDS:
                last[key] = now
                text = line(event)
        if text is not None:
            print(f"[{duration(time.monotonic() - start)}] {text}", file=stream, flush=True)

    yield report


@contextmanager
def _live(console: Console) -> Iterator[Report]:
    """Messages scroll above a table with one row per run."""
    start, rows = time.monotonic(), dict[str, tuple[Progress, float]]()

    def render() -> Group | Text:
        now = time.monotonic()
        elapsed = Text(f"elapsed {duration(now - start)}", style="dim")
        if not rows:
            return elapsed
        return Group(_table([_aged(row, now - updated) for row, updated in [*rows.values()]]), elapsed)

    def report(event: Event) -> None:
        if isinstance(event, Message | Detail):
            live.console.print(Text(event.text))  # a string would be read as markup: [name] would be lost
        elif isinstance(event, Progress):
            rows[event.key] = event, time.monotonic()

    with Live(get_renderable=render, console=console, refresh_per_second=2, transient=True) as live:
        yield report


def _aged(progress: Progress, seconds: float) -> Progress:
    """`progress` with its remaining time reduced by the seconds since its last update."""
    if progress.seconds_left is None:
        return progress
    return replace(progress, seconds_left=max(0.0, progress.seconds_left - seconds))


def _table(rows: Sequence[Progress]) -> Table:
    table = Table(box=None, pad_edge=False)
    for name in COLUMNS:
        table.add_column(name, justify="left" if name in ("run", "stage") else "right")
    for row in rows:
        table.add_row(*map(Text, _cells(row)))
    return table


def _cells(row: Progress) -> tuple[str, ...]:
    """The columns of one run."""
    return (
        row.run,
        row.stage,
        _count(row.trials, row.trials_total) + _failed(row) if row.trials or row.trials_total else "-",
        _count(row.epochs, row.epochs_total) if row.epochs or row.epochs_total else "-",
        row.best or "-",
        "-" if row.seconds_left is None else duration(row.seconds_left),
    )
