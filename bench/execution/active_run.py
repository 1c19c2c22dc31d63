"""The base class of active runs: the parts that searches and reference models share."""

from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from time import perf_counter
from typing import TYPE_CHECKING

from bench.data.held_out import HeldOutTestSet
from bench.execution.eta import EVALUATION_SECONDS, Pace
from bench.execution.evaluation_stage import EvaluationStage
from bench.execution.events import Outcome, Progress, Report, RunFailed, RunFinished
from bench.execution.options import Options
from bench.execution.refit_stage import RefitStage
from bench.execution.reproduction import settle
from bench.execution.stages import Stage, StageName, Task, TaskEnd
from bench.machine import Environment
from bench.records.evaluation_log import EvaluationLog
from bench.records.ledger import LedgerEvent, RefitEnded, SessionStarted
from bench.records.record import SCHEMA_VERSION, DatasetFacts, ReferenceModel, RefitRecord, RunRecord, SearchOutcome
from bench.records.spec import RunSpec
from bench.records.store import RunFolder, now
from bench.tuning.trials import Plan, Totals
from bench.workers.executor import EpochCompleted

if TYPE_CHECKING:
    from bench.execution.scheduling import RunningTask

# Searches first: refits of other runs then fill idle workers.
_PRIORITY: Mapping[StageName, int] = {"search": 0, "refit": 1, "evaluation": 2}


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """Options, data and environment shared by all runs of one call."""

    options: Options
    dataset: DatasetFacts
    environment: Environment  # of the processes that train
    started: str  # ISO 8601, UTC
    start: float  # time.perf_counter() at that moment
    report: Report


