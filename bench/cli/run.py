"""bench run, resume and reproduce: train, print the leaderboard rows, rebuild the pages."""

from collections.abc import Sequence
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

import search_spaces
from bench.cli.dry_run import print_forecast
from bench.cli.execution import execute, raise_failures
from bench.cli.options import DataDir, DatasetOption, Results, Seed, Workers, check_name, parse_duration
from bench.errors import SpecError
from bench.records.spec import DEFAULT_LOOKAHEAD, DEFAULT_REFIT_SEEDS, DEFAULT_TUNER, Budget, RunSpec, SearchSpec
from bench.signals import defer_signals

if TYPE_CHECKING:
    from bench.execution.events import Outcome, Report
    from bench.execution.options import Options
    from bench.records.store import RunFolder

MAX_SEARCHES = 100

run_app = typer.Typer()


class PrecisionChoice(StrEnum):
    """The values of --precision."""

    auto = "auto"
    float32 = "float32"
    bfloat16 = "bfloat16"


@run_app.command(
    epilog="\b\nExamples:\n"
    "  bench run --family cnn\n"
    "  bench run --family dense --family cnn --refit-seeds 8\n"
    "  bench run --family cnn --dataset digits --tuner random --trials 8 --epochs 5\n"
    "  bench run --family dense --dataset my_images.py"
)
def run(  # noqa: PLR0917 - one for each option
    family: Annotated[list[str], typer.Option(metavar="NAME", help="Family to search; can be repeated.")],
    dataset: DatasetOption = "fashion_mnist",
    tuner: Annotated[str, typer.Option(metavar="NAME", help="Tuner (see `bench list`).")] = DEFAULT_TUNER,
    trials: Annotated[
        int | None,
        typer.Option(
            show_default="depends on the dataset",
            help="Search budget: the number of full-length trials whose epochs it may use.",
        ),
    ] = None,
    epochs: Annotated[
        int | None, typer.Option(show_default="depends on the dataset", help="Epochs of a full-length trial.")
    ] = None,
    seed: Seed = 0,
    refit_seeds: Annotated[
        int, typer.Option(help="Number of seeds with which the winner is retrained.")
    ] = DEFAULT_REFIT_SEEDS,
    searches: Annotated[
        int,
        typer.Option(help="Independent searches per family; 3 or more compare families rather than single winners."),
    ] = 1,
    workers: Workers = None,
    scheduler: Annotated[
        str | None,
        typer.Option(
            metavar="ADDRESS", help="Train on the Dask cluster with this scheduler, e.g. tcp://127.0.0.1:8786."
        ),
    ] = None,
    time_limit: Annotated[
        str | None,
        typer.Option(
            metavar="TIME",
            help="Time limit per family, including start-up, refits and evaluation, e.g. 90s, 10m or 1h30m.",
        ),
    ] = None,
    trial_timeout: Annotated[
        str | None,
        typer.Option(
            metavar="TIME", help="Time limit per trial; a slower trial is retried once, then recorded as failed."
        ),
    ] = None,
    precision: Annotated[
        PrecisionChoice, typer.Option(help="Precision of the search; auto is bfloat16 if the CPU supports it.")
    ] = PrecisionChoice.auto,
    lookahead: Annotated[
        int, typer.Option(help="Maximum number of trials proposed ahead of results; affects the proposals.")
    ] = DEFAULT_LOOKAHEAD,
    data_dir: DataDir = None,
    results: Results = Path("results"),
    again: Annotated[bool, typer.Option("--again", help="Rerun even if the run is complete.")] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print planned trials and estimated time and disk space; train nothing.")
    ] = False,
) -> None:
    """Search each family, refit its winner, evaluate it on the test set, and update the report.

    Repeating the command resumes an interrupted run. A published run with the same specification is reproduced: it is
    trained on this machine and compared with the published predictions.
    """
    from bench.data import catalog
    from bench.execution.models import family_source
    from bench.execution.options import Options
    from bench.machine import supports_bfloat16, usable_cores
    from bench.tuning import tuners

    for name in family:
        check_name("family", name, search_spaces.names())
    if not 1 <= searches <= MAX_SEARCHES:
        raise SpecError(f"--searches must be a whole number from 1 to {MAX_SEARCHES}, got {searches}")
    check_name("tuner", tuner, tuners.names())
    location = catalog.locate(dataset, data_dir)
    default = catalog.definition(location).default_budget
    best_precision = PrecisionChoice.bfloat16 if supports_bfloat16() else PrecisionChoice.float32
    specs = [
        SearchSpec(
            dataset=location.name,
            family=name,
            source=family_source(name),
            tuner=tuner,
            budget=Budget(
                trials=default.trials if trials is None else trials, epochs=default.epochs if epochs is None else epochs
            ),
            seed=seed + number,
            refit_seeds=refit_seeds,
            precision="bfloat16"
            if (best_precision if precision is PrecisionChoice.auto else precision) is PrecisionChoice.bfloat16
            else "float32",
            lookahead=lookahead,
            time_limit=None if time_limit is None else parse_duration("--time-limit", time_limit),
        )
        for name in dict.fromkeys(family)
        for number in range(searches)
    ]
    options = Options(
        results=results,
        dataset=location,
        workers=usable_cores() if workers is None else workers,
        scheduler=scheduler,
        trial_timeout=None if trial_timeout is None else parse_duration("--trial-timeout", trial_timeout),
        again=again,
    )
    if dry_run:
        print_forecast(specs, options)
    else:
        _run(specs, options, f"{', '.join(dict.fromkeys(family))} on {location.name}, {tuner} search")


