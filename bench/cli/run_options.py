"""Options of `bench run`."""

from typing import Annotated, Literal

import typer

from bench.cli import completion
from bench.cli.options import OUTPUT, WORKERS
from bench.cli.values import parse_duration
from bench.records.choices import ClassWeights, Objective, Precision, Preset
from bench.records.limits import MAX_EPOCHS, MAX_PENDING, MAX_REFIT_SEEDS, MAX_TRIALS

MAX_SEARCHES = 100
# Groups of options in the help.
SEARCH = "Search"
TRAINING = "Training"

Families = Annotated[
    list[str] | None,
    typer.Option(
        "--family",
        metavar="FAMILY",
        autocompletion=completion.families,
        help="Family to search: a name (see `bench list`), all, my.py:build_model or package.module:Object, where the "
        "object may be any hypermodel of Keras Tuner or a function build_model(hp). NAME=my.py:build_model gives it "
        "another name. Can be repeated.",
        show_default=False,
    ),
]
ObjectiveName = Annotated[
    Literal["accuracy", Objective],
    typer.Option(
        rich_help_panel=SEARCH,
        metavar="NAME",
        help="Metric on the validation images that the search maximizes: accuracy, macro-f1 or balanced-accuracy.",
    ),
]
ClassWeightsName = Annotated[
    Literal["none", ClassWeights],
    typer.Option(
        rich_help_panel=TRAINING,
        metavar="NAME",
        help="Weights of the classes in the training loss: none, or balanced: inversely proportional to the number of "
        "images.",
    ),
]
Tuner = Annotated[
    str,
    typer.Option(
        rich_help_panel=SEARCH, metavar="NAME", autocompletion=completion.tuners, help="Tuner (see `bench list`)."
    ),
]
PresetName = Annotated[
    Preset,
    typer.Option(
        rich_help_panel=SEARCH,
        metavar="NAME",
        help="How much to train: quick, default or long, planned for 1, 10 or 60 minutes per family on two cores.",
    ),
]
Trials = Annotated[
    int | None,
    typer.Option(
        rich_help_panel=SEARCH,
        metavar="N",
        min=1,
        max=MAX_TRIALS,
        show_default="depends on preset, family and dataset",
        help="Search budget in full-length trials. Hyperband stops weak trials early and may use the saved epochs for "
        "additional trials.",
    ),
]
Epochs = Annotated[
    int | None,
    typer.Option(
        rich_help_panel=SEARCH,
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
        rich_help_panel=TRAINING,
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
        rich_help_panel=SEARCH,
        metavar="N",
        min=1,
        max=MAX_SEARCHES,
        help="Number of independent searches per family. Three or more allow comparing families rather than individual "
        "winners.",
    ),
]
Scheduler = Annotated[
    str | None,
    typer.Option(
        rich_help_panel=WORKERS,
        metavar="ADDRESS",
        help="Train on the Dask cluster with this scheduler, e.g. tcp://127.0.0.1:8786.",
    ),
]
TimeLimit = Annotated[
    int | None,
    typer.Option(
        rich_help_panel=WORKERS,
        metavar="TIME",
        parser=parse_duration,
        help="Time limit per search, including its refits and evaluation, e.g. 90s, 10m or 1h30m. The search stops "
        "early enough to leave time for them.",
    ),
]
TrialTimeout = Annotated[
    int | None,
    typer.Option(
        rich_help_panel=WORKERS,
        metavar="TIME",
        parser=parse_duration,
        help="Time limit per trial; a slower trial is retried once, then recorded as failed.",
    ),
]
PrecisionChoice = Annotated[
    Literal["auto", Precision],
    typer.Option(
        rich_help_panel=SEARCH,
        metavar="NAME",
        help="Precision of the search: float32, bfloat16, or auto: bfloat16 if the CPU supports it, otherwise float32.",
    ),
]
MaxPending = Annotated[
    int | None,
    typer.Option(
        rich_help_panel=SEARCH,
        metavar="N",
        min=1,
        max=MAX_PENDING,
        help="Maximum number of trials that may be pending when the tuner proposes another one; changing it changes "
        "the proposals.",
        show_default="4 for bayesian and tpe, 256 for others",
    ),
]
DryRun = Annotated[
    bool,
    typer.Option(
        "--dry-run",
        rich_help_panel=OUTPUT,
        help="Print the planned trials, and the time and disk space as estimated from a few training steps.",
    ),
]
NoEstimate = Annotated[
    bool,
    typer.Option(
        "--no-estimate", rich_help_panel=OUTPUT, help="With --dry-run: print the plan at once, without an estimate."
    ),
]
