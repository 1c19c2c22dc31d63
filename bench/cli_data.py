"""python -m bench data: get a dataset, and look at it before training."""

import json
from pathlib import Path
from typing import Annotated

import typer

data_app = typer.Typer(no_args_is_help=True, help="Get a dataset, or look at it before training.")

Name = Annotated[str, typer.Argument(help="Dataset, see `bench list`.")]
DataDir = Annotated[Path | None, typer.Option(metavar="DIR", help="Folder with the dataset's files.")]


@data_app.command()
def fetch(name: Name, data_dir: DataDir = None) -> None:
    r"""Find or download a dataset and check its bytes.

    \b
    Examples:
      bench data fetch fashion_mnist
      bench data fetch fashion_mnist --data-dir ~/fashion
    """
    from bench.data.development import development

    data = development(name, data_dir, lambda line: typer.echo(line, err=True))
    typer.echo(f"{data.title}: {len(data):,} images for development, from {data.source}, checksum {data.checksum}")


@data_app.command()
def describe(
    name: Name,
    data_dir: DataDir = None,
    results: Annotated[Path, typer.Option("--results", metavar="DIR", help="Pictures go to DIR/NAME/samples.")] = (
        Path("results")
    ),
    as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
) -> None:
    r"""Print what to know of a dataset before training, and draw its first images and one of each class.

    Of the development part only; the test part stays sealed.

    \b
    Examples:
      bench data describe fashion_mnist
      bench data describe digits --json
    """
    from bench.data.description import describe as facts_of
    from bench.data.development import development
    from bench.reporting.samples import write_samples

    data = development(name, data_dir, lambda line: typer.echo(line, err=True))
    description = facts_of(data)
    typer.echo(json.dumps(description.mapping(), indent=1) if as_json else description.text())
    for path in write_samples(data, results / name / "samples"):
        typer.echo(f"picture: {path}", err=True)
