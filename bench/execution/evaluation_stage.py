"""The evaluation of a run: all refits predict the held-out test set, and every attempt is logged."""

from collections.abc import Callable, Collection
from typing import Any

from bench.data.catalog import DatasetLocation
from bench.data.held_out import HeldOutTestSet
from bench.errors import SearchError
from bench.execution.stages import RESUME_HINT, Call, StageName, Task, TaskEnd
from bench.records.files import write_atomic
from bench.records.predictions import Predictions
from bench.records.record import Latency, RefitRecord
from bench.records.spec import RunSpec, refit_seed
from bench.records.store import RunFolder
from bench.workers import tasks as worker
from bench.workers.executor import TaskFailed


class EvaluationStage:
    """Evaluates all refits on the held-out test set."""

    name: StageName = "evaluation"

    def __init__(self, spec: RunSpec, folder: RunFolder, test_set: Callable[[], HeldOutTestSet]) -> None:
        """Evaluate the models in `folder`; every attempt calls `test_set`, which logs it."""
        self._spec = spec
        self._folder = folder
        self._test_set = test_set
        self._result: tuple[Predictions, Latency] | None = None

    def is_done(self, in_flight: Collection[str]) -> bool:  # noqa: ARG002 - part of the protocol
        """Whether the test set has been predicted."""
        return self._result is not None

    @property
    def result(self) -> tuple[Predictions, Latency]:
        """Predictions of all refits, and the prediction time of the first.

        Raises:
            SearchError: the evaluation has not been completed.
        """
        if self._result is None:
            raise SearchError(f"{self._folder.path.name} has not been evaluated yet")
        return self._result

    def next_task(self, in_flight: Collection[str]) -> Task | None:
        """A single task that evaluates all refits."""
        if self._result is not None or in_flight:
            return None
        return Task(name="evaluation", start=self._start, take=self._take)

    def _seeds(self) -> list[int]:
        return [refit_seed(self._spec, number) for number in range(self._spec.refit_seeds)]

    def _start(self) -> Call:
        models = [self._folder.model_file(number).read_bytes() for number in range(self._spec.refit_seeds)]
        return Call(function=worker.evaluate, arguments=(models, self._test_set(), self._seeds()))

    def _take(self, end: TaskEnd, _elapsed: float) -> None:
        if isinstance(end, TaskFailed):
            raise SearchError(f"evaluation of {self._spec.model!r} failed: {end.reason}. {RESUME_HINT}")
        self._result = self._keep(end.value)

    def _keep(self, value: Any) -> tuple[Predictions, Latency]:
        result: tuple[Predictions, Latency] = value
        return result


class ClassifierStage(EvaluationStage):
    """Fits and evaluates a scikit-learn classifier with all seeds in one task, since its models may be large."""

    refits: tuple[RefitRecord, ...] = ()

    def __init__(
        self, spec: RunSpec, folder: RunFolder, test_set: Callable[[], HeldOutTestSet], dataset: DatasetLocation
    ) -> None:
        """Fit on the development images of `dataset`."""
        super().__init__(spec, folder, test_set)
        self._dataset = dataset

    def _start(self) -> Call:
        arguments = (self._spec.model, self._seeds(), self._test_set(), self._dataset)
        return Call(function=worker.fit_classifier, arguments=arguments)

    def _keep(self, value: Any) -> tuple[Predictions, Latency]:
        self.refits, *result = value
        # The models folder marks the run as trained on this machine.
        write_atomic(self._folder.models_dir / "README", b"scikit-learn models are not kept\n")
        predictions, latency = result
        return predictions, latency