@run_app.command(
    epilog="\b\nExamples:\n  bench resume\n  bench resume cnn-hyperband-0123456789\n  bench resume --results results"
)
def resume(
    runs: Annotated[
        list[str] | None,
        typer.Argument(metavar="RUN", help="Run ids (see `bench runs`).", show_default="all unfinished runs"),
    ] = None,
    results: Results = Path("results"),
) -> None:
    """Resume interrupted runs with the options of their last session."""
    from bench.execution.resume import resumable
    from bench.records.files import require_results_dir

    require_results_dir(results)
    groups, blocked = resumable(results, runs or ())
    if not groups and not blocked:
        raise SpecError(
            f"no unfinished run in {results}: start one with `python -m bench run`, or choose another --results"
        )
    reasons = [f"{run_id} cannot be resumed: {reason}" for run_id, reason in blocked.items()]
    for options, folders in groups.items():
        title = f"Resuming {', '.join(folder.path.name for folder in folders)}, results in {results}"
        reasons += execute(partial(_resume_all, folders, options), title, results)
    raise_failures(reasons)


@run_app.command(
    epilog="\b\nExamples:\n"
    "  bench reproduce\n"
    "  bench reproduce tutorial-cnn --refit-seeds 10\n"
    "  bench reproduce baselines --dataset digits"
)
def reproduce(  # noqa: PLR0917 - one for each option
    names: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="NAME",
            help="Reference models (see `bench list`) or groups: tutorials, baselines, all.",
            show_default="all",
        ),
    ] = None,
    dataset: DatasetOption = "fashion_mnist",
    seed: Seed = 0,
    refit_seeds: Annotated[
        int, typer.Option(help="Number of seeds per model; deterministic models are trained once.")
    ] = DEFAULT_REFIT_SEEDS,
    workers: Workers = None,
    data_dir: DataDir = None,
    results: Results = Path("results"),
    again: Annotated[bool, typer.Option("--again", help="Rerun even if a run is complete.")] = False,
) -> None:
    """Train reference models: published tutorials with their original recipes, and scikit-learn classifiers.

    All are listed on the leaderboard; a separate page compares the tutorials with their published accuracies.
    """
    from bench.baselines.catalog import reference_spec, select
    from bench.data import catalog
    from bench.execution.options import Options
    from bench.machine import usable_cores

    location = catalog.locate(dataset, data_dir)
    models = select(names or ["all"])
    options = Options(
        results=results,
        dataset=location,
        workers=usable_cores() if workers is None else workers,
        again=again,
    )
    specs = [reference_spec(name, location.name, seed, refit_seeds) for name in models]
    _run(specs, options, f"{', '.join(models)} on {location.name}")


def _run(specs: Sequence[RunSpec], options: "Options", title: str) -> None:
    title = f"{title}, results in {options.results}"
    raise_failures(execute(partial(_run_all, specs, options), title, options.results))


def _run_all(specs: Sequence[RunSpec], options: "Options", report: "Report") -> "tuple[Outcome, ...]":
    with defer_signals():
        from bench.execution import runner
    return runner.run(specs, options, report)


def _resume_all(folders: "Sequence[RunFolder]", options: "Options", report: "Report") -> "tuple[Outcome, ...]":
    with defer_signals():
        from bench.execution import runner
    return runner.resume(folders, options, report)
