"""The development images of a dataset: everything that searches and refits may use."""

from bench.data import splits
from bench.data.catalog import DatasetLocation
from bench.data.dataset import DataAccess, Dataset, Notify, quiet
from bench.errors import DataError
from bench.records.dataset import DatasetFacts


def load_development(location: DatasetLocation, notify: Notify = quiet) -> Dataset:
    """Load all images of a dataset except its test set.

    Args:
        location: the dataset.
        notify: called with a one-line message before each download.

    Raises:
        SpecError: there is no such dataset.
        DataError: its files cannot be found or do not match the published checksums.
    """
    definition = location.definition()
    access = DataAccess(data_dir=location.files_dir, notify=notify)
    try:
        images = definition.development(access)
    except SystemExit as error:  # in the user's code; otherwise it would end the command without a message
        raise DataError(
            f"{location.name}: its function `development` called sys.exit({error}): raise an exception instead, "
            "which says what is wrong"
        ) from error
    return definition.assemble(location.name, images)


def facts(location: DatasetLocation, dataset: Dataset) -> DatasetFacts:
    """The facts that a record stores about a dataset; those of the test set are taken from its definition."""
    definition = location.definition()
    n_train, n_validation = splits.split_sizes(dataset)
    return DatasetFacts(
        name=dataset.name,
        title=dataset.title,
        checksum=dataset.checksum,
        image_shape=dataset.image_shape,
        class_names=dataset.class_names,
        n_train=n_train,
        n_validation=n_validation,
        n_test=definition.n_test,
        duplicates=definition.duplicates,
    )
