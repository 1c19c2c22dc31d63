"""bench reproduce: train the reference models."""

from typing import Annotated

import typer

from bench.cli import completion
from bench.cli.datasets import locate_dataset
from bench.cli.execution import train
from bench.cli.help import Command
from bench.cli.options import (
    Again,
    ClassNames,
    DataDir,
    DatasetOption,
    ImageSize,
    Quiet,
    Results,
    Seed,
    Verbose,
    Workers,
)
from bench.command import DEFAULT_RESULTS
from bench.errors import check_name
from bench.records.limits import DEFAULT_DATASET, DEFAULT_REFIT_SEEDS, MAX_REFIT_SEEDS

reproduce_app = typer.Typer()


@reproduce_app.command(
    cls=Command,
    rich_help_panel="Train",
    epilog="Examples:\n"
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
            autocompletion=completion.reference_models,
            help="Reference models (see `bench list`) or groups: tutorials, classifiers, all.",
            show_default="all",
        ),
    ] = None,
    dataset: DatasetOption = DEFAULT_DATASET,
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
    results: Results = DEFAULT_RESULTS,
    again: Again = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Train the models of published tutorials and scikit-learn classifiers.

    These reference models keep their original recipes and are listed on the leaderboard. A separate page compares the
    tutorial models' accuracies with the published ones. To repeat a published search, use `bench run`. To check a
    finished run, use `bench verify`.
    """
    from bench.baselines.catalog import GROUPS, NAMES, reference_spec
    from bench.execution.options import Options
    from bench.machine import usable_cores

    for name in names or ():
        check_name("reference model", name, (*GROUPS, *NAMES))
    models = dict.fromkeys(model for name in names or ["all"] for model in GROUPS.get(name, (name,)))
    location = locate_dataset(dataset, data_dir, image_size, class_names, quiet=quiet)
    options = Options(results=results, dataset=location, workers=workers or usable_cores(), again=again)
    specs = [reference_spec(model, location.name, seed, refit_seeds, location.digest) for model in models]
    train(lambda _: specs, options, f"{', '.join(models)} on {location.name}", quiet=quiet, verbose=verbose)
