"""The held-out test set of a dataset: the only access to its images and labels, logged before it opens."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bench.data.dataset import DataAccess, Dataset
from bench.errors import DataError
from bench.records.evaluation_log import EvaluationLog

if TYPE_CHECKING:
    from bench.data.catalog import DatasetLocation


class HeldOutTestSet:
    """A test set that is logged as evaluated when this object is built, and that can be opened once.

    Build one in the main process for each attempt, and send it to the worker that evaluates. The log is written when it
    is built, not when it is opened, because a worker may run on a machine without the results folder, or die before it
    can report: counting an attempt that did not open the test set is better than missing one that did. Pickling logs
    nothing; a copy can be opened only if the original had not been.

    Args:
        location: the dataset.
        run_id: the run to be evaluated, for the log.
        log: the dataset's evaluation log.

    Raises:
        StoreError: the log cannot be written.
        ValueError: the log belongs to another dataset.
    """

    def __init__(self, location: "DatasetLocation", run_id: str, log: EvaluationLog) -> None:
        if log.dataset != location.name:
            raise ValueError(f"expected the evaluation log of {location.name}, got that of {log.dataset}: {log.path}")
        log.append(run_id)
        self.location = location
        self._opened = False

    def open(self) -> Dataset:
        """Load the test images and labels.

        Raises:
            RuntimeError: it has been opened before.
            DataError: the files cannot be found or do not match the published checksums, or the number of images is
                not n_test.
        """
        definition = self.location.definition()
        access = TestSetAccess(test_set=self, data_dir=self.location.files_dir)
        dataset = definition.assemble(self.location.name, definition.test(access))
        if len(dataset) != definition.n_test:
            raise DataError(
                f"{dataset.name}: n_test is {definition.n_test}, but the test set has {len(dataset)} images: correct "
                "the number or the loader"
            )
        return dataset

    def use(self) -> None:
        """Use the single access that the log entry permits.

        Raises:
            RuntimeError: it has already been used.
        """
        if self._opened:
            raise RuntimeError(
                f"the test set of {self.location.name} was already opened: log a second evaluation by building another "
                "HeldOutTestSet"
            )
        self._opened = True


@dataclass(frozen=True, slots=True, kw_only=True)
class TestSetAccess(DataAccess):
    """The argument of a loader of test images; building it uses the single access of `test_set`."""

    __test__ = False  # pytest would collect it by its name

    test_set: HeldOutTestSet

    def __post_init__(self) -> None:
        if not isinstance(self.test_set, HeldOutTestSet):
            raise TypeError(f"access to a test set needs a HeldOutTestSet, got {type(self.test_set).__name__}")
        self.test_set.use()


def check_access(access: object) -> None:
    """Check the argument of a loader of test images, which must not be a look-alike.

    Raises:
        TypeError: it is not a TestSetAccess.
    """
    if not isinstance(access, TestSetAccess):
        raise TypeError(
            f"loading a test set needs a TestSetAccess, got {type(access).__name__}: "
            "use bench.data.held_out.HeldOutTestSet"
        )
