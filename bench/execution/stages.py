"""The stages of a run: search, refit, evaluation. Each provides tasks for workers and stores their outcomes."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol
from zipfile import BadZipFile

import numpy as np

from bench.data.catalog import DatasetLocation
from bench.data.held_out import HeldOutTestSet
from bench.errors import RecordError, SearchError
from bench.execution.eta import Clock
from bench.execution.options import Options
from bench.records.files import write_atomic
from bench.records.ledger import RefitEnded
from bench.records.predictions import Predictions
from bench.records.record import Curve, Latency, RefitRecord, TrialRecord
from bench.records.spec import ReferenceSpec, RunSpec, TrialSpec, Value, refit_seed
from bench.records.store import RunFolder, now
from bench.tuning.search import Search
from bench.tuning.trials import PendingTrial
from bench.workers import tasks as worker
from bench.workers.executor import TaskCompleted, TaskFailed

if TYPE_CHECKING:
    from bench.training.fit import Refitted, TrainedTrial
    from bench.training.state import State

StageName = Literal["search", "refit", "evaluation"]
TaskEnd = TaskCompleted | TaskFailed
RETRY_HINT = "Continue with `python -m bench resume`"


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """A function for a worker to call; it also receives a callback that reports epochs."""

    function: Callable[..., Any]
    arguments: tuple[Any, ...]
    timeout: float | None = None  # seconds after which its worker is stopped


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """A unit of work for a worker, retried once if the worker dies."""

    name: str  # unique within its run
    start: Callable[[], Call]  # called for each attempt; writes what must be on disk first
    take: Callable[[TaskEnd, float], None]  # stores the outcome, given the seconds since the session started
    initial_epoch: int = 0


class Stage(Protocol):
    """A part of a run; it ends before the next stage starts."""

    @property
    def name(self) -> StageName:
        """Shown in messages; decides the priority."""

    def is_done(self, in_flight: Collection[str]) -> bool:
        """Whether the stage is complete, given the names of tasks in flight."""

    def next_task(self, in_flight: Collection[str]) -> Task | None:
        """The next task to start, or None; changes nothing."""


class SearchStage:
    """Trains the trials of a search."""

    name: StageName = "search"

    def __init__(self, search: Search, folder: RunFolder, options: Options, clock: Clock) -> None:
        """Train the trials of `search` within the time left on `clock`."""
        self._search = search
        self._folder = folder
        self._options = options
        self._clock = clock

    def is_done(self, in_flight: Collection[str]) -> bool:
        """Whether every trial has ended."""
        return self._search.is_done(in_flight)

    def next_task(self, in_flight: Collection[str]) -> Task | None:
        """The next trial."""
        trial = self._search.next_trial(in_flight, self._clock.epochs_left())
        if trial is None:
            return None
        return Task(
            name=trial.name,
            start=partial(self._start, trial),
            take=partial(self._take, trial),
            initial_epoch=trial.spec.initial_epoch,
        )

    def stop_in_time(self, in_flight: Collection[str]) -> None:
        """Stop the search if time is up, even if no worker is idle."""
        seconds = self._clock.seconds_left()
        if seconds is not None and (seconds <= 0 or self._search.is_out_of_time(in_flight, self._clock.epochs_left())):
            self._search.stop()

    def _start(self, trial: PendingTrial) -> Call:
        # Without the parent's state the trial starts from epoch 0 and ends with the same weights.
        state = None if trial.parent is None else _read_state(self._folder.state_file(trial.parent))
        return Call(
            function=worker.train,
            arguments=(trial.spec, state, self._options.dataset, self._clock.seconds_left()),
            timeout=self._options.trial_timeout,
        )

    def _take(self, trial: PendingTrial, end: TaskEnd, elapsed: float) -> None:
        if isinstance(end, TaskFailed):
            self._search.finish(self._failed(trial, end.reason, elapsed))
            return
        trained: TrainedTrial = end.value
        record = self._search.record(
            trial,
            curve=trained.curve,
            parameters=trained.parameters,
            fit_seconds=trained.fit_seconds,
            task_seconds=trained.task_seconds,
            ended_seconds=elapsed,
            cut=trained.cut,
        )
        if trained.cut:
            self._search.stop()
        if trained.state is not None:  # before the record, so that no record lacks its state
            _write_state(self._folder.state_file(record.trial_id), trained.state)
        self._search.finish(record)

    def _failed(self, trial: PendingTrial, reason: str, elapsed: float) -> TrialRecord:
        return self._search.record(
            trial,
            curve=Curve(),
            parameters=None,
            fit_seconds=0.0,
            task_seconds=0.0,
            ended_seconds=elapsed,
            error=reason,
        )


class RefitStage:
    """Trains one model per refit seed."""

    name: StageName = "refit"

    def __init__(self, spec: RunSpec, values: Mapping[str, Value], folder: RunFolder, dataset: DatasetLocation) -> None:
        """Train the missing refits: those without a ledger line or a model file in `folder`.

        Args:
            spec: the run's spec.
            values: the winner's hyperparameters; empty for a reference model.
            folder: the run folder.
            dataset: the dataset to train on.
        """
        self._spec = spec
        self._values = values
        self._folder = folder
        self._dataset = dataset
        recorded = (event.refit for event in folder.events() if isinstance(event, RefitEnded))
        self._refits = {refit.number: refit for refit in recorded if folder.model_file(refit.number).exists()}

    def is_done(self, in_flight: Collection[str]) -> bool:  # noqa: ARG002 - part of the protocol
        """Whether every seed has a model."""
        return len(self._refits) == self._spec.refit_seeds

    @property
    def refits(self) -> tuple[RefitRecord, ...]:
        """Completed refits, by number."""
        return tuple(self._refits[number] for number in sorted(self._refits))

    def next_task(self, in_flight: Collection[str]) -> Task | None:
        """The refit with the next seed."""
        for number in range(self._spec.refit_seeds):
            name = f"refit {number}"
            if number not in self._refits and name not in in_flight:
                return Task(name=name, start=partial(self._start, number), take=partial(self._take, number))
        return None

    def _start(self, number: int) -> Call:
        return Call(function=worker.refit, arguments=(refit_spec(self._spec, self._values, number), self._dataset))

    def _take(self, number: int, end: TaskEnd, _elapsed: float) -> None:
        if isinstance(end, TaskFailed):
            raise SearchError(f"refit {number} of {self._spec.model!r} failed: {end.reason}. {RETRY_HINT}")
        refitted: Refitted = end.value
        write_atomic(self._folder.model_file(number), refitted.model)
        refit = RefitRecord(
            number=number,
            seed=refit_seed(self._spec, number),
            epochs=self._spec.refit_epochs,
            curve=refitted.curve,
            train_accuracy=refitted.train_accuracy,
            parameters=refitted.parameters,
            summary=refitted.summary,
            weights_sha256=refitted.weights_sha256,
            fit_seconds=refitted.fit_seconds,
            task_seconds=refitted.task_seconds,
        )
        self._folder.append(RefitEnded(time=now(), refit=refit))
        self._refits[number] = refit


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
            raise SearchError(f"evaluation of {self._spec.model!r} failed: {end.reason}. {RETRY_HINT}")
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


def refit_spec(spec: RunSpec, values: Mapping[str, Value], number: int) -> TrialSpec:
    """The spec of a refit in float32: a winner on all development images, a reference model with its recipe.

    Args:
        spec: the run's spec.
        values: the winner's hyperparameters; empty for a reference model.
        number: of the refit, from 0.
    """
    return TrialSpec(
        dataset=spec.dataset,
        model=spec.model,
        values=values,
        part="reference" if isinstance(spec, ReferenceSpec) else "development",
        seed=refit_seed(spec, number),
        initial_epoch=0,
        epochs=spec.refit_epochs,
        horizon=spec.refit_epochs,
        precision="float32",
        keep_state=False,
    )


def _write_state(path: Path, state: "State") -> None:
    buffer = BytesIO()
    np.savez(buffer, *state)
    write_atomic(path, buffer.getvalue())


def _read_state(path: Path) -> "State | None":
    if not path.exists():
        return None
    try:
        with np.load(path, allow_pickle=False) as arrays:
            return [arrays[name] for name in arrays.files]
    except (OSError, ValueError, BadZipFile) as error:
        raise RecordError(f"{path}: cannot be read: {error}. Delete it; the trial will restart from epoch 0") from error
