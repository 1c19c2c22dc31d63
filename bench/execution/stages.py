"""The three stages of a family's run: each offers tasks for workers and keeps what comes back."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol
from zipfile import BadZipFile

import numpy as np

from bench.errors import RecordError, SearchError
from bench.execution.options import Options
from bench.records.files import write_atomic
from bench.records.record import Curve, RefitRecord, TrialRecord
from bench.records.spec import RunSpec, TrialSpec, Value
from bench.records.store import LedgerEvent, RunFolder, note_test_reading, now
from bench.seeds import derive_seed
from bench.tuning.search import Search, Work
from bench.workers import tasks as worker
from bench.workers.executor import Done, Failed

if TYPE_CHECKING:
    from bench.training.fit import State, Trained
    from bench.training.predict import Judgement


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """Something for a worker to do: `function` of `arguments` and of a callable that reports epochs."""

    name: str  # unique within its run, for messages
    function: Callable[..., Any]
    arguments: tuple[Any, ...]
    timeout: float | None = None  # seconds after which its worker is to be ended


StageName = Literal["search", "refit", "judge"]


class Stage(Protocol):
    """What the pipeline needs of a stage."""

    name: StageName

    @property
    def done(self) -> bool:
        """Whether it needs nothing more."""

    def next_task(self) -> Task | None:
        """A task to start now, None where there is none at the moment."""

    def take(self, name: str, outcome: Done | Failed, elapsed: float, /) -> None:
        """Keep the outcome of a task; `elapsed` are seconds since the session began."""


class Clock(Protocol):
    """The time that a search has."""

    def seconds_left(self) -> float | None:
        """Until trials are cut short; None where there is no limit."""

    def epochs_left(self) -> float:
        """What one trial that starts now can train in that time, in epochs, as far as is known."""


class SearchStage:
    """Trains what the search asks for."""

    name: StageName = "search"

    def __init__(self, search: Search, folder: RunFolder, options: Options, clock: Clock) -> None:
        """Offer the trials of `search`; states wait for promotion in `folder`.

        Args:
            search: asks and is told.
            folder: of the run.
            options: where data are, and how long a trial may take.
            clock: what time there is.
        """
        self._search = search
        self._folder = folder
        self._options = options
        self._clock = clock
        self._works: dict[str, Work] = {}

    @property
    def done(self) -> bool:
        """Whether every trial has ended."""
        return self._search.done

    def next_task(self) -> Task | None:
        """The next trial, with its parent's state where that is still there; without it the trial starts anew."""
        work = self._search.next_work(self._clock.epochs_left())
        if work is None:
            return None
        self._works[work.task] = work
        state = _read_state(self._folder.state_file(work.parent)) if work.parent is not None else None
        return Task(
            name=work.task,
            function=worker.train,
            arguments=(work.spec, state, self._options.data_dir, self._clock.seconds_left()),
            timeout=self._options.trial_timeout,
        )

    def take(self, name: str, outcome: Done | Failed, elapsed: float) -> None:
        """Write the trial's record, and its state first, since a record promises it."""
        work = self._works.pop(name)
        if isinstance(outcome, Failed):
            self._search.finish(self._record(work, outcome.reason, None, elapsed))
            return
        trained: Trained = outcome.value
        if trained.cut:
            self._search.stop()
        record = self._record(work, None, trained, elapsed)
        if trained.state is not None:
            _write_state(self._folder.state_file(record.trial_id), trained.state)
        self._search.finish(record)

    def _record(self, work: Work, error: str | None, trained: "Trained | None", elapsed: float) -> TrialRecord:
        return self._search.record(
            work,
            error=error,
            cut=trained is not None and trained.cut,
            curve=trained.curve if trained is not None else Curve(),
            parameters=trained.parameters if trained is not None else None,
            seconds=(trained.fit_seconds, trained.task_seconds, elapsed)
            if trained is not None
            else (0.0, 0.0, elapsed),
        )


