"""The development part of a dataset: all that a search may see."""

from pathlib import Path

from bench.data import catalog, splits
from bench.data.dataset import Dataset, Notify, quiet
from bench.data.loaders import folders
from bench.records.record import DatasetFacts


def development(name: str, data_dir: Path | None = None, notify: Notify = quiet) -> Dataset:
    """Everything of dataset `name` but its test part.

    Args:
        name: one of `catalog.names()`.
        data_dir: folder to look in first; BENCH_DATA_DIR where None.
        notify: is told of downloads, one line each.

    Raises:
        SpecError: there is no such dataset.
        DataError: it cannot be found, or its bytes are not the published ones.
    """
    return catalog.assemble(name, catalog.module(name).development(data_dir or folders.user_folder(), notify))


def facts(dataset: Dataset) -> DatasetFacts:
    """What a record keeps of the development part; the size of the test part is stated, not read."""
    n_validation = splits.validation_size(len(dataset))
    return DatasetFacts(
        name=dataset.name,
        title=dataset.title,
        checksum=dataset.checksum,
        image_shape=dataset.image_shape,
        class_names=dataset.class_names,
        n_train=len(dataset) - n_validation,
        n_validation=n_validation,
        n_test=catalog.module(dataset.name).N_TEST,
    )
