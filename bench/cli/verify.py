"""bench verify: check a finished run and retrain one of its refits."""

from typing import TYPE_CHECKING, Annotated

import typer

from bench.cli.datasets import notifier
from bench.cli.help import Command
from bench.cli.options import DataDir, ExistingResults, Quiet, RunDataset, RunName
from bench.cli.results import write_pages
from bench.command import DEFAULT_RESULTS
from bench.signals import exit_code

if TYPE_CHECKING:
    from bench.execution.verify import Check
    from bench.records.store import RunFolder
    from bench.report.board import Board

verify_app = typer.Typer()


@verify_app.command(
    cls=Command,
    rich_help_panel="Results",
    epilog="Examples:\n  bench verify cnn\n  bench verify cnn-hyperband-0123456789 --results my_results",
)
def verify(
    *,
    name: RunName,
    dataset: RunDataset = None,
    family: Annotated[
        str | None,
        typer.Option(
            metavar="FILE:OBJECT",
            show_default="where it was when the run was trained",
            help="Where the run's family is, if it was given by path.",
        ),
    ] = None,
    data_dir: DataDir = None,
    results: ExistingResults = DEFAULT_RESULTS,
    quiet: Quiet = False,
) -> None:
    """Check a finished run and retrain one of its refits.

    Recomputes the pages of the run and checks its code and data. With the same CPU model and versions, the
    predictions must be identical bit for bit; otherwise the accuracy must lie inside the 95% prediction interval for
    one seed. The additional test-set evaluation is logged. If the code has changed but the predictions are identical,
    the new code's digest is added to the record.
    """
    from bench.cli.progress import interruptible_display
    from bench.execution.options import Options
    from bench.execution.resume import run_dataset, run_family_files
    from bench.report.ranking import rank
    from bench.report.runs import find_run, load

    notify = notifier(quiet=quiet)
    loaded = load(results)
    folder = find_run(loaded, name).folder
    options = Options(
        results=results,
        dataset=run_dataset(folder, dataset, data_dir, notify),
        workers=1,
        family_files=run_family_files(folder, family),
    )
    notify("Comparing the pages with the records")
    pages = _check_pages(folder, rank(results, loaded))
    try:
        with interruptible_display(quiet=quiet) as report:
            from bench.workers.tasks import import_libraries

            import_libraries()
            from bench.execution.verify import verify

            checks = (pages, *verify(folder, options, report))
    except KeyboardInterrupt as interrupt:
        raise typer.Exit(exit_code(interrupt)) from None
    finally:
        if pages.passed:  # the number of test-set evaluations may have changed
            write_pages(results)
    for check in checks:
        typer.echo(f"{'passed' if check.passed else 'FAILED'}  {check.text}")
    verified = all(check.passed for check in checks)
    typer.echo(f"{name}: {'VERIFIED' if verified else 'not verified'}")
    raise typer.Exit(0 if verified else 1)


def _check_pages(folder: "RunFolder", board: "Board") -> "Check":
    """Recompute the pages with results of a run from the records."""
    from bench.command import command
    from bench.execution.verify import Check
    from bench.report.board import find_row
    from bench.report.build import check_run

    _, row = find_row(board, folder.dataset, folder.run_id)
    count, differing = check_run(board, row)
    if differing:
        remedy = f"rebuild them with `{command(board.results, 'report')}`, then verify again"
        return Check(passed=False, text=f"pages: out of date or edited: {', '.join(differing)}; {remedy}")
    return Check(passed=True, text=f"pages: {count} pages and figures match the records")
