"""The polling loop: runs the tasks of several jobs on the same workers until every job is done."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from bench.errors import SearchError
from bench.execution.events import Detail, Event, Message, Report
from bench.workers.executor import EpochCompleted, Executor, TaskCompleted, TaskFailed
from bench.workers.executor import Event as ExecutorEvent

POLL_SECONDS = 0.5
MAX_ATTEMPTS = 2

TaskEnd = TaskCompleted | TaskFailed


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """A unit of work for a worker, retried once if the worker dies."""

    name: str  # unique within its job
    # Called for each attempt: writes what must be on disk first, and returns what a worker calls with a callback that
    # reports epochs.
    start: Callable[[], "partial[Any]"]
    # Stores the outcome, given the seconds of each epoch; returns its description, if there is one.
    on_end: Callable[[TaskEnd, Sequence[float]], str | None]
    initial_epoch: int = 0
    timeout: float | None = None  # seconds after which its worker is stopped
    alone: bool = False  # runs while no other task of the call does, since it measures time


@dataclass(slots=True, kw_only=True)
class RunningTask:
    """A task in flight: on a worker, or waiting for a retry."""

    job: "Job"
    task: Task
    attempts: int = 0
    waiting: bool = True  # for a worker
    epochs: int = 0  # reached in this attempt, counted from the candidate's first epoch
    epoch_seconds: list[float] = field(default_factory=list)  # of this attempt
    lost_seconds: float = 0.0  # of failed attempts

    @property
    def key(self) -> str:
        """Identifies the task in events of the executor."""
        return f"{self.job.key}/{self.task.name}"


class Job(ABC):
    """A sequence of tasks that depend on each other, such as a run."""

    key: str  # unique among the jobs of a call
    title: str  # its name in messages

    @property
    def priority(self) -> int:
        """Jobs with a lower number get idle workers first."""
        return 0

    @property
    @abstractmethod
    def done(self) -> bool:
        """Whether it has succeeded or failed."""

    @abstractmethod
    def next_task(self, in_flight: Collection[str]) -> Task | None:
        """The next task to start, or None; changes nothing.

        Args:
            in_flight: names of its tasks that are running or waiting for a retry.
        """

    def advance(self, in_flight: Collection[str]) -> None:  # noqa: B027 - many jobs need nothing
        """Do everything that needs no worker.

        Raises:
            SearchError: the job cannot be completed.
        """

    def record_epoch(self, seconds: float, *, first: bool) -> None:  # noqa: B027 - many jobs measure nothing
        """Measure an epoch of a task; `first` if it is the first of this attempt."""

    def progress(self, running: Sequence[RunningTask]) -> Event | None:  # noqa: ARG002 - for jobs that report
        """Its progress, given its tasks in flight."""
        return None

    def fail(self, reason: str) -> None:
        """End the job as failed.

        Raises:
            SearchError: the other jobs of the call cannot continue.
        """
        raise SearchError(reason)


def work(jobs: Sequence[Job], executor: Executor, report: Report) -> None:
    """Execute `jobs`; if one cannot be completed, its `fail` is called and the others continue.

    Raises:
        SearchError: the workers cannot run the tasks, or no worker is left.
    """
    in_flight: dict[str, RunningTask] = {}  # by key; the only place that knows which tasks are running
    for job in jobs:
        _advance(job, in_flight)
        _report_progress(job, in_flight, report)
    while remaining := [job for job in jobs if not job.done]:
        _start_tasks(remaining, in_flight, executor)
        event = executor.next_event(POLL_SECONDS)
        for line in executor.messages():
            report(Message(text=line))
        running = None if event is None else _handle(event, in_flight, report)
        for job in remaining:
            _advance(job, in_flight)
        if running is not None:
            _report_progress(running.job, in_flight, report)


def _tasks_of(job: Job, in_flight: dict[str, RunningTask]) -> list[RunningTask]:
    return [running for running in in_flight.values() if running.job is job]


def _names_of(job: Job, in_flight: dict[str, RunningTask]) -> set[str]:
    return {running.task.name for running in _tasks_of(job, in_flight)}


def _advance(job: Job, in_flight: dict[str, RunningTask]) -> None:
    if job.done:
        return
    try:
        job.advance(_names_of(job, in_flight))
    except SearchError as error:
        job.fail(str(error))


def _report_progress(job: Job, in_flight: dict[str, RunningTask], report: Report) -> None:
    if not job.done and (progress := job.progress(_tasks_of(job, in_flight))) is not None:
        report(progress)


def _start_tasks(jobs: Sequence[Job], in_flight: dict[str, RunningTask], executor: Executor) -> None:
    """Give every idle worker a task: retries first, then new tasks by job priority; none next to a task alone."""
    while executor.idle():
        retry = next((task for task in in_flight.values() if task.waiting), None)
        running = retry or _next(jobs, in_flight)
        others = [task.task for task in in_flight.values() if not task.waiting]
        if running is None or (others and (running.task.alone or others[0].alone)):
            return
        in_flight[running.key] = running
        running.waiting, running.attempts = False, running.attempts + 1
        executor.submit(running.key, running.task.start(), timeout=running.task.timeout)


def _next(jobs: Sequence[Job], in_flight: dict[str, RunningTask]) -> RunningTask | None:
    for job in sorted(jobs, key=lambda job: job.priority):
        task = job.next_task(_names_of(job, in_flight))
        if task is not None:
            return RunningTask(job=job, task=task)
    return None


def _handle(event: ExecutorEvent, in_flight: dict[str, RunningTask], report: Report) -> RunningTask:
    """Process an executor event; returns the task that it concerns."""
    running = in_flight[event.key]
    if isinstance(event, EpochCompleted):
        running.job.record_epoch(event.seconds, first=not running.epoch_seconds)
        running.epochs = event.epochs
        running.epoch_seconds.append(event.seconds)
        return running
    if isinstance(event, TaskFailed) and event.fatal:
        raise SearchError(f"{running.task.name} of {running.job.title} cannot run on {event.reason}")
    if isinstance(event, TaskFailed):
        running.lost_seconds += event.lost_seconds
    if isinstance(event, TaskFailed) and event.worker_died and running.attempts < MAX_ATTEMPTS:
        running.waiting, running.epochs, running.epoch_seconds = True, 0, []
        report(Message(text=f"{running.task.name} of {running.job.title}: {event.reason}; retrying"))
        return running
    del in_flight[event.key]
    try:
        description = running.task.on_end(replace(event, lost_seconds=running.lost_seconds), running.epoch_seconds)
    except SearchError as error:
        # A failed job still stores the results of tasks that end later.
        if not running.job.done:
            running.job.fail(str(error))
    else:
        if description is not None:
            report(Detail(text=f"{running.job.title}: {running.task.name}: {description}"))
    return running
