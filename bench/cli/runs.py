"""python -m bench runs: what is in a results folder."""

import json
import shlex
import shutil
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from bench.cli.results import Results
from bench.errors import SpecError, StoreError

runs_app = typer.Typer(
    invoke_without_command=True,
    help="Show what is in a results folder, or delete from it.\n\n"
    "Each run is finished, or unfinished with the command to go on; beside it is the disk that it uses.",
    epilog="\b\nExamples:\n  bench runs\n  bench runs --json\n  bench runs delete cnn-hyperband-0123456789",
)


@runs_app.callback()
def runs(
    context: typer.Context,
    results: Results = Path("results"),
    as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
) -> None:
    """Show each run; the help text stands above, where Typer looks for it."""
    context.obj = results
    if context.invoked_subcommand is not None:
        return
    from bench.execution.options import Options
    from bench.execution.resume import command, resume_blocker
    from bench.machine import usable_cores
    from bench.records.files import require_results_dir
    from bench.report.states import run_states, runs_table

    require_results_dir(results)
    states = run_states(results)
    if as_json:
        typer.echo(json.dumps([asdict(state) for state in states], indent=1))
        return
    typer.echo(runs_table(results))
    for state in states:
        if state.spec is None or state.finished:
            continue
        if (reason := resume_blocker(state.spec)) is not None:
            remove = ["python", "-m", "bench", "runs", "delete", state.run_id, "--results", str(results)]
            typer.echo(f"\n{state.run_id} cannot go on: {reason}. To remove it:\n  {shlex.join(remove)}")
        else:
            options = Options(results=results, workers=usable_cores())
            typer.echo(f"\nTo go on with {state.run_id}:\n  {command([state.spec], options)}")


@runs_app.command(
    epilog="\b\nExamples:\n"
    "  bench runs delete cnn-hyperband-0123456789\n"
    "  bench runs delete cnn-hyperband-0123456789 --yes"
)
def delete(
    context: typer.Context,
    run_id: Annotated[str, typer.Argument(metavar="RUN", help="Name of the run's folder, as `bench runs` shows it.")],
    results: Annotated[
        Path | None, typer.Option("--results", metavar="DIR", help="As of `bench runs`.", show_default="results")
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Delete a run and rebuild the report.

    Its record, predictions and models are gone for good.
    """
    from bench.records.store import all_folders
    from bench.report import report

    results = results or context.obj
    found = [folder for folder in all_folders(results) if folder.path.name == run_id]
    if not found:
        known = ", ".join(folder.path.name for folder in all_folders(results)) or "none"
        raise SpecError(f"no run {run_id!r} in {results}; runs: {known}")
    if not yes:
        if not sys.stdin.isatty():
            raise SpecError(f"deleting {run_id} cannot be undone: confirm with --yes")
        typer.confirm(f"Delete {found[0].path} ({found[0].disk_bytes() / 1e6:.1f} MB)?", abort=True)
    lock = found[0].lock()
    try:
        shutil.rmtree(found[0].path)
    except OSError as error:
        raise StoreError(f"cannot delete {error.filename}: {error.strerror}") from error
    finally:
        lock.release()
    report.write(results)
    typer.echo(f"deleted {run_id}")
