"""The held-out test set of a dataset: the only way to its images and labels."""

from bench.data import catalog
from bench.data.access import LoggedEvaluation, TestSetAccess
from bench.data.catalog import DatasetLocation
from bench.data.dataset import Dataset, Notify, quiet
from bench.data.loaders import folders
from bench.errors import DataError
from bench.records.evaluation_log import EvaluationLog


class HeldOutTestSet:
    """A test set that is in the log of evaluations since before it can be opened, and that can be opened once.

    Build it in the main process, one for each attempt, and send it to the worker that evaluates. The log is written
    when it is built, not when it is opened, because a worker may run on a machine that does not have the results
    folder, and may die before it could report: an attempt that opened nothing is better counted than one that opened
    the test set and is missing. Unpickling it logs nothing.

    Args:
        location: of the dataset.
        run_id: of the run that evaluates, for the log.
        log: of this dataset.

    Raises:
        StoreError: the log cannot be written.
        ValueError: the log is that of another dataset.
    """

    def __init__(self, location: DatasetLocation, run_id: str, log: EvaluationLog) -> None:
        if log.dataset != location.name:
            raise ValueError(f"{log.path} is the log of {log.dataset}, not of {location.name}")
        self.location = location
        self._evaluation = LoggedEvaluation(log, run_id)

    def open(self, notify: Notify = quiet) -> Dataset:
        """The test images and labels.

        Args:
            notify: called with one line of text for each download.

        Raises:
            RuntimeError: it has been opened before.
            DataError: the files cannot be found, their bytes are not the published ones, or their number is not n_test.
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
