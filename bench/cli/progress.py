"""Shows the events of a run: live on a terminal, one line at a time elsewhere."""

import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TextIO

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from bench.execution.events import Event, Finished, Message, Progress, RunFailed

PLAIN_SECONDS = 10


def show(events: Iterator[Event], stream: TextIO | None = None) -> list[Finished | RunFailed]:
    """Show `events` on `stream`, standard error by default, until they end; return those that ended a run."""
    stream = stream or sys.stderr
    console = Console(file=stream)
    can_redraw = console.is_terminal and not console.is_dumb_terminal
    shown = _live(events, console) if can_redraw else _plain(events, stream)
    return [event for event in shown if isinstance(event, Finished | RunFailed)]


def duration(seconds: float | None) -> str:
    """Minutes and seconds as 3:05, "unknown" where there is no estimate."""
    return "unknown" if seconds is None else f"{int(seconds) // 60}:{int(seconds) % 60:02d}"


def line(progress: Progress) -> str:
    """One family's progress in one line."""
    best, searched = progress.best_validation_accuracy, progress.trials_total > 0
    parts = [
        f"{progress.run}: {progress.stage}",
        f"trials {progress.trials} of {progress.trials_total}" + _failed(progress) if searched else "",
        f"epochs {progress.epochs} of {progress.epochs_total}",
        f"best validation accuracy {best:.4f}" if best is not None else "no trial scored yet" if searched else "",
        f"time left {duration(progress.seconds_left)}",
    ]
    return ", ".join(filter(None, parts))


def _failed(progress: Progress) -> str:
    return f" ({progress.failed} failed)" if progress.failed else ""


def _plain(events: Iterator[Event], stream: TextIO) -> Iterator[Event]:
    """A line for each message, and for progress at most one in ten seconds for each family and stage."""
    start, last = time.monotonic(), dict[tuple[str, str], float]()
    for event in events:
        text = None
        if isinstance(event, Message):
            text = event.text
        elif isinstance(event, Progress):
            key, now = (event.run, event.stage), time.monotonic()
            if now - last.get(key, -PLAIN_SECONDS) >= PLAIN_SECONDS:
                last[key] = now
                text = line(event)
        if text is not None:
            print(f"[{duration(time.monotonic() - start)}] {text}", file=stream, flush=True)
        yield event


def _live(events: Iterator[Event], console: Console) -> Iterator[Event]:
    """Messages scroll; below them one row for each family, redrawn as it changes."""
    start, rows = time.monotonic(), dict[str, tuple[Progress, float]]()

    def picture() -> Group | Text:
        now = time.monotonic()
        elapsed = Text(f"elapsed {duration(now - start)}", style="dim")
        return Group(_table([_aged(row, now - told) for row, told in rows.values()]), elapsed) if rows else elapsed

    with Live(get_renderable=picture, console=console, refresh_per_second=2, transient=True) as live:
        for event in events:
            if isinstance(event, Message):
                live.console.print(event.text, highlight=False)
            elif isinstance(event, Progress):
                rows[event.run] = event, time.monotonic()
            yield event


def _aged(progress: Progress, seconds: float) -> Progress:
    """`progress` some seconds later, while nothing new is known."""
    left = progress.seconds_left
    return progress if left is None else replace(progress, seconds_left=max(0.0, left - seconds))


def _table(rows: Sequence[Progress]) -> Table:
    table = Table(box=None, pad_edge=False)
    for name in ("run", "stage", "trials", "epochs", "best validation accuracy", "time left"):
        table.add_column(name, justify="left" if name in ("run", "stage") else "right")
    for row in rows:
        best = row.best_validation_accuracy
        table.add_row(
            row.run,
            row.stage,
            f"{row.trials} of {row.trials_total}" + _failed(row) if row.trials_total else "-",
            f"{row.epochs} of {row.epochs_total}",
            "-" if best is None else f"{best:.4f}",
            duration(row.seconds_left),
        )
    return table
