"""bench data: download and describe datasets."""

from pathlib import Path
from typing import Annotated

import typer

from bench.cli.datasets import locate_dataset, notify
from bench.cli.help import Command, Group
from bench.cli.json_output import echo_json
from bench.cli.options import AsJson, ClassNames, DataDir, DatasetArgument, ImageSize, parse_folder
from bench.command import DEFAULT_RESULTS

data_app = typer.Typer(
    cls=Group,
    no_args_is_help=True,
    help="Download or describe a dataset.",
    epilog="Examples:\n  bench data fetch fashion_mnist\n  bench data describe digits",
)


@data_app.command(
    cls=Command,
    epilog="Examples:\n  bench data fetch fashion_mnist\n  bench data fetch fashion_mnist --data-dir ~/fashion",
)
def fetch(
    dataset: DatasetArgument, data_dir: DataDir = None, image_size: ImageSize = None, class_names: ClassNames = None
) -> None:
    """Find or download a dataset and verify its checksums, or import images given by path."""
    from bench.data.development import load_development

    images = load_development(locate_dataset(dataset, data_dir, image_size, class_names), notify)
    typer.echo(f"{images.title}: {len(images):,} development images from {images.source}, checksum {images.checksum}")


@data_app.command(
    cls=Command,
    epilog="Examples:\n"
    "  bench data describe fashion_mnist\n"
    "  bench data describe digits --json\n"
    "  bench data describe photos --image-size 32x32\n"
    "  bench data describe my_images.py",
)
def describe(
    *,
    dataset: DatasetArgument,
    data_dir: DataDir = None,
    image_size: ImageSize = None,
    class_names: ClassNames = None,
    results: Annotated[
        Path,
        typer.Option(
            "--results",
            metavar="DIR",
            parser=parse_folder,
            help="Folder for the figures, which are saved to DIR/DATASET/samples.",
        ),
    ] = DEFAULT_RESULTS,
    as_json: AsJson = False,
) -> None:
    """Describe a dataset and draw sample images.

    The figures show the first images, one image per class, and one image with its pixel values. Only development images
    are used; the test set is not opened.
    """
    from bench.data.description import describe as describe_images
    from bench.data.development import load_development
    from bench.report.figures.samples import write_samples

    location = locate_dataset(dataset, data_dir, image_size, class_names)
    images = load_development(location, notify)
    description = describe_images(location, images)
    if as_json:
        echo_json(description)
    else:
        typer.echo(description.text())
    for path in write_samples(images, results / location.name / "samples"):
        notify(f"figure: {path}")
