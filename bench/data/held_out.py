"""The held-out test set of a dataset: the only access to its images and labels."""

from bench.data import catalog
from bench.data.access import LoggedEvaluation, TestSetAccess
from bench.data.catalog import DatasetLocation
from bench.data.dataset import Dataset, Notify, quiet
from bench.data.loaders import folders
from bench.errors import DataError
from bench.records.evaluation_log import EvaluationLog


class HeldOutTestSet:
    """A test set that is logged as evaluated when this object is built, and that can be opened once.

    Build one in the main process for each attempt, and send it to the worker that evaluates. The log is written when it
    is built, not when it is opened, because a worker may run on a machine without the results folder, or die before it
    can report: counting an attempt that did not open the test set is better than missing one that did. Unpickling logs
    nothing.

    Args:
        location: the dataset.
        run_id: the run to be evaluated, for the log.
        log: the dataset's evaluation log.

    Raises:
        StoreError: the log cannot be written.
        ValueError: the log belongs to another dataset.
    """

    def __init__(self, location: DatasetLocation, run_id: str, log: EvaluationLog) -> None:
        if log.dataset != location.name:
            raise ValueError(f"{log.path} is the log of {log.dataset}, not of {location.name}")
        self.location = location
        self._evaluation = LoggedEvaluation(log, run_id)

    def open(self, notify: Notify = quiet) -> Dataset:
        """Load the test images and labels.

        Args:
            notify: called with a one-line message before each download.

        Raises:
            RuntimeError: it has been opened before.
            DataError: the files cannot be found or do not match the published checksums, or the number of images is
                not n_test.
        """
        location = self.location
        definition = catalog.definition(location)
        access = TestSetAccess(
            evaluation=self._evaluation, data_dir=location.data_dir or folders.user_folder(), notify=notify
        )
        dataset = definition.assemble(location.name, definition.test(access))
        if len(dataset) != definition.n_test:
            raise DataError(
                f"{location.name}: n_test is {definition.n_test}, but the test set has {len(dataset)} images"
            )
        return dataset
