"""The dataset that the options of a command name."""

from pathlib import Path
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from bench.data.catalog import DatasetLocation
    from bench.data.dataset import Notify


def locate_dataset(
    dataset: str,
    data_dir: Path | None,
    image_size: tuple[int, int] | None,
    class_names: str | None,
    *,
    quiet: bool = False,
) -> "DatasetLocation":
    """Locate a dataset by name or path; messages on its import go to standard error, or nowhere if `quiet`.

    Raises:
        SpecError: there is no such dataset, or it does not take these options.
        DataError: the files at the path are not a valid dataset.
    """
    from bench.data import catalog
    from bench.data.samples import Reading

    reading = Reading(image_size=image_size, class_names=_names(class_names))
    return catalog.locate(dataset, data_dir, reading, notifier(quiet=quiet))


def notify(line: str) -> None:
    """Print a message to standard error."""
    typer.echo(line, err=True)


def notifier(*, quiet: bool) -> "Notify":
    """`notify`, or a function that prints nothing if `quiet`."""
    from bench.data.dataset import quiet as drop

    return drop if quiet else notify


def _names(text: str | None) -> tuple[str, ...]:
    from bench.data.loaders import class_names, folders

    if text is None:
        return ()
    if folders.is_file(text):
        return class_names.read(Path(text))
    return tuple(name.strip() for name in text.split(","))