class RefitStage:
    """Trains one model anew, once for each seed."""

    name: StageName = "refit"

    def __init__(self, spec: RunSpec, values: Mapping[str, Value], folder: RunFolder, options: Options) -> None:
        """Train what is not done: what the ledger in `folder` has, with its model beside it.

        Args:
            spec: of the run.
            values: hyperparameters of the winner; none of a reference.
            folder: of the run.
            options: where data are.
        """
        self._spec = spec
        self._values = values
        self._folder = folder
        self._options = options
        kept = (event.refit for event in folder.events() if event.refit is not None)
        self._refits = {refit.number: refit for refit in kept if folder.model_file(refit.number).exists()}
        self._waiting = [number for number in range(spec.refit_seeds) if number not in self._refits]

    @property
    def done(self) -> bool:
        """Whether there is a refit for each seed."""
        return len(self._refits) == self._spec.seeds

    @property
    def refits(self) -> tuple[RefitRecord, ...]:
        """What was refitted, by number."""
        return tuple(self._refits[number] for number in sorted(self._refits))

    def next_task(self) -> Task | None:
        """The refit of the next seed."""
        if not self._waiting:
            return None
        number = self._waiting.pop(0)
        arguments = (refit_spec(self._spec, self._values, number), None, self._options.data_dir, None)
        return Task(name=f"refit {number}", function=worker.train, arguments=arguments)

    def take(self, name: str, outcome: Done | Failed, _elapsed: float) -> None:
        """Keep the model, then its record.

        Raises:
            SearchError: the refit failed.
        """
        number = int(name.removeprefix("refit "))
        if isinstance(outcome, Failed):
            raise SearchError(f"{name} of {self._spec.family!r} failed: {outcome.reason}. The same command goes on")
        trained: Trained = outcome.value
        refitted = trained.refit
        if refitted is None:
            raise SearchError(f"{name} of {self._spec.family!r} came back as a trial")
        write_atomic(self._folder.model_file(number), refitted.model)
        refit = RefitRecord(
            number=number,
            seed=refit_seed(self._spec, number),
            epochs=self._spec.budget.epochs,
            curve=trained.curve,
            train_accuracy=refitted.train_accuracy,
            parameters=trained.parameters,
            summary=refitted.summary,
            weights_sha256=refitted.weights_sha256,
            fit_seconds=trained.fit_seconds,
            task_seconds=trained.task_seconds,
        )
        self._folder.append(LedgerEvent(event="refit", time=now(), refit=refit))
        self._refits[number] = refit


class EvaluationStage:
    """Lets the refitted models predict the sealed test part, once."""

    name: StageName = "judge"

    def __init__(self, spec: RunSpec, folder: RunFolder, options: Options) -> None:
        """Judge the models in `folder`; the reading is counted in the results folder."""
        self._spec = spec
        self._folder = folder
        self._options = options
        self._started = False
        self.judgement: Judgement | None = None

    @property
    def done(self) -> bool:
        """Whether there is a judgement."""
        return self.judgement is not None

    def next_task(self) -> Task | None:
        """Predict with all models; counted before it starts, so that no reading goes uncounted."""
        if self._started:
            return None
        self._started = True
        models = [self._folder.model_file(number).read_bytes() for number in range(self._spec.seeds)]
        note_test_reading(self._options.results, self._spec.dataset, self._folder.path.name, now())
        return Task(
            name="judging", function=worker.judge, arguments=(models, self._spec.dataset, self._options.data_dir)
        )

    def take(self, _name: str, outcome: Done | Failed, _elapsed: float) -> None:
        """Keep the judgement until the record is written.

        Raises:
            SearchError: the models could not predict.
        """
        if isinstance(outcome, Failed):
            raise SearchError(f"judging {self._spec.family!r} failed: {outcome.reason}. The same command goes on")
        self.judgement = outcome.value


class ClassifierStage(EvaluationStage):
    """Fits a model of the floor under each seed and judges it, in one task: such models may be too large to keep."""

    refits: tuple[RefitRecord, ...] = ()

    def next_task(self) -> Task | None:
        """Fit and predict; counted before it starts."""
        if self._started:
            return None
        self._started = True
        note_test_reading(self._options.results, self._spec.dataset, self._folder.path.name, now())
        seeds = [refit_seed(self._spec, number) for number in range(self._spec.seeds)]
        arguments = (self._spec.family, seeds, self._spec.dataset, self._options.data_dir)
        return Task(name="fitting and judging", function=worker.fit_classifier, arguments=arguments)

    def take(self, name: str, outcome: Done | Failed, elapsed: float) -> None:
        """Keep refits and judgement until the record is written.

        Raises:
            SearchError: it could not be fitted.
        """
        super().take(name, outcome, elapsed)
        if isinstance(outcome, Done):
            self.refits, self.judgement = outcome.value


def refit_seed(spec: RunSpec, number: int) -> int:
    """The seed of the refit with that number."""
    return derive_seed(spec.seed, "refit", number)


def refit_spec(spec: RunSpec, values: Mapping[str, Value], number: int) -> TrialSpec:
    """How a refit is trained: the winner on train and validation together, a reference as its recipe says; in float32.

    Args:
        spec: of the run.
        values: hyperparameters of the winner; none of a reference.
        number: of the refit, from 0.
    """
    epochs = spec.budget.epochs
    return TrialSpec(
        dataset=spec.dataset,
        family=spec.family,
        values=values,
        part="reference" if spec.fixed else "development",
        seed=refit_seed(spec, number),
        initial_epoch=0,
        epochs=epochs,
        horizon=epochs,
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
        raise RecordError(f"{path}: cannot be read: {error}. Delete it; the trial is then trained anew") from error
