"""The search of a run: every trial is a task."""

from collections.abc import Collection
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING
from zipfile import BadZipFile

import numpy as np

from bench.errors import RecordError
from bench.execution.eta import Clock
from bench.execution.options import Options
from bench.execution.stages import Call, StageName, Task, TaskEnd
from bench.records.files import write_atomic
from bench.records.record import Curve, TrialRecord
from bench.records.store import RunFolder
from bench.tuning.search import Search
from bench.tuning.trials import PendingTrial
from bench.workers import tasks as worker
from bench.workers.executor import TaskFailed

if TYPE_CHECKING:
    from bench.training.fit import TrainedTrial
    from bench.training.state import State


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
