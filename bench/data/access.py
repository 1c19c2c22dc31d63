"""Arguments of dataset loaders: the user's data folder, a callback for messages, and access to the test set."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Concatenate, ParamSpec, TypeVar

from bench.data.dataset import Notify, quiet
from bench.records.evaluation_log import EvaluationLog

_Arguments = ParamSpec("_Arguments")
_Result = TypeVar("_Result")


@dataclass(frozen=True, slots=True, kw_only=True)
class DataAccess:
    """The argument of a loader of development images."""

    data_dir: Path | None = None  # folder with the dataset's files, if the user named one
    notify: Notify = quiet  # takes a one-line message for the user, before steps longer than a second


class LoggedEvaluation:
    """One logged test-set evaluation, which permits a single access to the test set.

    The log entry is written first. Pickling logs nothing; the copy permits access only if the original still did.
    """

    def __init__(self, log: EvaluationLog, run_id: str) -> None:
        """Log the evaluation; it is on disk when this returns.

        Raises:
            StoreError: the log cannot be written.
        """
        log.append(run_id)
        self._used = False

    def use(self) -> None:
        """Use the single access.

        Raises:
            RuntimeError: it has already been used.
        """
        if self._used:
            raise RuntimeError("this evaluation has already opened the test set: a second one needs its own log entry")
        self._used = True


@dataclass(frozen=True, slots=True, kw_only=True)
class TestSetAccess(DataAccess):
    """The argument of a loader of test images; building it uses up a logged evaluation."""

    __test__ = False  # pytest would collect it by its name

    evaluation: LoggedEvaluation

    def __post_init__(self) -> None:
        if not isinstance(self.evaluation, LoggedEvaluation):
            raise TypeError(f"access to a test set needs a LoggedEvaluation, got {type(self.evaluation).__name__}")
        self.evaluation.use()


def requires_access(
    load: Callable[Concatenate[TestSetAccess, _Arguments], _Result],
) -> Callable[Concatenate[TestSetAccess, _Arguments], _Result]:
    """Make `load` reject anything but a TestSetAccess."""

    def guarded(access: TestSetAccess, /, *args: _Arguments.args, **kwargs: _Arguments.kwargs) -> _Result:
        if not isinstance(access, TestSetAccess):
            raise TypeError(
                f"loading a test set needs a TestSetAccess, got {type(access).__name__}: "
                "use bench.data.held_out.HeldOutTestSet"
            )
        return load(access, *args, **kwargs)

    return guarded
