"""The refits of a run: one model for each seed, kept for the evaluation."""

from collections.abc import Collection, Mapping
from functools import partial
from typing import TYPE_CHECKING

from bench.data.catalog import DatasetLocation
from bench.errors import SearchError
from bench.execution.stages import RESUME_HINT, Call, StageName, Task, TaskEnd
from bench.records.files import write_atomic
from bench.records.ledger import RefitEnded
from bench.records.record import RefitRecord
from bench.records.spec import ReferenceSpec, RunSpec, TrialSpec, Value, refit_seed
from bench.records.store import RunFolder, now
from bench.workers import tasks as worker
from bench.workers.executor import TaskFailed

if TYPE_CHECKING:
    from bench.training.fit import Refitted


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
            raise SearchError(f"refit {number} of {self._spec.model!r} failed: {end.reason}. {RESUME_HINT}")
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
