"""What a dataset's loaders are given: the user's folder, a callback for messages, and the permit for test labels."""

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
    """What a loader of development images is called with."""

    data_dir: Path | None = None  # folder with the dataset's files, where the user named one
    notify: Notify = quiet  # takes one line of text for the user, for what lasts longer than a second


class LoggedEvaluation:
    """One evaluation on a held-out test set, in the log since before this object existed; good for one access.

    Pickling keeps it good for one access and logs nothing.
    """

    def __init__(self, log: EvaluationLog, run_id: str) -> None:
        """Write the evaluation to the log; it is on disk when this returns.

        Raises:
            StoreError: the log cannot be written.
        """
        log.append(run_id)
        self._used = False

    def use(self) -> None:
        """Spend the one access.

        Raises:
            RuntimeError: it was spent before.
        """
        if self._used:
            raise RuntimeError("this evaluation has already opened the test set: a second one needs its own log entry")
        self._used = True


@dataclass(frozen=True, slots=True, kw_only=True)
class TestSetAccess(DataAccess):
    """What a loader of test images is called with; it cannot be built without a logged evaluation, and spends it."""

    __test__ = False  # not a test case, whatever pytest makes of its name

    evaluation: LoggedEvaluation

    def __post_init__(self) -> None:
        if not isinstance(self.evaluation, LoggedEvaluation):
            raise TypeError(f"access to a test set needs a LoggedEvaluation, got {type(self.evaluation).__name__}")
        self.evaluation.use()


def requires_access(
    load: Callable[Concatenate[TestSetAccess, _Arguments], _Result],
) -> Callable[Concatenate[TestSetAccess, _Arguments], _Result]:
    """`load`, refusing every object that only looks like a TestSetAccess."""

    def guarded(access: TestSetAccess, /, *args: _Arguments.args, **kwargs: _Arguments.kwargs) -> _Result:
        if not isinstance(access, TestSetAccess):
            raise TypeError(
                f"loading a test set needs a TestSetAccess, got {type(access).__name__}: "
                "bench.data.held_out.HeldOutTestSet makes one"
            )
        return load(access, *args, **kwargs)

    return guarded
