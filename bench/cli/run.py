"""bench run and resume: search families, retrain and evaluate the winners."""

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer

import search_spaces
from bench.cli import completion, descriptions
from bench.cli.catalog import items_text
from bench.cli.datasets import locate_dataset, notifier
from bench.cli.dry_run import print_forecast, print_plans
from bench.cli.execution import execute, raise_failures, train
from bench.cli.help import Command
from bench.cli.options import (
    Again,
    ClassNames,
    DataDir,
    DatasetOption,
    ExistingResults,
    ImageSize,
    PixelRangeName,
    Quiet,
    Results,
    Seed,
    Verbose,
    Workers,
)
from bench.cli.run_options import (
    ClassWeightsName,
    DryRun,
    Epochs,
    Families,
    MaxPending,
    NoEstimate,
    ObjectiveName,
    PrecisionChoice,
    PresetName,
    RefitSeeds,
    Scheduler,
    Searches,
    TimeLimit,
    Trials,
    TrialTimeout,
    Tuner,
)
from bench.command import DEFAULT_RESULTS
from bench.errors import SpecError
from bench.records.limits import DEFAULT_DATASET, DEFAULT_PRESET, DEFAULT_TUNER
from bench.signals import defer_signals

if TYPE_CHECKING:
    from bench.execution.events import Outcome, Report
    from bench.execution.options import Options
    from bench.records.store import RunFolder

run_app = typer.Typer()


@run_app.command(
    cls=Command,
    rich_help_panel="Train",
    epilog="Examples:\n"
    "  bench run --family cnn\n"
    "  bench run --family dense --family cnn --preset quick\n"
    "  bench run --family all --preset quick --dry-run\n"
    "  bench run --family dense --family cnn --refit-seeds 8\n"
    "  bench run --family cnn --dataset digits --tuner random --trials 8 --epochs 5\n"
    "  bench run --family cnn --dataset photos --image-size 32x32\n"
    "  bench run --family dense --dataset my_images.py\n"
    "  bench run --family my.py:build_model --family cnn --preset quick",
)
def run(
    *,
    families: Families = None,
    dataset: DatasetOption = DEFAULT_DATASET,
    preset: PresetName = DEFAULT_PRESET,
    tuner: Tuner = DEFAULT_TUNER,
    trials: Trials = None,
    epochs: Epochs = None,
    seed: Seed = 0,
    refit_seeds: RefitSeeds = None,
    searches: Searches = 1,
    workers: Workers = None,
    scheduler: Scheduler = None,
    time_limit: TimeLimit = None,
    trial_timeout: TrialTimeout = None,
    precision: PrecisionChoice = "auto",
    objective: ObjectiveName = "accuracy",
    class_weights: ClassWeightsName = "none",
    pixel_range: PixelRangeName = "auto",
    max_pending: MaxPending = None,
    data_dir: DataDir = None,
    image_size: ImageSize = None,
    class_names: ClassNames = None,
    results: Results = DEFAULT_RESULTS,
    again: Again = False,
    dry_run: DryRun = False,
    no_estimate: NoEstimate = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Tune families and evaluate the winners on the test set.

    Searches each family on a validation split, retrains the winner with several seeds, evaluates it, and updates the
    pages. Repeating the command resumes an interrupted run. If the results folder contains a finished run with the
    same specification but without its models (for example, from a git checkout), that run is repeated and the
    predictions are compared.
    """
    from bench.execution.models import locate_families
    from bench.execution.options import Options, family_files
    from bench.execution.request import SearchRequest
    from bench.machine import usable_cores

    if no_estimate and not dry_run:
        raise SpecError("--no-estimate needs --dry-run")
    if scheduler is not None and workers is not None:
        raise SpecError("--workers is for processes on this machine, --scheduler for those of a cluster: choose one")
    located = locate_families(_chosen(families or ()))
    location = locate_dataset(dataset, data_dir, image_size, class_names, quiet=quiet)
    request = SearchRequest(
        families=located,
        dataset=location,
        preset=preset,
        tuner=tuner,
        trials=trials,
        epochs=epochs,
        refit_seeds=refit_seeds,
        seed=seed,
        searches=searches,
        precision=precision,
        max_pending=max_pending,
        time_limit=time_limit,
        objective=None if objective == "accuracy" else objective,
        class_weights=None if class_weights == "none" else class_weights,
        pixel_range=None if pixel_range == "auto" else pixel_range,
    )
    options = Options(
        results=results,
        dataset=location,
        workers=workers or usable_cores(),
        scheduler=scheduler,
        trial_timeout=trial_timeout,
        again=again,
        family_files=family_files(located),
    )
    if no_estimate:
        print_plans(request, options)
    elif dry_run:
        notify = notifier(quiet=quiet)
        print_forecast(request.specs(notify), options, notify)
    else:
        names = ", ".join(family.name for family in located)
        train(request.specs, options, f"{names} on {location.name}, {tuner} search", quiet=quiet, verbose=verbose)


def _chosen(families: Sequence[str]) -> list[str]:
    """The families that the user named; `all` stands for those of `bench list`.

    Raises:
        SpecError: none is named.
    """
    if not families:
        items = items_text(descriptions.families())
        raise SpecError(f"--family is missing: choose one or more of these, or all\n{items}")
    return [name for each in families for name in (search_spaces.names() if each == "all" else (each,))]


@run_app.command(
    cls=Command,
    rich_help_panel="Train",
    epilog="Examples:\n  bench resume\n  bench resume cnn-hyperband-0123456789\n  bench resume --results my_results",
)
def resume(
    runs: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="RUN",
            autocompletion=completion.run_ids,
            help="Run ids (see `bench runs`).",
            show_default="all unfinished runs",
        ),
    ] = None,
    results: ExistingResults = DEFAULT_RESULTS,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Resume interrupted runs.

    Each continues with the options of its last session. If there is nothing to resume, the exit code is 0.
    """
    from bench.execution.resume import resumable

    groups, blocked = resumable(results, runs or ())
    if not groups and not blocked:
        typer.echo(f"Nothing to resume: {results} has no unfinished run.")
    reasons = [f"{run_id} cannot be resumed: {reason}" for run_id, reason in blocked.items()]
    for options, folders in groups.items():
        title = f"Resuming {', '.join(folder.run_id for folder in folders)}, results in {results}"
        reasons += execute(partial(_resume_all, folders, options), title, results, quiet=quiet, verbose=verbose)
    raise_failures(reasons)


def _resume_all(folders: "Sequence[RunFolder]", options: "Options", report: "Report") -> "tuple[Outcome, ...]":
    with defer_signals():
        from bench.execution import runner
    return runner.resume(folders, options, report)
