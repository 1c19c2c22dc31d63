"""Estimates of a run's remaining time, and of what fits into its time limit."""

import math
import time
from collections.abc import Mapping, Sequence
from statistics import fmean, median

from bench.records.choices import Precision
from bench.records.ledger import LedgerEvent, RefitEnded, TrialEnded
from bench.records.record import TrialRecord
from bench.records.spec import RunSpec, SearchSpec

# A refit has a fifth more images than a trial, and float32 takes about twice as long as bfloat16.
REFIT_EPOCH: Mapping[Precision, float] = {"float32": 1.2, "bfloat16": 2.2}
EVALUATION_SECONDS = 5.0
# The epochs of two candidates of a family may differ in time by a factor of ten.
MIN_TRIALS = 4  # completed before the remaining time of a search is estimated
BEST_TRIALS = 3  # whose mean is the estimate for the winner


class _Epochs:
    """Mean seconds per epoch, with and without each task's first epoch, since that includes tracing."""

    def __init__(self) -> None:
        self._seconds = {True: 0.0, False: 0.0}  # sums, by whether the epoch is the first of its task
        self._counts = {True: 0, False: 0}

    def add(self, seconds: float, *, first: bool) -> None:
        self._seconds[first] += seconds
        self._counts[first] += 1

    @property
    def steady(self) -> float | None:
        """Of epochs that are not the first of their task; None before there is one."""
        return self._seconds[False] / self._counts[False] if self._counts[False] else None

    @property
    def mean(self) -> float | None:
        """As `steady`; before that, of first epochs."""
        if self._counts[False] or not self._counts[True]:
            return self.steady
        return self._seconds[True] / self._counts[True]


class Pace:
    """The time of one run, and its measured seconds per epoch and per task."""

    def __init__(self, spec: RunSpec, workers: int, start: float | None = None, limit: float | None = None) -> None:
        """Assume `workers` processes.

        Args:
            spec: of the run.
            workers: number of processes.
            start: time.perf_counter() when the run started, after that of earlier sessions; None for now.
            limit: seconds until the run should end, counted from its start.
        """
        self._spec = spec
        self._workers = workers
        self._start = time.perf_counter() if start is None else start
        self._limit = limit
        self._waiting_since: float | None = None
        self._trial_epochs = _Epochs()
        self._refit_epochs = _Epochs()
        self._overheads: list[float] = []  # of each completed trial: seconds outside its epochs
        self._overhead: float | None = None  # their median
        self._best: list[tuple[float, float]] = []  # of the best trials, best first: score, and seconds of an epoch

    # Time

    @property
    def seconds(self) -> float:
        """Since the start of the run, excluding waits."""
        return (self._waiting_since or time.perf_counter()) - self._start

    def wait(self) -> None:
        """Stop the time, since no task of the run is running."""
        self._waiting_since = self._waiting_since or time.perf_counter()

    def end_wait(self) -> float:
        """Continue the time, if it was stopped; returns the seconds of the wait, which do not count."""
        waited = 0.0 if self._waiting_since is None else time.perf_counter() - self._waiting_since
        self._start += waited
        self._waiting_since = None
        return waited

    # Measurements

    def record_trial_epoch(self, seconds: float, *, first: bool) -> None:
        """Add an epoch of a trial; `first` if it is the first of its task."""
        self._trial_epochs.add(seconds, first=first)

    def record_refit_epoch(self, seconds: float, *, first: bool) -> None:
        """Add an epoch of a refit; `first` if it is the first of its task."""
        self._refit_epochs.add(seconds, first=first)

    def record_trial(self, trial: TrialRecord, epoch_seconds: Sequence[float]) -> None:
        """Add a completed trial, with the seconds of each epoch."""
        if trial.status != "ok" or not epoch_seconds:
            return
        epoch = fmean(epoch_seconds[1:] or epoch_seconds)
        self._overheads.append(max(0.0, trial.task_seconds - trial.trained_epochs * epoch))
        self._overhead = median(self._overheads)
        self._best = sorted([*self._best, (trial.score, epoch)], reverse=True)[:BEST_TRIALS]

    def record_ledger(self, events: Sequence[LedgerEvent]) -> None:
        """Add the trials and refits in a ledger, each with the mean of its epochs."""
        for event in events:
            if isinstance(event, TrialEnded):
                trial = event.trial
                if trial.status == "ok":
                    epoch = trial.fit_seconds / trial.trained_epochs
                    self.record_trial_epoch(epoch, first=False)
                    self.record_trial(trial, [epoch])
            elif isinstance(event, RefitEnded) and event.refit.epochs > 0:
                self.record_refit_epoch(event.refit.fit_seconds / event.refit.epochs, first=False)

    # Time limit

    def seconds_until_cut(self) -> float | None:
        """Seconds until trials are cut short, so that refits and evaluation end in time; None for no limit."""
        return None if self._limit is None else self._limit - self.seconds - self._closing_seconds()

    def epochs_until_cut(self) -> float:
        """Epochs that a trial started now could complete; infinite without a limit or before anything is measured."""
        if (seconds := self.seconds_until_cut()) is None:
            return math.inf
        if self._overhead is None or (epoch := self._trial_epochs.mean) is None:
            return math.inf if seconds > 0 else 0.0
        return (seconds - self._overhead) / epoch

    # Remaining time

    def search_seconds_left(self, trials: int, epochs: int) -> float | None:
        """Seconds until the run is finished, while it searches; None before enough trials have been measured.

        Args:
            trials: trials not started yet.
            epochs: epochs left to train, including those of running trials.
        """
        epoch = self._trial_epochs.mean
        if len(self._overheads) < MIN_TRIALS or self._overhead is None or epoch is None:
            return None
        search = (max(0, trials) * self._overhead + max(0, epochs) * epoch) / self._workers
        limit = self.seconds_until_cut()
        return (search if limit is None else min(search, max(0.0, limit))) + self._closing_seconds()

    def refit_seconds_left(self, refits: int, running: int, epochs: int) -> float | None:
        """Seconds until the run is finished, with `refits` left, of which `running` have started; None if unknown."""
        if (epoch := self._refit_epoch_seconds()) is None:
            return None
        seconds = epochs * epoch + (refits - running) * (self._overhead or 0.0)
        return seconds / max(1, min(refits, self._workers)) + EVALUATION_SECONDS

    def _closing_seconds(self) -> float:
        """Seconds that all refits and the evaluation will take; 0 before anything is measured."""
        epoch = self._refit_epoch_seconds()
        if epoch is None or self._overhead is None:
            return 0.0
        refit = self._overhead + self._spec.refit_epochs * epoch
        return math.ceil(self._spec.refit_seeds / self._workers) * refit + EVALUATION_SECONDS

    def _refit_epoch_seconds(self) -> float | None:
        """As measured; before that, estimated from the best trials so far; without trials, of first epochs."""
        if self._refit_epochs.steady is not None:
            return self._refit_epochs.steady
        if not self._best or not isinstance(self._spec, SearchSpec):
            return self._refit_epochs.mean
        return fmean(epoch for _, epoch in self._best) * REFIT_EPOCH[self._spec.precision]
