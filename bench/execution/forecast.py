"""Estimate a run's time and disk space by timing a few training steps of random candidates."""

from dataclasses import dataclass, replace
from math import ceil
from statistics import fmean, median
from typing import TYPE_CHECKING

from bench.errors import SearchError
from bench.execution.candidate_job import CandidateJob
from bench.execution.eta import EVALUATION_SECONDS, REFIT_EPOCH
from bench.execution.events import Report
from bench.execution.options import Options
from bench.execution.workers import run_locally
from bench.records.dataset import DatasetFacts
from bench.records.spec import SearchSpec
from bench.tuning import tuners
from bench.tuning.trials import Plan, trial_spec
from bench.workers import tasks as worker

if TYPE_CHECKING:
    import keras_tuner

    from bench.training.outcome import StepTimes

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
    file = options.family_file(spec)
    candidates = [replace(trial_spec(spec, each), file=file) for each in values]
    timing = CandidateJob("timing", worker.time_steps, candidates, options)
    run_locally(timing, options.workers, report)  # all of them, since processes slow each other down
    times: list[StepTimes] = list(timing.results.values())
    if not times:
        reasons = "; ".join(sorted(set(timing.errors.values())))
        raise SearchError(f"none of {len(timing.errors)} candidates of {spec.family!r} could be trained: {reasons}")
    epoch = fmean(each.epoch_seconds for each in times)
    start = median(each.start_seconds for each in times)
    search = (plan.epochs * epoch + plan.trials * start) / options.workers
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
