"""bench export: write a trained model for other programs."""

from pathlib import Path
from typing import Annotated

import typer

from bench.cli.datasets import notify
from bench.cli.help import Command
from bench.cli.options import DataDir, ExistingResults, RunDataset, RunName
from bench.command import DEFAULT_RESULTS
from bench.records.choices import ModelFormat

export_app = typer.Typer()
SUFFIXES = {"keras": ".keras", "savedmodel": "", "onnx": ".onnx"}


@export_app.command(
    "export",
    cls=Command,
    rich_help_panel="Models",
    epilog="Examples:\n"
    "  bench export cnn --format keras\n"
    "  bench export cnn --format savedmodel --output serving/1\n"
    "  bench export cnn --format onnx --refit 2",
)
def export_run(
    *,
    name: RunName,
    kind: Annotated[
        ModelFormat,
        typer.Option(
            "--format", metavar="NAME", help="keras, savedmodel, or onnx, which needs tf2onnx and onnxruntime."
        ),
    ],
    output: Annotated[
        Path | None,
        typer.Option("--output", metavar="PATH", help="File or folder to write.", show_default="named after the run"),
    ] = None,
    refit: Annotated[int, typer.Option(metavar="N", min=0, help="Index of the refit, starting at 0.")] = 0,
    dataset: RunDataset = None,
    data_dir: DataDir = None,
    results: ExistingResults = DEFAULT_RESULTS,
) -> None:
    """Export a trained model.

    It takes pixels, uint8 (n, height, width, channels), and returns probabilities (n, classes). Its probabilities on
    all validation images must equal those of the saved model within 0.00001, or nothing is written. The test set is not
    opened.
    """
    from bench.execution.export import export_model
    from bench.execution.resume import run_dataset
    from bench.execution.trained import model_file, own_family
    from bench.report.runs import find_run, load

    run = find_run(load(results), name)
    record, folder = run.record, run.folder
    file = model_file(folder, record, refit)
    target = output or Path(f"{run.stem}{SUFFIXES[kind]}")
    location = run_dataset(folder, dataset, data_dir, notify)
    family = own_family(folder, record)
    exported = export_model(file, record, location, target=target, kind=kind, family=family, notify=notify)
    typer.echo(
        f"{exported.path}: refit {refit} of {name} as {kind}; its probabilities on all {exported.images:,} validation "
        f"images differ by at most {exported.difference:.1e} from those of the saved model"
    )
