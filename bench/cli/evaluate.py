"""bench evaluate: add a model that was trained elsewhere to the leaderboard."""

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bench.cli.datasets import locate_dataset
from bench.cli.execution import execute, raise_failures
from bench.cli.help import Command
from bench.cli.options import ClassNames, DataDir, DatasetOption, ImageSize, PixelRangeName, Quiet, Results
from bench.command import DEFAULT_RESULTS
from bench.records.limits import DEFAULT_DATASET
from bench.signals import defer_signals

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bench.baselines.external import ExternalModel
    from bench.execution.events import Outcome, Report
    from bench.execution.options import Options

evaluate_app = typer.Typer()


@evaluate_app.command(
    cls=Command,
    rich_help_panel="Train",
    epilog="Examples:\n"
    "  bench evaluate mine.keras --name mine\n"
    "  bench evaluate seed0.keras seed1.keras seed2.keras --name mine --dataset digits\n"
    "  bench evaluate mine.keras --name mine --pixel-range 0-255",
)
def evaluate(
    *,
    files: Annotated[
        list[Path],
        typer.Argument(
            metavar="MODEL.keras",
            help="Files of Keras models that differ in their seeds only.",
            show_default=False,
        ),
    ],
    name: Annotated[str, typer.Option(metavar="NAME", help="Model name on the leaderboard.")],
    dataset: DatasetOption = DEFAULT_DATASET,
    pixel_range: PixelRangeName = "auto",
    classes: Annotated[
        str | None,
        typer.Option(
            metavar="NAMES",
            help="Class names in the order of the model's outputs, separated by commas.",
            show_default="the order of the dataset",
        ),
    ] = None,
    data_dir: DataDir = None,
    image_size: ImageSize = None,
    class_names: ClassNames = None,
    results: Results = DEFAULT_RESULTS,
    quiet: Quiet = False,
) -> None:
    """Evaluate a model that was trained elsewhere, and add it to the leaderboard.

    It becomes a reference model, without a rank, since its training data is unknown. Its class order and pixel range
    are checked on validation images first. Files are loaded in Keras' safe mode, and only with built-in layers. The
    test-set evaluation is logged.
    """
    from bench.baselines.external import ExternalModel, read_model
    from bench.execution.options import Options

    location = locate_dataset(dataset, data_dir, image_size, class_names, quiet=quiet)
    order = None if classes is None else tuple(each.strip() for each in classes.split(","))
    chosen_range = None if pixel_range == "auto" else pixel_range
    models = [
        ExternalModel(name=file.name, content=read_model(file), pixel_range=chosen_range, classes=order)
        for file in files
    ]
    options = Options(results=results, dataset=location, workers=1)
    title = f"{name} on {location.name}, results in {results}"
    raise_failures(execute(partial(_evaluate, name, models, options), title, results, quiet=quiet))


def _evaluate(
    name: str, models: "Sequence[ExternalModel]", options: "Options", report: "Report"
) -> "tuple[Outcome, ...]":
    with defer_signals():
        from bench.execution.external import evaluate_external
    return (evaluate_external(name, models, options, report),)
