"""The measured pace of a run: how long it will still take, and what fits into its time limit."""

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
    """The mean seconds of an epoch, without the first epoch of each task if possible: it includes tracing."""

    firsts: float = 0.0
    tasks: int = 0
    others: float = 0.0
    epochs: int = 0  # without the first ones

    def add(self, seconds: float, *, first: bool) -> None:
        if first:
            self.firsts, self.tasks = self.firsts + seconds, self.tasks + 1
        else:
            self.others, self.epochs = self.others + seconds, self.epochs + 1

    @property
    def value(self) -> float | None:
        if self.epochs:
            return self.others / self.epochs
        return self.firsts / self.tasks if self.tasks else None


class Pace:
    """Seconds that epochs and tasks of one run take, measured while it runs; each update costs the same."""

    def __init__(self, spec: RunSpec, workers: int) -> None:
        """Estimate for `workers` processes."""
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
        """Add a trial that ended, with the seconds of its epochs."""
        if trial.status != "ok" or not epoch_seconds:
            return
        epoch = fmean(epoch_seconds[1:] or epoch_seconds)
        self._overheads.append(max(0.0, trial.task_seconds - (trial.epochs - trial.initial_epoch) * epoch))
        self._overhead = median(self._overheads)
        if self._best is None or trial.score > self._best[0]:
            self._best = trial.score, epoch

    def trial_seconds(self) -> tuple[float, float] | None:
        """Seconds of a trial outside its epochs, and of each epoch; None before they are known."""
        if self._overhead is None or self._trial_epochs.value is None:
            return None
        return self._overhead, self._trial_epochs.value

    def closing_seconds(self) -> float:
        """Seconds that all refits and the evaluation will take; 0 before anything is measured."""
        epoch = self._refit_epoch_seconds()
        if epoch is None or self._overhead is None:
            return 0.0
        one_refit = self._overhead + self._spec.refit_epochs * epoch
        return math.ceil(self._spec.refit_seeds / self._workers) * one_refit + EVALUATION_SECONDS

    def search_seconds_left(self, trials: int, epochs: int, limit: float | None) -> float | None:
        """Seconds until the record, with `trials` not started and `epochs` to train; None before it is known.

        Args:
            trials: not started yet.
            epochs: to train, those of running trials included.
            limit: seconds after which trials are cut short; None for no limit.
        """
        if (known := self.trial_seconds()) is None or self._refit_epoch_seconds() is None:
            return None
        overhead, epoch = known
        search = (max(0, trials) * overhead + max(0, epochs) * epoch) / self._workers
        return (search if limit is None else min(search, max(0.0, limit))) + self.closing_seconds()

    def refit_seconds_left(self, refits: int, running: int, epochs: int) -> float | None:
        """Seconds until the record, with `refits` to train, of which `running` have started; None if unknown."""
        if (epoch := self._refit_epoch_seconds()) is None:
            return None
        seconds = epochs * epoch + (refits - running) * (self._overhead or 0.0)
        return seconds / max(1, min(refits, self._workers)) + EVALUATION_SECONDS

    def _refit_epoch_seconds(self) -> float | None:
        """As measured; before that, estimated from the trial that would win at the moment."""
        if self._refit_epochs.value is not None:
            return self._refit_epochs.value
        if self._best is None or not isinstance(self._spec, SearchSpec):
            return None
        return self._best[1] * REFIT_EPOCH[self._spec.precision]


@dataclass(frozen=True, slots=True, kw_only=True)
class Clock:
    """The time that a search has left, with the time for refits and evaluation set aside."""

    pace: Pace
    until: float | None  # time.perf_counter() at which the whole run should end; None for no limit

    def seconds_left(self) -> float | None:
        """Seconds until trials are cut short; None for no limit."""
        if self.until is None:
            return None
        return self.until - time.perf_counter() - self.pace.closing_seconds()

    def epochs_left(self) -> float:
        """Epochs that one trial started now has time for, infinite if there is no limit or no measurement."""
        left = self.seconds_left()
        if left is None:
            return math.inf
        if (known := self.pace.trial_seconds()) is None:
            return math.inf if left > 0 else 0.0
        overhead, epoch = known
        return (left - overhead) / epoch
