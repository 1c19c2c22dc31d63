"""Options shared by several commands, options of `bench run`, and help formatting."""

from pathlib import Path
from typing import Annotated, Any, Literal

import typer
from typer.core import TyperCommand

from bench.cli.values import Size, parse_duration, parse_image_size
from bench.records.limits import MAX_EPOCHS, MAX_PENDING, MAX_REFIT_SEEDS, MAX_SEED, MAX_TRIALS, MAX_WORKERS

MAX_SEARCHES = 100
DATASET_HELP = (
    "Dataset name (see `bench list`), or path of images (a folder with one folder for each class, .npz, CSV or IDX "
    "files), or path of a Python file that defines a dataset."
)


def _folder(text: str) -> Path:
    """Convert the value of --results; an empty one, e.g. of an unset shell variable, would be the current folder."""
    if not text:
        raise typer.BadParameter("expected a folder, got an empty string.")
    return Path(text)


class Command(TyperCommand):
    """A command whose help shows arguments by name only, without Python types."""

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write the sections Arguments and Options."""
        records = [(each.param_type_name, each.get_help_record(ctx)) for each in self.get_params(ctx)]
        for kind in ("argument", "option"):
            rows = [record for each, record in records if each == kind and record is not None]
            if kind == "argument":
                rows = [(name.partition(" <")[0], text) for name, text in rows]
            if rows:
                with formatter.section(f"{kind.title()}s"):
                    formatter.write_dl(rows)


def _existing(results: Path) -> Path:
    from bench.records.files import require_results_dir

    require_results_dir(results)
    return results


Results = Annotated[
    Path, typer.Option("--results", metavar="DIR", parser=_folder, help="Folder with records and pages.")
]
ExistingResults = Annotated[
    Path,
    typer.Option("--results", metavar="DIR", parser=_folder, callback=_existing, help="Folder with records and pages."),
]
RunName = Annotated[str, typer.Argument(metavar="RUN", help="Model name from the leaderboard, or run id.")]
RunDataset = Annotated[
    str | None,
    typer.Option(
        "--dataset",
        metavar="DATASET",
        help="The run's dataset, if it is not where the run found it.",
        show_default="that of the run",
    ),
]
DatasetArgument = Annotated[str, typer.Argument(metavar="DATASET", help=DATASET_HELP)]
DatasetOption = Annotated[str, typer.Option("--dataset", metavar="DATASET", help=DATASET_HELP)]
DataDir = Annotated[
    Path | None,
    typer.Option(
        "--data-dir",
        metavar="DIR",
        show_default="$BENCH_DATA_DIR, else the download cache",
        help="Folder with the dataset's files.",
    ),
]
ImageSize = Annotated[
    Size | None,
    typer.Option(
        metavar="HxW",
        parser=parse_image_size,
        show_default="the images' own",
        help="Height and width to which images given by path are resized, e.g. 32x32.",
    ),
]
ClassNames = Annotated[
    str | None,
    typer.Option(
        metavar="NAMES",
        show_default="those of the folders, or the labels",
        help="Class names of images given by path, in the order of the labels: separated by commas, or the path of a "
        "text file with one name on each line.",
    ),
]
Seed = Annotated[
    int, typer.Option(metavar="N", min=0, max=MAX_SEED, help="Base seed, from which all random seeds are derived.")
]
Workers = Annotated[
    int | None,
    typer.Option(
        metavar="N", min=1, max=MAX_WORKERS, show_default="one per usable core", help="Number of worker processes."
    ),
]
Again = Annotated[bool, typer.Option("--again", help="Train even if the run is complete; the earlier run is kept.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON at full precision.")]

# Options of `bench run`.
Families = Annotated[
    list[str],
    typer.Option(
        "--family",
        metavar="FAMILY",
        help="Family to search: a name (see `bench list`), my.py:build_model or package.module:Object, where the "
        "object may be any hypermodel of Keras Tuner or a function build_model(hp). NAME=my.py:build_model gives it "
        "another name. Can be repeated.",
    ),
]
ObjectiveName = Annotated[
    Literal["accuracy", "macro-f1", "balanced-accuracy"],
    typer.Option(
        metavar="NAME",
        help="Metric on the validation images that the search maximizes: accuracy, macro-f1 or balanced-accuracy.",
    ),
]
ClassWeightsName = Annotated[
    Literal["none", "balanced"],
    typer.Option(
        metavar="NAME",
        help="Weights of the classes in the training loss: none, or balanced: inversely proportional to the number of "
        "images.",
    ),
]
PixelRangeName = Annotated[
    Literal["auto", "0-1", "0-255"],
    typer.Option(
        metavar="RANGE",
        help="Range of the pixels that a model that is not a Family receives: 0-1, 0-255, or auto: 0-255 if it "
        "rescales them itself or has an integer input, otherwise 0-1.",
    ),
]
Tuner = Annotated[str, typer.Option(metavar="NAME", help="Tuner (see `bench list`).")]
PresetName = Annotated[
    Literal["quick", "default", "long"],
    typer.Option(
        metavar="NAME",
        help="How much to train: quick, default or long, about 1, 10 or 60 minutes per family on two cores.",
    ),
]
Trials = Annotated[
    int | None,
    typer.Option(
        metavar="N",
        min=1,
        max=MAX_TRIALS,
        show_default="depends on preset, family and dataset",
        help="Search budget in full-length trials. Hyperband stops weak trials early and uses the saved epochs for "
        "additional trials.",
    ),
]
Epochs = Annotated[
    int | None,
    typer.Option(
        metavar="N",
        min=1,
        max=MAX_EPOCHS,
        show_default="depends on preset, family and dataset",
        help="Epochs of a full-length trial.",
    ),
]
RefitSeeds = Annotated[
    int | None,
    typer.Option(
        metavar="N",
        min=1,
        max=MAX_REFIT_SEEDS,
        show_default="depends on the preset",
        help="Number of times the winner is retrained, each with its own seed.",
    ),
]
Searches = Annotated[
    int,
    typer.Option(
        metavar="N",
        min=1,
        max=MAX_SEARCHES,
        help="Number of independent searches per family. Three or more allow comparing families rather than individual "
        "winners.",
    ),
]
Scheduler = Annotated[
    str | None,
    typer.Option(metavar="ADDRESS", help="Train on the Dask cluster with this scheduler, e.g. tcp://127.0.0.1:8786."),
]
TimeLimit = Annotated[
    int | None,
    typer.Option(
        metavar="TIME",
        parser=parse_duration,
        help="Time limit per search, including its refits and evaluation, e.g. 90s, 10m or 1h30m. The search stops "
        "early enough to leave time for them.",
    ),
]
TrialTimeout = Annotated[
    int | None,
    typer.Option(
        metavar="TIME",
        parser=parse_duration,
        help="Time limit per trial; a slower trial is retried once, then recorded as failed.",
    ),
]
PrecisionChoice = Annotated[
    Literal["auto", "float32", "bfloat16"],
    typer.Option(
        metavar="NAME",
        help="Precision of the search: float32, bfloat16, or auto: bfloat16 if the CPU supports it, otherwise float32.",
    ),
]
MaxPending = Annotated[
    int | None,
    typer.Option(
        metavar="N",
        min=1,
        max=MAX_PENDING,
        help="Maximum number of trials that may be pending when the tuner proposes another one; changing it changes "
        "the proposals.",
        show_default="4 for bayesian and tpe, unlimited for others",
    ),
]
DryRun = Annotated[
    bool, typer.Option("--dry-run", help="Print the planned trials and estimated time and disk space; train nothing.")
]
