"""Estimates of a run's remaining time, and of what fits into its time limit."""

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, median

from bench.records.record import TrialRecord
from bench.records.spec import Precision, RunSpec, SearchSpec

# A refit has a fifth more images than a trial, and float32 takes about twice as long as bfloat16.
REFIT_EPOCH: Mapping[Precision, float] = {"float32": 1.2, "bfloat16": 2.2}
EVALUATION_SECONDS = 5.0


@dataclass(slots=True, kw_only=True)
class _Mean:
    """Mean seconds per epoch, excluding each task's first epoch if possible, since that includes tracing."""

    first_seconds: float = 0.0  # sum over first epochs
    tasks: int = 0
    later_seconds: float = 0.0  # sum over later epochs
    later_epochs: int = 0

    def add(self, seconds: float, *, first: bool) -> None:
        if first:
            self.first_seconds, self.tasks = self.first_seconds + seconds, self.tasks + 1
        else:
            self.later_seconds, self.later_epochs = self.later_seconds + seconds, self.later_epochs + 1

    @property
    def value(self) -> float | None:
        if self.later_epochs:
            return self.later_seconds / self.later_epochs
        return self.first_seconds / self.tasks if self.tasks else None


class Pace:
    """Measured seconds per epoch and per task of one run; updated in constant time."""

    def __init__(self, spec: RunSpec, workers: int) -> None:
        """Assume `workers` processes."""
        self._spec = spec
        self._workers = workers
        self._trial_epochs = _Mean()
        self._refit_epochs = _Mean()
        self._overheads: list[float] = []  # of each trial: seconds outside its epochs
        self._overhead: float | None = None  # their median
        self._best: tuple[float, float] | None = None  # of the best trial: score, and seconds of an epoch

    def take_trial_epoch(self, seconds: float, *, first: bool) -> None:
        """Add an epoch of a trial; `first` if it is the first of its task."""
        self._trial_epochs.add(seconds, first=first)

    def take_refit_epoch(self, seconds: float, *, first: bool) -> None:
        """Add an epoch of a refit; `first` if it is the first of its task."""
        self._refit_epochs.add(seconds, first=first)

    def take_trial(self, trial: TrialRecord, epoch_seconds: Sequence[float]) -> None:
        """Add a completed trial, with the seconds of each epoch."""
        if trial.status != "ok" or not epoch_seconds:
            return
        epoch = fmean(epoch_seconds[1:] or epoch_seconds)
        self._overheads.append(max(0.0, trial.task_seconds - (trial.epochs - trial.initial_epoch) * epoch))
        self._overhead = median(self._overheads)
        if self._best is None or trial.score > self._best[0]:
            self._best = trial.score, epoch

    def trial_seconds(self) -> tuple[float, float] | None:
        """Overhead of a trial and seconds per epoch; None before they are measured."""
        if self._overhead is None or self._trial_epochs.value is None:
            return None
        return self._overhead, self._trial_epochs.value

    def closing_seconds(self) -> float:
        """Seconds that all refits and the evaluation will take; 0 before anything is measured."""
        epoch = self._refit_epoch_seconds()
        if epoch is None or self._overhead is None:
            return 0.0
        refit = self._overhead + self._spec.refit_epochs * epoch
        return math.ceil(self._spec.refit_seeds / self._workers) * refit + EVALUATION_SECONDS

    def search_seconds_left(self, trials: int, epochs: int, limit: float | None) -> float | None:
        """Seconds until the run is finished, while it searches; None before anything is measured.

        Args:
            trials: trials not started yet.
            epochs: epochs left to train, including those of running trials.
            limit: seconds after which trials are cut short; None for no limit.
        """
        if (trial := self.trial_seconds()) is None or self._refit_epoch_seconds() is None:
            return None
        overhead, epoch = trial
        search = (max(0, trials) * overhead + max(0, epochs) * epoch) / self._workers
        return (search if limit is None else min(search, max(0.0, limit))) + self.closing_seconds()

    def refit_seconds_left(self, refits: int, running: int, epochs: int) -> float | None:
        """Seconds until the run is finished, with `refits` left, of which `running` have started; None if unknown."""
        if (epoch := self._refit_epoch_seconds()) is None:
            return None
        seconds = epochs * epoch + (refits - running) * (self._overhead or 0.0)
        return seconds / max(1, min(refits, self._workers)) + EVALUATION_SECONDS

    def _refit_epoch_seconds(self) -> float | None:
        """As measured; before that, estimated from the best trial so far."""
        if self._refit_epochs.value is not None:
            return self._refit_epochs.value
        if self._best is None or not isinstance(self._spec, SearchSpec):
            return None
        return self._best[1] * REFIT_EPOCH[self._spec.precision]


@dataclass(frozen=True, slots=True, kw_only=True)
class Clock:
    """The time left for a search, after reserving time for refits and evaluation."""

    pace: Pace
    deadline: float | None  # time.perf_counter() by which the whole run should end; None for no limit

    def seconds_left(self) -> float | None:
        """Seconds until trials are cut short; None for no limit."""
        if self.deadline is None:
            return None
        return self.deadline - time.perf_counter() - self.pace.closing_seconds()

    def epochs_left(self) -> float:
        """Epochs that a trial started now could complete; infinite without a limit or before anything is measured."""
        seconds = self.seconds_left()
        if seconds is None:
            return math.inf
        if (trial := self.pace.trial_seconds()) is None:
            return math.inf if seconds > 0 else 0.0
        overhead, epoch = trial
        return (seconds - overhead) / epoch