class ActiveRun(ABC):
    """A run whose folder this process has locked; a job of the polling loop."""

    stage: Stage
    plan = Plan(candidates=0, tasks=0, epochs=0)

    def __init__(self, spec: RunSpec, folder: RunFolder, session: Session, published: RunFolder | None) -> None:
        """Start the run, or resume it from `folder`; `published` is the run that it reproduces."""
        self.folder = folder
        self.outcome: Outcome | None = None
        self.pace = Pace(spec, session.options.workers)
        self.session = session
        self._spec = spec
        self._published = published
        self._earlier = folder.events()

    @property
    @abstractmethod
    def introduction(self) -> str:
        """One line on what the run will train."""

    @property
    @abstractmethod
    def refits(self) -> tuple[RefitRecord, ...]:
        """Completed refits, by number."""

    @abstractmethod
    def origin(self) -> SearchOutcome | ReferenceModel:
        """How the evaluated model was chosen."""

    # The job of the polling loop

    @property
    def key(self) -> str:
        """The run id."""
        return self.folder.path.name

    @property
    def title(self) -> str:
        """The name of the model."""
        return self._spec.model

    @property
    def priority(self) -> int:
        """By stage."""
        return _PRIORITY[self.stage.name]

    @property
    def done(self) -> bool:
        """Whether it has its record, or failed."""
        return self.outcome is not None

    def next_task(self, in_flight: Collection[str]) -> Task | None:
        """The next task of the current stage."""
        return self.stage.next_task(in_flight)

    def advance(self, in_flight: Collection[str]) -> None:
        """Enter the next stage if the current one is done; the last stage writes the record.

        Raises:
            SearchError: no trial of the search succeeded.
        """
        if isinstance(self.stage, RefitStage) and self.stage.is_done(in_flight):
            self.stage = EvaluationStage(self._spec, self.folder, self._open_test_set)
        if isinstance(self.stage, EvaluationStage) and self.stage.is_done(in_flight):
            self._finish(self.stage)

    def take_epoch(self, running: "RunningTask", epoch: EpochCompleted) -> None:
        """Measure an epoch."""
        first = not running.epoch_seconds
        if self.stage.name == "search":
            self.pace.take_trial_epoch(epoch.seconds, first=first)
        else:
            self.pace.take_refit_epoch(epoch.seconds, first=first)

    def take(self, running: "RunningTask", end: TaskEnd) -> None:
        """Store the outcome of a task.

        Raises:
            SearchError: a refit or the evaluation failed.
        """
        running.task.take(end, perf_counter() - self.session.start)

    def fail(self, reason: str) -> None:
        """End the run without a record."""
        self._end(RunFailed(folder=self.folder, reason=reason))

    def progress(self, running: Sequence["RunningTask"]) -> Progress:
        """Stage, trials, epochs and remaining time."""
        trained = sum(max(0, task.epochs - task.task.initial_epoch) for task in running)
        if self.stage.name == "search":
            epochs, total = self.totals.epochs + trained, self.plan.epochs
        else:
            epochs = len(self.refits) * self._spec.refit_epochs + trained
            total = self._spec.refit_seeds * self._spec.refit_epochs
        seed = f" seed {self._spec.seed}" if self._spec.seed else ""
        return Progress(
            run=f"{self._spec.dataset} {self._spec.model}{seed}",
            stage=self.stage.name,
            trials=self.totals.trials,
            trials_total=self.plan.tasks,
            failed=self.totals.failed,
            epochs=epochs,
            epochs_total=total,
            best_validation_accuracy=self.totals.best,
            seconds_left=self._seconds_left(len(running), total - epochs),
        )

    @property
    def totals(self) -> Totals:
        """The progress of the search; zeros for a reference model."""
        return Totals()

    def _seconds_left(self, running: int, epochs: int) -> float | None:
        if self.stage.name == "evaluation":
            return EVALUATION_SECONDS
        return self.pace.refit_seconds_left(self._spec.refit_seeds - len(self.refits), running, epochs)

    # Session, record and outcome

    def _open_test_set(self) -> HeldOutTestSet:
        """The test set, for one evaluation attempt, which is logged first."""
        options = self.session.options
        return HeldOutTestSet(options.dataset, self.key, EvaluationLog(options.results, options.dataset.name))

    def _start_session(self) -> None:
        session = self.session
        self.folder.write_spec(self._spec)
        self.folder.append(
            SessionStarted(
                time=session.started,
                environment=session.environment,
                dataset=session.dataset,
                options=session.options.for_ledger(),
                reproduces=None if self._published is None else self._published.path.name,
            )
        )

    def _finish(self, evaluation: EvaluationStage) -> None:
        """Write predictions and record; compare them with the published run, if any."""
        predictions, latency = evaluation.result
        events = self.folder.events()
        sessions = [event for event in events if isinstance(event, SessionStarted)]
        finished = now()
        record = RunRecord(
            schema=SCHEMA_VERSION,
            run_id=self.key,
            spec=self._spec,
            dataset=self.session.dataset,
            environment=self.session.environment,
            origin=self.origin(),
            refits=self.refits,
            predictions_sha256=predictions.digest(),
            latency=latency,
            precision_refit="float32",
            workers=self.session.options.workers,
            started=sessions[0].time,
            finished=finished,
            total_seconds=session_seconds(events, finished),
            resumed=len(sessions) - 1,
            reproduces=None if self._published is None else self._published.path.name,
        )
        self.folder.write_predictions(predictions)
        self.folder.write_record(record)
        if self._published is None:
            self._end(RunFinished(folder=self.folder, trained=True))
        else:
            folder, reproduction = settle(self.folder, self._published)
            self._end(RunFinished(folder=folder, trained=True, reproduction=reproduction, published=self._published))

    def _end(self, outcome: Outcome) -> None:
        self.outcome = outcome
        self.session.report(outcome)


def session_seconds(events: Sequence[LedgerEvent], until: str | None = None) -> float:
    """Total seconds of all sessions, each from its start to its last event; pauses between sessions are excluded.

    Args:
        events: all ledger events, in order.
        until: end of the last session (ISO 8601); its last event if None.
    """
    times = [(isinstance(event, SessionStarted), datetime.fromisoformat(event.time)) for event in events]
    if until is not None:
        times.append((False, datetime.fromisoformat(until)))
    return sum((later - earlier).total_seconds() for (_, earlier), (starts, later) in pairwise(times) if not starts)


def search_seconds(events: Sequence[LedgerEvent]) -> float:
    """Total seconds of all sessions, each from its start to its last search event."""
    return session_seconds([event for event in events if not isinstance(event, RefitEnded)])
