"""How long a run will take and what it will write, from a few steps of some of its candidates on this machine."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import ceil
from pathlib import Path
from statistics import fmean, median
from typing import TYPE_CHECKING, Any

from bench.errors import SearchError
from bench.execution.eta import EVALUATION_SECONDS, REFIT_EPOCH
from bench.records.record import DatasetFacts
from bench.records.spec import RunSpec, TrialSpec, candidate_values, trial_seed
from bench.tuning.oracles import Plan, Proposal, make_random, plan
from bench.workers import tasks as worker
from bench.workers.executor import Done, Engine, Failed
from bench.workers.pools import LocalPool

if TYPE_CHECKING:
    from bench.training.fit import StepTimes

CANDIDATES = 6
START_SECONDS = 10  # importing TensorFlow, reading the data


@dataclass(frozen=True, slots=True, kw_only=True)
class Forecast:
    """What a run is expected to need."""

    plan: Plan
    minutes: float
    megabytes: float  # on disk when it is finished, models included
    candidates: int  # that this was measured with


def forecast(
    spec: RunSpec, hyperparameters: Any, dataset: DatasetFacts, workers: int, data_dir: Path | None
) -> Forecast:
    """What `spec` will need on `workers` processes, by timing a few steps of candidates drawn from its space.

    Raises:
        SearchError: the space does not fit the tuner and the budget, or no candidate could be built and trained.
    """
    planned = plan(spec, hyperparameters)
    times = _times(_candidates(spec, hyperparameters), workers, data_dir)
    epoch = fmean(each.epoch_seconds for each in times)
    start = median(each.start_seconds for each in times)
    search = (planned.epochs * epoch + planned.tasks * start) / workers
    refit = start + spec.budget.epochs * epoch * REFIT_EPOCH[spec.precision]
    refits = ceil(spec.refit_seeds / workers) * refit
    # Four bytes a weight, and two a log-probability.
    size = 4 * fmean(each.parameters for each in times) + 2 * dataset.n_test * len(dataset.class_names)
    return Forecast(
        plan=planned,
        minutes=(START_SECONDS + search + refits + EVALUATION_SECONDS) / 60,
        megabytes=spec.refit_seeds * size / 1e6,
        candidates=len(times),
    )


def _candidates(spec: RunSpec, hyperparameters: Any) -> Iterator[TrialSpec]:
    oracle = make_random(spec, hyperparameters, CANDIDATES)
    try:
        while isinstance(proposal := oracle.ask(), Proposal):
            values = candidate_values(proposal.values)
            yield TrialSpec(
                dataset=spec.dataset,
                family=spec.family,
                values=values,
                part="train",
                seed=trial_seed(spec.seed, values),
                initial_epoch=0,
                epochs=spec.budget.epochs,
                horizon=spec.budget.epochs,
                precision=spec.precision,
                keep_state=False,
            )
    finally:
        oracle.close()


def _times(candidates: Iterator[TrialSpec], workers: int, data_dir: Path | None) -> Sequence["StepTimes"]:
    """All workers at once, since processes slow each other down."""
    pool = LocalPool(workers)
    engine = Engine(pool)
    found: list[StepTimes] = []
    reasons: list[str] = []
    waiting = list(candidates)
    under_way = 0
    try:
        while waiting or under_way:
            while waiting and engine.idle():
                engine.submit(f"candidate {len(waiting)}", worker.time_steps, waiting.pop(), data_dir)
                under_way += 1
            event = engine.next_event(1)
            under_way -= isinstance(event, Done | Failed)
            if isinstance(event, Done):
                found.append(event.value)
            elif isinstance(event, Failed):
                reasons.append(event.reason)
    finally:
        pool.close()
    if not found:
        raise SearchError(f"none of {len(reasons)} candidates could be trained: {'; '.join(sorted(set(reasons)))}")
    return found
