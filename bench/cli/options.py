"""Options shared by several commands."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from bench.cli import completion
from bench.cli.values import Size, parse_image_size
from bench.records.choices import PixelRange
from bench.records.limits import MAX_SEED, MAX_WORKERS

# Groups of options in the help.
IMAGES = "Images"
WORKERS = "Workers and time"
OUTPUT = "Output"
DATASET_HELP = (
    "Dataset name (see `bench list`), or path of images (a folder with one folder for each class, .npz, CSV or IDX "
    "files), or path of a Python file that defines a dataset."
)


def parse_folder(text: str) -> Path:
    """Convert the value of --results; an empty one, e.g. of an unset shell variable, would be the current folder."""
    if not text:
        raise typer.BadParameter("expected a folder, got an empty string.")
    return Path(text)


def _existing(results: Path) -> Path:
    from bench.records.files import require_results_dir

    require_results_dir(results)
    return results


Results = Annotated[
    Path, typer.Option("--results", metavar="DIR", parser=parse_folder, help="Folder with records and pages.")
]
ExistingResults = Annotated[
    Path,
    typer.Option(
        "--results", metavar="DIR", parser=parse_folder, callback=_existing, help="Folder with records and pages."
    ),
]
RunName = Annotated[
    str,
    typer.Argument(metavar="RUN", autocompletion=completion.runs, help="Model name from the leaderboard, or run id."),
]
RunDataset = Annotated[
    str | None,
    typer.Option(
        "--dataset",
        metavar="DATASET",
        help="The run's dataset, if it is not where the run found it.",
        show_default="that of the run",
    ),
]
DatasetArgument = Annotated[
    str, typer.Argument(metavar="DATASET", autocompletion=completion.datasets, help=DATASET_HELP)
]
DatasetOption = Annotated[
    str, typer.Option("--dataset", metavar="DATASET", autocompletion=completion.datasets, help=DATASET_HELP)
]
DataDir = Annotated[
    Path | None,
    typer.Option(
        "--data-dir",
        rich_help_panel=IMAGES,
        metavar="DIR",
        show_default="$BENCH_DATA_DIR, else the download cache",
        help="Folder with the dataset's files.",
    ),
]
ImageSize = Annotated[
    Size | None,
    typer.Option(
        rich_help_panel=IMAGES,
        metavar="HxW",
        parser=parse_image_size,
        show_default="the images' own",
        help="Height and width to which images given by path are resized, e.g. 32x32.",
    ),
]
ClassNames = Annotated[
    str | None,
    typer.Option(
        rich_help_panel=IMAGES,
        metavar="NAMES",
        show_default="those of the folders, or the labels",
        help="Class names of images given by path, in the order of the labels: separated by commas, or the path of a "
        "text file with one name on each line.",
    ),
]
PixelRangeName = Annotated[
    Literal["auto", PixelRange],
    typer.Option(
        rich_help_panel=IMAGES,
        metavar="RANGE",
        help="Range of the pixels that a model that is not a Family receives: 0-1, 0-255, or auto: 0-255 if it "
        "rescales them itself or has an integer input, otherwise 0-1.",
    ),
]
Seed = Annotated[
    int, typer.Option(metavar="N", min=0, max=MAX_SEED, help="Base seed, from which all random seeds are derived.")
]
Workers = Annotated[
    int | None,
    typer.Option(
        rich_help_panel=WORKERS,
        metavar="N",
        min=1,
        max=MAX_WORKERS,
        show_default="one per usable core",
        help="Number of worker processes.",
    ),
]
Again = Annotated[
    bool,
    typer.Option("--again", rich_help_panel=OUTPUT, help="Train even if the run is complete; the earlier run is kept."),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON at full precision.")]
Quiet = Annotated[
    bool,
    typer.Option("--quiet", "-q", rich_help_panel=OUTPUT, help="Print only results and errors, no progress."),
]
Verbose = Annotated[
    bool,
    typer.Option(
        "--verbose", "-v", rich_help_panel=OUTPUT, help="Also print a line for each trial and refit that ends."
    ),
]
