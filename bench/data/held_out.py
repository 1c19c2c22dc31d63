"""The sealed test part of a dataset. `bench.training.predict` is the only caller; a test holds that rule."""

from pathlib import Path

from bench.data import catalog
from bench.data.dataset import Dataset, Notify, quiet
from bench.data.loaders import folders
from bench.errors import DataError


def sealed_test(name: str, data_dir: Path | None = None, notify: Notify = quiet) -> Dataset:
    """The test part of dataset `name`.

    Args:
        name: one of `catalog.names()`.
        data_dir: folder to look in first; BENCH_DATA_DIR where None.
        notify: is told of downloads, one line each.

    Raises:
        SpecError: there is no such dataset.
        DataError: it cannot be found, its bytes are not the published ones, or its size is not the one stated.
    """
    found = catalog.module(name)
    dataset = catalog.assemble(name, found.test(data_dir or folders.user_folder(), notify))
    if len(dataset) != found.N_TEST:
        raise DataError(f"{name}: the test part has {len(dataset)} images, N_TEST is {found.N_TEST}")
    return dataset
