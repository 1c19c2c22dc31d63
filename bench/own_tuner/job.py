"""The trials of a search as tasks for workers."""

import time
from collections.abc import Collection, Sequence
from functools import partial
from statistics import fmean

from bench.execution.events import Message, Progress, Report
from bench.execution.scheduling import Job, RunningTask, Task, TaskEnd
from bench.own_tuner.ledger import Ledger, TrialEnded
from bench.own_tuner.options import Options
from bench.own_tuner.result import error_line
from bench.own_tuner.scores import Scores
from bench.own_tuner.sequence import Proposal, TrialSequence
from bench.own_tuner.source import TunerSource
from bench.records.store import now
from bench.training.own_tuner.exchange import FatalFailure, TrialRun, TrialTask
from bench.workers import tasks as worker
from bench.workers.executor import TaskFailed


class FatalTrialError(Exception):
    """A trial raised an error after which no other could succeed; Keras Tuner ends the search, too."""

    def __init__(self, failure: FatalFailure) -> None:
        """Keep the error of the worker."""
        super().__init__(failure.text)
        self.original = failure.error
        self.original.add_note(f"In a worker process:\n{failure.text}")


class SearchJob(Job):
    """The only job of its search."""

    key = "search"

    def __init__(
        self,
        sequence: TrialSequence,
        source: TunerSource,
        ledger: Ledger,
        scores: Scores,
        report: Report,
        *,
        options: Options,
        title: str,
        payload: str,
        seed: int,
        workers: int,
        deadline: float | None,
    ) -> None:
        """Train the trials of `sequence`.

        Args:
            sequence: of the trials.
            source: the oracle that proposes them.
            ledger: of the search.
            scores: of the trials that have ended.
            report: called with messages.
            options: of the execution.
            title: name of the search.
            payload: folder with what the workers need.
            seed: of the training.
            workers: number of worker processes.
            deadline: time.perf_counter() at which the search stops; None for no limit.
        """
        self.title = title
        self.trained: set[str] = set()  # ids of trials, in this session
        self._sequence = sequence
        self._source = source
        self._ledger = ledger
        self._scores = scores
        self._report = report
        self._options = options
        self._payload = payload
        self._seed = seed
        self._workers = workers
        self._deadline = deadline
        self._epochs = 0  # of the trials that have ended
        self._seconds: list[float] = []  # of those trained in this session
        self._out_of_time = False

    @property
    def done(self) -> bool:
        """Whether all trials have ended, or time is up."""
        return self._out_of_time or self._sequence.done

    def advance(self, in_flight: Collection[str]) -> None:
        """Let the oracle propose enough trials for all workers, unless time is up or an idle worker can start one."""
        self._out_of_time = self._deadline is not None and time.perf_counter() >= self._deadline
        if not self._out_of_time:
            if len(in_flight) >= self._workers or not self._sequence.waiting(in_flight):
                self._sequence.refill(in_flight, self._workers)
            self._scores.update(self._sequence.results, self._sequence.unreported)

    def next_task(self, in_flight: Collection[str]) -> Task | None:
        """The trial that was proposed first."""
        waiting = self._sequence.waiting(in_flight)
        if not waiting:
            return None
        proposal = waiting[0]
        return Task(
            name=proposal.name,
            start=partial(self._start, proposal),
            on_end=partial(self._on_end, proposal),
            timeout=self._options.trial_timeout,
        )

    def progress(self, running: Sequence[RunningTask]) -> Progress:
        """Trials, epochs, the best score, and the remaining time."""
        ended, total = self._scores.ended, self._scores.total
        left = None
        if total and self._seconds:
            left = max(0, total - ended) * fmean(self._seconds) / self._workers
        if self._deadline is not None:
            until = max(0.0, self._deadline - time.perf_counter())
            left = until if left is None else min(left, until)
        return Progress(
            key=self.key,
            run=self.title,
            stage="search",
            trials=ended,
            trials_total=total or 0,
            failed=self._scores.failed,
            epochs=self._epochs + sum(task.epochs for task in running),
            best=self._scores.best_text,
            seconds_left=left,
        )

    def _start(self, proposal: Proposal) -> "partial[TrialRun | FatalFailure]":
        task = TrialTask(
            payload=self._payload,
            trial_id=proposal.trial_id,
            run=proposal.run,
            trials=self._source.states(proposal),
            seed=self._seed,
            precision=self._options.precision,
        )
        return partial(worker.train_own, task)

    def _on_end(self, proposal: Proposal, end: TaskEnd, epoch_seconds: Sequence[float]) -> None:
        if isinstance(end, TaskFailed):
            # A crash counts as an exception in Keras Tuner's code would; `end.reason` is one line.
            result = TrialRun(status="INVALID", message=end.reason)
        elif isinstance(end.value, FatalFailure):
            raise FatalTrialError(end.value)
        else:
            result = self._source.checked(end.value)
            self._seconds.append(result.seconds)
        if result.status != "COMPLETED":
            self._report(Message(text=f"{proposal.name} failed: {error_line(result)}"))
        self._epochs += len(epoch_seconds)
        self.trained.add(proposal.trial_id)
        event = TrialEnded(time=now(), trial_id=proposal.trial_id, run=proposal.run, result=result)
        self._ledger.append(event)
        self._sequence.finish(proposal, result)
