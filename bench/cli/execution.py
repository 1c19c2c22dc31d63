"""Shared by all training commands: show progress, then the new leaderboard rows, or how to resume if interrupted."""

import shlex
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from bench.errors import SearchError
from bench.signals import exit_code, handle_sigterm

if TYPE_CHECKING:
    from bench.execution.events import Outcome, Report, RunFinished


def execute(start: "Callable[[Report], tuple[Outcome, ...]]", title: str, results: Path) -> list[str]:
    """Show the progress of runs, then print their rows and update the pages.

    Args:
        start: executes the runs.
        title: the first line, printed before anything heavy is imported.
        results: the results folder.

    Returns:
        Why runs failed, one message per failed run.
    """
    from bench.cli.progress import display
    from bench.execution.events import Message, RunFinished

    earlier = _unfinished(results)
    try:
        with handle_sigterm(), display() as report:
            report(Message(text=title))
            outcomes = start(report)
    except KeyboardInterrupt as interrupt:
        _print_how_to_resume(results, earlier)
        raise typer.Exit(exit_code(interrupt)) from None
    _print_rows(results, [outcome for outcome in outcomes if isinstance(outcome, RunFinished)])
    return [outcome.reason for outcome in outcomes if not isinstance(outcome, RunFinished)]


def _unfinished(results: Path) -> dict[str, float]:
    """Unfinished runs: run id to the modification time of its ledger."""
    from bench.execution.resume import unfinished

    folders = {folder.path.name: folder.ledger for folder in unfinished(results)}
    return {name: ledger.stat().st_mtime for name, ledger in folders.items() if ledger.exists()}


def _print_how_to_resume(results: Path, earlier: dict[str, float]) -> None:
    interrupted = [name for name, changed in _unfinished(results).items() if earlier.get(name) != changed]
    if not interrupted:
        typer.echo("Interrupted before training started; repeat the command.", err=True)
        return
    command = ["python", "-m", "bench", "resume", *interrupted]
    if results != Path("results"):
        command += ["--results", str(results)]
    typer.echo(f"Interrupted; completed trials and refits are saved. To resume:\n  {shlex.join(command)}", err=True)


def _print_rows(results: Path, finished: "Sequence[RunFinished]") -> None:
    from bench.execution.reproduction import describe
    from bench.report import build
    from bench.report.terminal import row_text

    if not finished:
        return
    for outcome in finished:  # before the pages, which may fail
        if not outcome.trained:
            typer.echo(_complete(outcome), err=True)
        if outcome.reproduction is not None and outcome.published is not None:
            typer.echo(describe(outcome.reproduction, outcome.published))
    build.write(results)
    for outcome in finished:
        typer.echo(row_text(results, outcome.folder.path.parent.name, outcome.folder.path.name))
    typer.echo(f"Leaderboard: {results / 'leaderboard.md'}")


def _complete(outcome: "RunFinished") -> str:
    reproduces = outcome.folder.read_record().reproduces
    note = "" if reproduces is None else f" (a reproduction of {reproduces} with different predictions)"
    return f"Already complete{note}; nothing trained. Use --again to rerun."


def raise_failures(reasons: Sequence[str]) -> None:
    """Raise a SearchError with all reasons, if there are any."""
    if reasons:
        raise SearchError("\n".join(reasons))
