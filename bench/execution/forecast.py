"""Estimate a run's time and disk space by timing a few training steps of random candidates."""

from collections.abc import Collection, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from math import ceil
from statistics import fmean, median
from typing import TYPE_CHECKING

from bench.errors import SearchError
from bench.execution.eta import EVALUATION_SECONDS, REFIT_EPOCH
from bench.execution.events import Report
from bench.execution.options import Options
from bench.execution.scheduling import RunningTask, work
from bench.execution.stages import Call, Task, TaskEnd
from bench.records.record import DatasetFacts
from bench.records.spec import SearchSpec, TrialSpec, Value, trial_seed
from bench.tuning import tuners
from bench.tuning.trials import Plan
from bench.workers import tasks as worker
from bench.workers.executor import EpochCompleted, Executor, TaskFailed
from bench.workers.local import LocalPool

if TYPE_CHECKING:
    import keras_tuner

    from bench.training.fit import StepTimes

CANDIDATES = 6
START_SECONDS = 10  # importing TensorFlow, reading the data


@dataclass(frozen=True, slots=True, kw_only=True)
class Forecast:
    """The estimated cost of a run."""

    plan: Plan
    minutes: float
    megabytes: float  # on disk after the run, models included
    candidates: int  # measured


def forecast(
    spec: SearchSpec,
    hyperparameters: "keras_tuner.HyperParameters",
    dataset: DatasetFacts,
    options: Options,
    report: Report,
) -> Forecast:
    """Estimate the cost of `spec` by timing a few steps of random candidates on all workers.

    Raises:
        SearchError: the space does not fit the tuner and the budget, or no candidate could be trained.
    """
    plan = tuners.choose(spec, hyperparameters).plan(spec, hyperparameters)
    values = tuners.random_candidates(spec, hyperparameters, CANDIDATES)
    timing = _Timing([_trial(spec, each) for each in values], options)
    with closing(LocalPool(options.workers)) as pool:
        work([timing], Executor(pool), report)
    times = timing.times
    if not times:
        reasons = "; ".join(sorted(set(timing.errors)))
        raise SearchError(f"none of {len(timing.errors)} candidates of {spec.family!r} could be trained: {reasons}")
    epoch = fmean(each.epoch_seconds for each in times)
    start = median(each.start_seconds for each in times)
    search = (plan.epochs * epoch + plan.tasks * start) / options.workers
    refit = start + spec.refit_epochs * epoch * REFIT_EPOCH[spec.precision]
    refits = ceil(spec.refit_seeds / options.workers) * refit
    # Four bytes per weight, two per log-probability.
    size = 4 * fmean(each.parameters for each in times) + 2 * dataset.n_test * len(dataset.class_names)
    return Forecast(
        plan=plan,
        minutes=(START_SECONDS + search + refits + EVALUATION_SECONDS) / 60,
        megabytes=spec.refit_seeds * size / 1e6,
        candidates=len(times),
    )


def _trial(spec: SearchSpec, values: Mapping[str, Value]) -> TrialSpec:
    return TrialSpec(
        dataset=spec.dataset,
        model=spec.family,
        values=values,
        part="train",
        seed=trial_seed(spec.seed, values),
        initial_epoch=0,
        epochs=spec.budget.epochs,
        horizon=spec.budget.epochs,
        precision=spec.precision,
        keep_state=False,
    )


class _Timing:
    """Time a few steps of each candidate, on all workers at once, since processes slow each other down."""

    key = title = "timing"
    priority = 0

    def __init__(self, candidates: Sequence[TrialSpec], options: Options) -> None:
        self._candidates = candidates
        self._options = options
        self._ended: set[str] = set()
        self.times: list[StepTimes] = []
        self.errors: list[str] = []

    @property
    def done(self) -> bool:
        return len(self._ended) == len(self._candidates)

    def advance(self, in_flight: Collection[str]) -> None:
        pass

    def next_task(self, in_flight: Collection[str]) -> Task | None:
        for number, candidate in enumerate(self._candidates):
            name = f"candidate {number}"
            if name not in in_flight and name not in self._ended:
                return Task(name=name, start=partial(self._start, candidate), take=partial(self._take, name))
        return None

    def _start(self, candidate: TrialSpec) -> Call:
        return Call(function=worker.time_steps, arguments=(candidate, self._options.dataset))

    def _take(self, name: str, end: TaskEnd, _elapsed: float) -> None:
        self._ended.add(name)
        if isinstance(end, TaskFailed):
            self.errors.append(end.reason)
        else:
            self.times.append(end.value)

    def take_epoch(self, running: RunningTask, epoch: EpochCompleted) -> None:
        pass

    def take(self, running: RunningTask, end: TaskEnd) -> None:
        running.task.take(end, 0.0)

    def fail(self, reason: str) -> None:
        raise SearchError(reason)

    def progress(self, running: Sequence[RunningTask]) -> None:  # noqa: ARG002 - part of the protocol
        return None
