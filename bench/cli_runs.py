"""python -m bench runs: what is in a results folder."""

import json
import shutil
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from bench.errors import SpecError

runs_app = typer.Typer(invoke_without_command=True, help="Show what is in a results folder, or delete from it.")

Results = Annotated[Path, typer.Option("--results", metavar="DIR", help="Where records and reports are kept.")]


@runs_app.callback()
def runs(
    context: typer.Context,
    results: Results = Path("results"),
    as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
) -> None:
    r"""Show each run: finished, or unfinished with the command to go on, and the disk it uses.

    \b
    Examples:
      bench runs
      bench runs delete cnn-hyperband-0123456789
    """
    if context.invoked_subcommand is not None:
        return
    from bench.command import command
    from bench.reporting.states import run_states, runs_table

    states = run_states(results)
    if as_json:
        typer.echo(json.dumps([asdict(state) for state in states], indent=1))
        return
    typer.echo(runs_table(results))
    for state in states:
        if state.spec is not None and not state.finished:
            typer.echo(f"\nTo go on with {state.run_id}:\n  {command([state.spec], results)}")


@runs_app.command()
def delete(
    run_id: Annotated[str, typer.Argument(help="Name of the run's folder, as `bench runs` shows it.")],
    results: Results = Path("results"),
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Delete a run with its record, predictions and models, and rebuild the report."""
    from bench.reporting import report
    from bench.store import all_folders

    found = [folder for folder in all_folders(results) if folder.path.name == run_id]
    if not found:
        known = ", ".join(folder.path.name for folder in all_folders(results)) or "none"
        raise SpecError(f"no run {run_id!r} in {results}; runs: {known}")
    if not yes:
        if not sys.stdin.isatty():
            raise SpecError(f"deleting {run_id} cannot be undone: confirm with --yes")
        typer.confirm(f"Delete {found[0].path} ({found[0].disk_bytes() / 1e6:.1f} MB)?", abort=True)
    lock = found[0].lock()
    shutil.rmtree(found[0].path)
    lock.release()
    report.write(results)
    typer.echo(f"deleted {run_id}")
