"""python -m bench data: get a dataset, and look at it before training."""

import json
from pathlib import Path
from typing import Annotated

import typer

data_app = typer.Typer(
    no_args_is_help=True,
    help="Get a dataset, or look at it before training.",
    epilog="\b\nExamples:\n  bench data fetch fashion_mnist\n  bench data describe digits",
)

Name = Annotated[str, typer.Argument(metavar="NAME", help="Dataset, see `bench list`.")]
DataDir = Annotated[Path | None, typer.Option(metavar="DIR", help="Folder with the dataset's files.")]


@data_app.command(
    epilog="\b\nExamples:\n  bench data fetch fashion_mnist\n  bench data fetch fashion_mnist --data-dir ~/fashion"
)
def fetch(name: Name, data_dir: DataDir = None) -> None:
    """Find or download a dataset and check its bytes."""
    from bench.data.development import development

    data = development(name, data_dir, lambda line: typer.echo(line, err=True))
    typer.echo(f"{data.title}: {len(data):,} images for development, from {data.source}, checksum {data.checksum}")


@data_app.command(epilog="\b\nExamples:\n  bench data describe fashion_mnist\n  bench data describe digits --json")
def describe(
    name: Name,
    data_dir: DataDir = None,
    results: Annotated[Path, typer.Option("--results", metavar="DIR", help="Pictures go to DIR/NAME/samples.")] = (
        Path("results")
    ),
    as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
) -> None:
    """Print and draw what to know of a dataset before training.

    The pictures are its first images, and one of each class. Of the development part only; the test part stays sealed.
    """
    from bench.data.description import describe as facts_of
    from bench.data.development import development
    from bench.report.samples import write_samples

    data = development(name, data_dir, lambda line: typer.echo(line, err=True))
    description = facts_of(data)
    typer.echo(json.dumps(description.mapping(), indent=1) if as_json else description.text())
    for path in write_samples(data, results / name / "samples"):
        typer.echo(f"picture: {path}", err=True)
