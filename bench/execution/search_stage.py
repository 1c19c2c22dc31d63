"""The search of a run: every trial is a task."""

from collections.abc import Collection, Sequence
from dataclasses import replace
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Literal
from zipfile import BadZipFile

import numpy as np

from bench.execution.eta import Pace
from bench.execution.options import Options
from bench.execution.scheduling import Task, TaskEnd
from bench.records.files import write_atomic
from bench.records.objective import score_name
from bench.records.record import TrialRecord
from bench.records.store import RunFolder
from bench.tuning.search import Search
from bench.tuning.trials import PendingTrial, Plan
from bench.workers import tasks as worker
from bench.workers.executor import TaskFailed

if TYPE_CHECKING:
    from bench.training.outcome import State, TrainedTrial


class SearchStage:
    """Trains the trials of a search."""

    name: Literal["search"] = "search"

    def __init__(self, search: Search, plan: Plan, folder: RunFolder, options: Options, pace: Pace) -> None:
        """Train the trials of `search`, which `plan` counts, within the time left according to `pace`."""
        self.search = search
        self.plan = plan
        self._folder = folder
        self._options = options
        self._pace = pace

    def next_task(self, in_flight: Collection[str]) -> Task | None:
        """The next trial."""
        trial = self.search.next_trial(in_flight, self._pace.epochs_until_cut())
        if trial is None:
            return None
        return Task(
            name=trial.name,
            start=partial(self._start, trial),
            on_end=partial(self._on_end, trial),
            initial_epoch=trial.spec.initial_epoch,
            timeout=self._options.trial_timeout,
        )

    def stop_in_time(self, in_flight: Collection[str]) -> None:
        """Stop the search if time is up, even if no worker is idle."""
        seconds, epochs = self._pace.seconds_until_cut(), self._pace.epochs_until_cut()
        if seconds is not None and (seconds <= 0 or self.search.is_out_of_time(in_flight, epochs)):
            self.search.stop()

    def seconds_left(self, running: int, epochs: int) -> float | None:
        """Seconds until the whole run is finished, with `running` trials and `epochs` left; None if unknown."""
        trials = self.plan.trials - self.search.totals.trials - running
        return self._pace.search_seconds_left(trials, epochs)

    def _start(self, trial: PendingTrial) -> "partial[TrainedTrial]":
        # Without the parent's state, or if it is damaged, the trial starts from epoch 0 and ends with the same weights.
        state = None if trial.parent is None else _read_state(self._folder.state_file(trial.parent))
        spec = replace(trial.spec, file=self._options.family_file(self.search.spec))
        return partial(worker.train, spec, state, self._options.dataset, self._pace.seconds_until_cut())

    def _on_end(self, trial: PendingTrial, end: TaskEnd, epoch_seconds: Sequence[float]) -> str:
        ended_seconds = self._pace.seconds
        if isinstance(end, TaskFailed):
            self.search.finish(
                trial.record(error=end.reason, ended_seconds=ended_seconds, task_seconds=end.lost_seconds)
            )
            return f"failed: {end.reason}"
        trained: TrainedTrial = end.value
        record = trial.record(
            curve=trained.curve,
            parameters=trained.parameters,
            fit_seconds=trained.fit_seconds,
            task_seconds=trained.task_seconds + end.lost_seconds,
            ended_seconds=ended_seconds,
            cut=trained.cut,
            objective_score=trained.objective_score,
            unsearched=trained.unsearched,
            retrained_epochs=trained.retrained_epochs,
        )
        if trained.cut:
            self.search.stop()
        if trained.state is not None:  # before the record, so that no record lacks its state
            _write_state(self._folder.state_file(record.trial_id), trained.state)
        self.search.finish(record)
        # Other trials will not lose the time of an attempt whose worker died.
        self._pace.record_trial(replace(record, task_seconds=trained.task_seconds), epoch_seconds)
        return self._description(record)

    def _description(self, record: TrialRecord) -> str:
        seconds = f"after epoch {record.epochs}, {record.task_seconds:.1f} s"
        if record.status != "ok":
            return f"cut short by the time limit {seconds}"
        return f"{score_name(self.search.spec)} {100 * record.score:.2f}% {seconds}"


def _write_state(path: Path, state: "State") -> None:
    buffer = BytesIO()
    np.savez(buffer, *state)
    write_atomic(path, buffer.getvalue())


def _read_state(path: Path) -> "State | None":
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            return [arrays[name] for name in arrays.files]
    except (OSError, EOFError, ValueError, BadZipFile):  # EOFError: an empty file
        return None
