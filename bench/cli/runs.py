"""bench runs: list, delete and migrate the runs of a results folder."""

import shutil
import sys
from pathlib import Path
from typing import Annotated

import typer

from bench.cli import completion
from bench.cli.help import Command, Group
from bench.cli.json_output import echo_json
from bench.cli.options import AsJson, Results, parse_folder
from bench.cli.results import write_pages
from bench.command import DEFAULT_RESULTS, command
from bench.errors import SpecError, StoreError
from bench.evaluation.text import counted

runs_app = typer.Typer(
    cls=Group,
    invoke_without_command=True,
    help="List runs, delete a run, or migrate old records.\n\n"
    "Interrupted runs are listed with the command that resumes them.",
    epilog="Examples:\n"
    "  bench runs\n"
    "  bench runs --json\n"
    "  bench runs delete cnn-hyperband-0123456789\n"
    "  bench runs migrate",
)

SameResults = Annotated[
    Path | None,
    typer.Option(
        "--results",
        metavar="DIR",
        parser=parse_folder,
        help="Folder with records and pages.",
        show_default="results",
    ),
]


@runs_app.callback()
def runs(context: typer.Context, results: Results = DEFAULT_RESULTS, as_json: AsJson = False) -> None:
    """List the runs. The help text is set on `runs_app`."""
    context.obj = results
    if context.invoked_subcommand is not None:
        if as_json:
            raise SpecError(f"--json is for the list of runs, not for {context.invoked_subcommand}: remove it")
        return
    from bench.records.files import require_results_dir
    from bench.report.run_status import run_statuses, runs_table

    require_results_dir(results)
    statuses = run_statuses(results)
    if as_json:
        echo_json(statuses)
        return
    typer.echo(runs_table(statuses))
    for status in statuses:
        if status.spec is None or status.finished:
            continue
        from bench.execution.resume import resume_blocker
        from bench.records.store import RunFolder

        folder = RunFolder(results / "records" / status.dataset / status.run_id)
        if folder.in_use:
            typer.echo(f"\n{status.run_id} is running.")
        elif (reason := resume_blocker(folder)) is None:
            typer.echo(f"\nTo resume {status.run_id}:\n  {command(results, 'resume', status.run_id)}")
        else:
            typer.echo(
                f"\n{status.run_id} cannot be resumed: {reason}. To delete it:\n"
                f"  {command(results, 'runs', 'delete', status.run_id)}"
            )


@runs_app.command(
    cls=Command,
    epilog="Examples:\n"
    "  bench runs delete cnn-hyperband-0123456789\n"
    "  bench runs delete cnn-hyperband-0123456789 --yes",
)
def delete(
    context: typer.Context,
    run_id: Annotated[
        str, typer.Argument(metavar="RUN", autocompletion=completion.run_ids, help="Run id (see `bench runs`).")
    ],
    results: SameResults = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask for confirmation.")] = False,
) -> None:
    """Delete a run and rebuild the pages.

    Its record, predictions and models are permanently deleted. Its test-set evaluations remain in the log.
    """
    from bench.records.store import all_folders

    results = results or context.obj
    matches = [folder for folder in all_folders(results) if folder.run_id == run_id]
    if not matches:
        known = ", ".join(folder.run_id for folder in all_folders(results)) or "none"
        raise SpecError(f"no run {run_id!r} in {results}; existing runs: {known}")
    folder = matches[0]
    if not yes:
        if not sys.stdin.isatty():
            raise SpecError(f"deleting {run_id} cannot be undone: confirm with --yes")
        if not typer.confirm(f"Delete {folder.path} ({folder.disk_bytes() / 1e6:.1f} MB)?"):
            typer.echo("Nothing deleted.", err=True)
            return
    with folder.lock():
        try:
            shutil.rmtree(folder.path)
        except OSError as error:
            raise StoreError(f"cannot delete {error.filename}: {error.strerror}") from error
    write_pages(results)
    typer.echo(f"deleted {run_id}")


@runs_app.command(
    "migrate", cls=Command, epilog="Examples:\n  bench runs migrate\n  bench runs migrate --results my_results"
)
def migrate_records(context: typer.Context, results: SameResults = None) -> None:
    """Migrate records with older schemas to the current one and rebuild the pages.

    Digests, commits and all numbers stay the same.
    """
    from bench.records.files import require_results_dir
    from bench.records.migrate import migrate

    results = results or context.obj
    require_results_dir(results)
    migrated = migrate(results)
    for run_id in migrated:
        typer.echo(f"migrated {run_id}")
    summary = f"{counted(len(migrated), 'run')} migrated" if migrated else "All records already use the current schema."
    typer.echo(summary, err=True)
    write_pages(results)
