"""bench run, resume and reproduce: train, print the rows of the leaderboard, rebuild the pages."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bench.cli.datasets import locate_dataset
from bench.cli.dry_run import print_forecast
from bench.cli.execution import execute, raise_failures
from bench.cli.options import (
    Again,
    ClassNames,
    ClassWeightsName,
    Command,
    DataDir,
    DatasetOption,
    DryRun,
    Epochs,
    ExistingResults,
    Families,
    ImageSize,
    MaxPending,
    ObjectiveName,
    PixelRangeName,
    PrecisionChoice,
    PresetName,
    RefitSeeds,
    Results,
    Scheduler,
    Searches,
    Seed,
    TimeLimit,
    Trials,
    TrialTimeout,
    Tuner,
    Workers,
)
from bench.errors import check_name
from bench.records.limits import DEFAULT_REFIT_SEEDS, DEFAULT_TUNER, MAX_REFIT_SEEDS
from bench.signals import defer_signals

if TYPE_CHECKING:
    from bench.execution.events import Outcome, Report
    from bench.execution.options import Options
    from bench.records.spec import RunSpec
    from bench.records.store import RunFolder

run_app = typer.Typer()


@run_app.command(
    epilog="\b\nExamples:\n"
    "  bench run --family cnn\n"
    "  bench run --family dense --family cnn --preset quick\n"
    "  bench run --family dense --family cnn --refit-seeds 8\n"
    "  bench run --family cnn --dataset digits --tuner random --trials 8 --epochs 5\n"
    "  bench run --family cnn --dataset photos --image-size 32x32\n"
    "  bench run --family dense --dataset my_images.py\n"
    "  bench run --family my.py:build_model --family cnn --preset quick"
)
def run(
    *,
    families: Families,
    dataset: DatasetOption = "fashion_mnist",
    preset: PresetName = "default",
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
    results: Results = Path("results"),
    again: Again = False,
    dry_run: DryRun = False,
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

    located = locate_families(families)
    location = locate_dataset(dataset, data_dir, image_size, class_names)
    specs = SearchRequest(
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
    ).specs()
    options = Options(
        results=results,
        dataset=location,
        workers=workers or usable_cores(),
        scheduler=scheduler,
        trial_timeout=trial_timeout,
        again=again,
        family_files=family_files(located),
    )
    if dry_run:
        print_forecast(specs, options)
    else:
        names = ", ".join(family.name for family in located)
        _run(specs, options, f"{names} on {location.name}, {tuner} search")


@run_app.command(
    cls=Command,
    epilog="\b\nExamples:\n"
    "  bench resume\n"
    "  bench resume cnn-hyperband-0123456789\n"
    "  bench resume --results my_results",
)
def resume(
    runs: Annotated[
        list[str] | None,
        typer.Argument(metavar="RUN", help="Run ids (see `bench runs`).", show_default="all unfinished runs"),
    ] = None,
    results: ExistingResults = Path("results"),
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
        title = f"Resuming {', '.join(folder.path.name for folder in folders)}, results in {results}"
        reasons += execute(partial(_resume_all, folders, options), title, results)
    raise_failures(reasons)


@run_app.command(
    cls=Command,
    epilog="\b\nExamples:\n"
    "  bench reproduce\n"
    "  bench reproduce tutorial-cnn --refit-seeds 10\n"
    "  bench reproduce classifiers --dataset digits",
)
def reproduce(
    *,
    names: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="NAME",
            help="Reference models (see `bench list`) or groups: tutorials, classifiers, all.",
            show_default="all",
        ),
    ] = None,
    dataset: DatasetOption = "fashion_mnist",
    seed: Seed = 0,
    refit_seeds: Annotated[
        int,
        typer.Option(
            metavar="N",
            min=1,
            max=MAX_REFIT_SEEDS,
            help="Number of times each model is trained, each with its own seed; deterministic models are "
            "trained once.",
        ),
    ] = DEFAULT_REFIT_SEEDS,
    workers: Workers = None,
    data_dir: DataDir = None,
    image_size: ImageSize = None,
    class_names: ClassNames = None,
    results: Results = Path("results"),
    again: Again = False,
) -> None:
    """Train the models of published tutorials and scikit-learn classifiers.

    These reference models keep their original recipes and are listed on the leaderboard. A separate page compares the
    tutorial models' accuracies with the published ones. To repeat a published search, use `bench run`. To check a
    finished run, use `bench verify`.
    """
    from bench.baselines.catalog import CLASSIFIERS, NAMES, reference_spec
    from bench.baselines.tutorials import TUTORIALS
    from bench.execution.options import Options
    from bench.machine import usable_cores

    groups = {"tutorials": tuple(TUTORIALS), "classifiers": tuple(CLASSIFIERS), "all": NAMES}
    for name in names or ():
        check_name("reference model", name, (*groups, *NAMES))
    models = dict.fromkeys(model for name in names or ["all"] for model in groups.get(name, (name,)))
    location = locate_dataset(dataset, data_dir, image_size, class_names)
    options = Options(results=results, dataset=location, workers=workers or usable_cores(), again=again)
    specs = [reference_spec(model, location.name, seed, refit_seeds, location.digest) for model in models]
    _run(specs, options, f"{', '.join(models)} on {location.name}")


def _run(specs: "Sequence[RunSpec]", options: "Options", title: str) -> None:
    title = f"{title}, results in {options.results}"
    raise_failures(execute(partial(_run_all, specs, options), title, options.results))


def _run_all(specs: "Sequence[RunSpec]", options: "Options", report: "Report") -> "tuple[Outcome, ...]":
    with defer_signals():
        from bench.execution import runner
    return runner.run(specs, options, report)


def _resume_all(folders: "Sequence[RunFolder]", options: "Options", report: "Report") -> "tuple[Outcome, ...]":
    with defer_signals():
        from bench.execution import runner
    return runner.resume(folders, options, report)
