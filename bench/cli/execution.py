"""Shared by all training commands: show progress, then a table of all runs, or how to resume if interrupted."""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from bench.cli.results import write_pages
from bench.command import command
from bench.errors import SearchError, SpecError
from bench.signals import defer_signals, exit_code

if TYPE_CHECKING:
    from bench.data.dataset import Notify
    from bench.execution.events import Outcome, Report, RunFinished
    from bench.execution.options import Options
    from bench.records.spec import RunSpec


def train(
    choose: "Callable[[Notify], Sequence[RunSpec]]", options: "Options", title: str, *, quiet: bool, verbose: bool
) -> None:
    """Execute the specs that `choose` returns, as `execute` does.

    Raises:
        SpecError: both `quiet` and `verbose`.
        SearchError: a run failed.
    """
    title = f"{title}, results in {options.results}"
    raise_failures(execute(partial(_train_all, choose, options), title, options.results, quiet=quiet, verbose=verbose))


def _train_all(
    choose: "Callable[[Notify], Sequence[RunSpec]]", options: "Options", report: "Report"
) -> "tuple[Outcome, ...]":
    with defer_signals():
        from bench.execution import runner
    return runner.run(choose, options, report)


def execute(
    start: "Callable[[Report], tuple[Outcome, ...]]",
    title: str,
    results: Path,
    *,
    quiet: bool = False,
    verbose: bool = False,
) -> list[str]:
    """Show the progress of runs, then update the pages and print a ranked table of all of them.

    Args:
        start: executes the runs.
        title: the first line, printed before anything heavy is imported.
        results: the results folder.
        quiet: whether to show no progress.
        verbose: whether to show every trial and refit that ends.

    Returns:
        Why runs failed, one message per failed run.

    Raises:
        SpecError: both `quiet` and `verbose`.
    """
    from bench.cli.progress import interruptible_display
    from bench.execution.events import Message, RunFinished

    if quiet and verbose:
        raise SpecError("--quiet and --verbose: choose one")
    earlier = _unfinished(results)
    try:
        with interruptible_display(quiet=quiet, verbose=verbose) as report:
            report(Message(text=title))
            outcomes = start(report)
    except KeyboardInterrupt as interrupt:
        _print_how_to_resume(results, earlier)
        _update_pages(results)
        raise typer.Exit(exit_code(interrupt)) from None
    _print_summary(results, [outcome for outcome in outcomes if isinstance(outcome, RunFinished)])
    return [outcome.reason for outcome in outcomes if not isinstance(outcome, RunFinished)]


def _unfinished(results: Path) -> dict[str, float]:
    """Unfinished runs that no process is working on: run id to the modification time of its ledger."""
    from bench.execution.resume import unfinished

    folders = {folder.run_id: folder.ledger for folder in unfinished(results) if not folder.in_use}
    return {name: ledger.stat().st_mtime for name, ledger in folders.items() if ledger.exists()}


def _print_how_to_resume(results: Path, earlier: dict[str, float]) -> None:
    interrupted = [name for name, changed in _unfinished(results).items() if earlier.get(name) != changed]
    if not interrupted:
        typer.echo("Interrupted; repeat the command to continue.", err=True)
        return
    resume = command(results, "resume", *interrupted)
    typer.echo(f"Interrupted; completed trials and refits are saved. To resume:\n  {resume}", err=True)


def _print_summary(results: Path, finished: "Sequence[RunFinished]") -> None:
    from bench.execution.reproduction import reproduction_text
    from bench.report.run_summary import run_summary

    if not finished:
        _update_pages(results)
        return
    for line in dict.fromkeys(_complete(outcome) for outcome in finished if not outcome.trained):
        typer.echo(line, err=True)
    for outcome in finished:  # before the pages, which may fail
        if outcome.reproduction is not None and outcome.published is not None:
            typer.echo(reproduction_text(outcome.reproduction, outcome.published))
    write_pages(results)
    typer.echo(run_summary(results, [outcome.folder.run_id for outcome in finished]))
    for outcome in finished:
        for line in outcome.warnings:
            typer.echo(f"warning: {line}", err=True)


def _update_pages(results: Path) -> None:
    """After runs that did not finish: others may have, and a test-set evaluation may have been logged."""
    from bench.records.store import all_folders

    if any(folder.finished for folder in all_folders(results)):
        write_pages(results)


def _complete(outcome: "RunFinished") -> str:
    record = outcome.folder.read_record()
    if record.trained_elsewhere:  # `bench evaluate` has no --again, since the result would be the same
        return "Already evaluated; nothing to do."
    note = "" if record.reproduces is None else f" (a reproduction of {record.reproduces} with different predictions)"
    return f"Already complete{note}; nothing trained. Use --again to rerun."


def raise_failures(reasons: Sequence[str]) -> None:
    """Raise a SearchError with all reasons, if there are any."""
    if reasons:
        raise SearchError("\n".join(reasons))
