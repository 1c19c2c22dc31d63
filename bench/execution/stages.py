"""The parts of a run: a stage offers tasks for workers and keeps their outcomes."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, Literal, Protocol

from bench.data.catalog import DatasetLocation
from bench.data.held_out import HeldOutTestSet
from bench.errors import SearchError
from bench.execution.eta import Pace
from bench.execution.scheduling import Task, TaskEnd
from bench.records.dataset import DatasetFacts
from bench.records.files import write_atomic
from bench.records.ledger import RefitEnded, ended_refits
from bench.records.plain import PlainKeras
from bench.records.predictions import Predictions
from bench.records.record import Latency, RefitRecord
from bench.records.spec import RunSpec, SearchSpec, TrialSpec, Value, refit_seed
from bench.records.store import RunFolder, now
from bench.tuning.trials import trial_spec
from bench.workers import tasks as worker
from bench.workers.executor import TaskFailed
from search_spaces import FamilyLocation

CODE = "code"  # name of a task


class Stage(Protocol):
    """A part of a run; it ends before the next stage starts."""

    @property
    def name(self) -> Literal["search", "refit", "evaluation"]:
        """Shown in messages; decides the priority."""

    def next_task(self, in_flight: Collection[str]) -> Task | None:
        """The next task to start, or None; changes nothing."""


class RefitStage:
    """Trains one model per refit seed, and writes the first as plain Keras code."""

    name: Literal["refit"] = "refit"

    def __init__(
        self,
        spec: RunSpec,
        values: Mapping[str, Value],
        folder: RunFolder,
        dataset: DatasetLocation,
        family_file: str | None = None,
        *,
        pace: Pace,
        facts: DatasetFacts | None = None,
    ) -> None:
        """Train the missing refits: those without a ledger line or a model file in `folder`.

        Args:
            spec: the run's spec.
            values: the winner's hyperparameters; empty for a reference model.
            folder: the run folder.
            dataset: the dataset to train on.
            family_file: absolute path of the file of a family that was given by path.
            pace: counts the seconds of the run.
            facts: of the dataset, for the plain Keras code; None writes none.
        """
        self._spec = spec
        self._values = values
        self._folder = folder
        self._dataset = dataset
        self._family_file = family_file
        self._pace = pace
        self._facts = None if folder.plain_file.exists() else facts  # None as soon as no code has to be written
        recorded = ended_refits(folder.events())
        self._refits = {number: refit for number, refit in recorded.items() if folder.model_file(number).exists()}

    @property
    def done(self) -> bool:
        """Whether every seed has a model, and the code is written."""
        return len(self._refits) == self._spec.refit_seeds and self._facts is None

    @property
    def refits(self) -> tuple[RefitRecord, ...]:
        """Completed refits, by number."""
        return tuple(self._refits[number] for number in sorted(self._refits))

    def next_task(self, in_flight: Collection[str]) -> Task | None:
        """The refit with the next seed; then the code, for which a worker is idle while the others train."""
        for number in range(self._spec.refit_seeds):
            name = f"refit {number}"
            if number not in self._refits and name not in in_flight:
                return Task(name=name, start=partial(self._start, number), on_end=partial(self._on_end, number))
        if self._facts is not None and CODE not in in_flight:
            return Task(name=CODE, start=partial(self._start_code, self._facts), on_end=self._on_code)
        return None

    def _trial(self, number: int) -> TrialSpec:
        return replace(refit_spec(self._spec, self._values, number), file=self._family_file)

    def _start(self, number: int) -> "partial[tuple[RefitRecord, bytes]]":
        return partial(worker.refit, self._trial(number), number, self._dataset)

    def _start_code(self, facts: DatasetFacts) -> "partial[PlainKeras | None]":
        return partial(worker.plain_code, self._trial(0), facts)

    def _on_code(self, end: TaskEnd, _epoch_seconds: Sequence[float]) -> None:
        """Keep the code; some models cannot be written as code, which `bench show` explains."""
        if not isinstance(end, TaskFailed) and end.value is not None:
            self._folder.write_plain(end.value)
        self._facts = None

    def _on_end(self, number: int, end: TaskEnd, _epoch_seconds: Sequence[float]) -> str:
        if isinstance(end, TaskFailed):
            raise SearchError(f"refit {number} of {self._spec.model!r} failed: {end.reason}")
        refit: RefitRecord
        refit, model = end.value
        refit = replace(refit, task_seconds=refit.task_seconds + end.lost_seconds)
        write_atomic(self._folder.model_file(number), model)
        self._folder.append(RefitEnded(time=now(), refit=refit, seconds=self._pace.seconds))
        self._refits[number] = refit
        return f"{refit.epochs} epochs, {refit.task_seconds:.1f} s" if refit.epochs else f"{refit.task_seconds:.1f} s"


def refit_spec(spec: RunSpec, values: Mapping[str, Value], number: int) -> TrialSpec:
    """The spec of a refit in float32: a winner on all development images, a reference model with its recipe.

    Args:
        spec: the run's spec.
        values: the winner's hyperparameters; empty for a reference model.
        number: of the refit, from 0.
    """
    seed = refit_seed(spec, number)
    if isinstance(spec, SearchSpec):
        # With the split of the trial, for a `fit` of the model's own, which gets the validation images of the search.
        trial = trial_spec(spec, values)
        return replace(trial, part="development", seed=seed, precision="float32", objective=None)
    return TrialSpec(
        dataset=spec.dataset,
        model=spec.model,
        values=values,
        part="reference",
        seed=seed,
        initial_epoch=0,
        epochs=spec.epochs,
        horizon=spec.epochs,
        precision="float32",
        keep_state=False,
    )


class EvaluationStage:
    """Evaluates all refits on the held-out test set."""

    name: Literal["evaluation"] = "evaluation"

    def __init__(
        self,
        spec: RunSpec,
        folder: RunFolder,
        test_set: Callable[[], HeldOutTestSet],
        family: FamilyLocation | None = None,
    ) -> None:
        """Evaluate the models of `family` in `folder`; every attempt calls `test_set`, which logs it."""
        self._spec = spec
        self._family = family
        self._folder = folder
        self._test_set = test_set
        self.result: tuple[Predictions, Latency] | None = None  # the latency is that of the first refit

    def next_task(self, in_flight: Collection[str]) -> Task | None:
        """A single task that evaluates all refits and measures prediction time."""
        if self.result is not None or in_flight:
            return None
        return Task(name="evaluation", start=self._start, on_end=self._on_end, alone=True)

    def _seeds(self) -> list[int]:
        return [refit_seed(self._spec, number) for number in range(self._spec.refit_seeds)]

    def _start(self) -> "partial[Any]":
        models = [self._folder.model_file(number).read_bytes() for number in range(self._spec.refit_seeds)]
        return partial(worker.evaluate, models, self._test_set(), self._seeds(), self._family, self._spec.source)

    def _on_end(self, end: TaskEnd, _epoch_seconds: Sequence[float]) -> None:
        if isinstance(end, TaskFailed):
            raise SearchError(f"evaluation of {self._spec.model!r} failed: {end.reason}")
        self.result = self._keep(end.value)

    def _keep(self, value: Any) -> tuple[Predictions, Latency]:
        result: tuple[Predictions, Latency] = value
        return result


class ClassifierStage(EvaluationStage):
    """Fits and evaluates a scikit-learn classifier with all seeds in one task, since its models may be large."""

    refits: tuple[RefitRecord, ...] = ()

    def __init__(
        self,
        spec: RunSpec,
        folder: RunFolder,
        test_set: Callable[[], HeldOutTestSet],
        dataset: DatasetLocation,
        *,
        facts: DatasetFacts | None = None,
    ) -> None:
        """Fit on the development images of `dataset`, and write the code with its `facts`; None writes none."""
        super().__init__(spec, folder, test_set)
        self._dataset = dataset
        self._facts = facts

    def _start(self) -> "partial[Any]":
        test_set = self._test_set()
        return partial(worker.fit_classifier, self._spec.model, self._seeds(), test_set, self._dataset, self._facts)

    def _keep(self, value: Any) -> tuple[Predictions, Latency]:
        self.refits, plain, *result = value
        if plain is not None:
            self._folder.write_plain(plain)
        # The models folder marks the run as trained on this machine.
        write_atomic(self._folder.models_dir / "README", b"scikit-learn models are not kept\n")
        predictions, latency = result
        return predictions, latency
