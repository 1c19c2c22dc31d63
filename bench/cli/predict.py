"""bench predict: classify image files with the models of a run."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from bench.cli.datasets import notify
from bench.cli.help import Command
from bench.cli.json_output import echo_json
from bench.cli.options import AsJson, DataDir, ExistingResults, RunDataset, RunName
from bench.command import DEFAULT_RESULTS
from bench.evaluation.text import counted, percent
from bench.records.choices import Background

if TYPE_CHECKING:
    from bench.data.catalog import DatasetLocation
    from bench.data.image_files import PreparedImage
    from bench.evaluation.arrays import FloatArray
    from bench.records.record import RunRecord

predict_app = typer.Typer()

BackgroundOption = Annotated[
    Literal["auto", Background],
    typer.Option(
        metavar="NAME",
        help="Background of the training images: dark, light, mixed (neither), or auto: inferred from them.",
    ),
]


@predict_app.command(
    cls=Command,
    rich_help_panel="Models",
    epilog="Examples:\n"
    "  bench predict cnn shoe.png\n"
    "  bench predict cnn *.jpg --top 3 --ensemble\n"
    "  bench predict cnn images.npy --json",
)
def predict(
    *,
    name: RunName,
    images: Annotated[
        list[Path],
        typer.Argument(
            metavar="IMAGE",
            help="Image files: png, jpg and others, or npy with one image or several.",
            show_default=False,
        ),
    ],
    top: Annotated[int, typer.Option(metavar="N", min=1, help="Number of classes per image, most probable first.")] = 1,
    ensemble: Annotated[
        bool, typer.Option("--ensemble", help="Average the probabilities of all refits; otherwise the first is used.")
    ] = False,
    background: BackgroundOption = "auto",
    dataset: RunDataset = None,
    data_dir: DataDir = None,
    results: ExistingResults = DEFAULT_RESULTS,
    as_json: AsJson = False,
) -> None:
    """Classify image files with a trained model.

    Images of any size, grayscale or color, are fitted to the training images: resized, padded with their background
    (not if --image-size resized the training images, or if these have no common background), and inverted if their
    background is light and that of the training images dark, or the reverse (grayscale only). Transparent pixels become
    white behind dark drawings and black behind light ones (grayscale), or get the background of the training images
    (color).
    """
    import numpy as np

    from bench.data.image_files import prepare
    from bench.execution.resume import last_options, run_dataset
    from bench.execution.trained import model_files, own_family
    from bench.report.runs import find_run, load
    from bench.workers.tasks import import_libraries

    run = find_run(load(results), name)
    record, folder = run.record, run.folder
    files = model_files(folder, record)
    found = background if background != "auto" else _inferred(run_dataset(folder, dataset, data_dir, notify))
    distorted = last_options(folder).dataset.reading.image_size is not None
    prepared = prepare(images, record.dataset.image_shape, found, distorted=distorted)
    for image in prepared:
        if image.inverted:
            typer.echo(f"{image.name}: inverted, since the training images have a {found} background", err=True)
    pixels = np.stack([image.pixels for image in prepared])
    used = files if ensemble else files[:1]
    notify(f"Classifying {counted(len(pixels), 'image')} with {counted(len(used), 'model')}")
    import_libraries()
    from bench.training.inference import class_probabilities

    probabilities = class_probabilities(used, pixels, own_family(folder, record)).mean(axis=0)
    values = _ranked(record, prepared, probabilities, top)
    if as_json:
        echo_json(values)
    else:
        typer.echo(_table(values))


def _inferred(location: "DatasetLocation") -> Background:
    from bench.data.background import background_of
    from bench.data.development import load_development
    from bench.errors import DataError

    try:
        return background_of(load_development(location, notify).images)
    except DataError as error:
        remedy = "or name the background of the training images with --background dark, light or mixed"
        raise DataError(f"{error}; {remedy}") from error


def _ranked(
    record: "RunRecord", images: "Sequence[PreparedImage]", probabilities: "FloatArray", top: int
) -> list[dict[str, Any]]:
    """The most probable classes of each image, as plain values."""
    names = record.dataset.class_names
    ranked = (-probabilities).argsort(axis=1, kind="stable")[:, :top]
    return [
        {
            "image": image.name,
            "inverted": image.inverted,
            "predictions": [
                {"class": names[label], "label": int(label), "probability": float(row[label])} for label in labels
            ],
        }
        for image, row, labels in zip(images, probabilities, ranked, strict=True)
    ]


def _table(values: Sequence[dict[str, Any]]) -> str:
    import pandas as pd

    from bench.report.narrow_table import narrow_table

    return narrow_table(
        pd.DataFrame(
            {
                "image": image["image"],
                "class": prediction["class"],
                "probability (%)": percent(prediction["probability"]),
            }
            for image in values
            for prediction in image["predictions"]
        )
    )
