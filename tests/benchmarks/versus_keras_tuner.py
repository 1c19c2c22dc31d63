"""Trials per hour of stock Keras Tuner, as a user would write it, and of this suite, on the same trials.

python tests/benchmarks/versus_keras_tuner.py --families dense cnn

Each side searches in its own process, one after the other, in an order that rotates with every round. The candidates
are those that random search draws with one seed; a side that trains others stops the benchmark. The suite's search is
stopped before its refits, so the test set is never opened. Then a few trials with one worker are compared with a bare
`fit` loop.

Measurements are stored in results/benchmarks/versus_keras_tuner.json after each search, so that repeating the command
continues; the page next to it is results/benchmarks/versus_keras_tuner.md. Run it on an otherwise idle machine.
"""

import argparse
import resource
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from math import ceil
from pathlib import Path
from statistics import median
from typing import Any, Literal

import msgspec

# Only fast imports, since they count as start-up time of both sides; everything else is imported in functions.
import search_spaces
from bench.data.catalog import DatasetLocation, locate
from bench.data.development import facts, load_development
from bench.data.splits import split
from bench.execution.options import Options
from bench.machine import Environment, environment, supports_bfloat16, usable_cores
from bench.records.choices import Precision
from bench.records.dataset import DatasetFacts
from bench.records.encoding import read_json
from bench.records.ledger import TrialEnded
from bench.records.spec import Budget, SearchSpec, Value
from bench.seeds import derive_seed
from bench.tuning.trials import trial_spec
from bench.workers import tasks as worker

sys.path.append(str(Path(__file__).parents[1]))
from benchmarks.shared import (
    execute_job,
    library_versions,
    page,
    page_parser,
    preload_libraries,
    publish,
    run_child,
    run_search,
    spaces_note,
    store,
    table,
    verdicts,
)

NAME = "versus_keras_tuner"
Side = Literal["stock", "float32", "bfloat16", "one worker", "bare loop"]
Candidates = tuple[dict[str, Value], ...]
SEARCHES: tuple[Side, ...] = ("stock", "float32", "bfloat16")
LOOPS: tuple[Side, ...] = ("one worker", "bare loop")
LOOP_TRIALS = 9  # of which the first is a warm-up
TITLES = {"stock": "Keras Tuner, float32", "float32": "suite, float32", "bfloat16": "suite, bfloat16"}
GOAL_SPEEDUP = {"dense float32": 4.0, "dense bfloat16": 4.0, "cnn float32": 1.5, "cnn bfloat16": 2.5}
GOAL_IN_FIT = 0.95
GOAL_OVERHEAD = 0.03


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What all searches of one page have in common."""

    dataset: str
    trials: int
    epochs: int
    seed: int
    cores: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One search, which runs in its own process."""

    side: Side
    family: str
    dataset: DatasetLocation
    budget: Budget
    seed: int
    precision: Precision
    workers: int  # of the suite
    candidates: Candidates  # for the bare loop, which has no tuner
    started: float  # when the process was started, seconds since the Unix epoch

    def seconds(self) -> float:
        """Seconds since the process was started."""
        return time.time() - self.started


@dataclass(frozen=True, slots=True, kw_only=True)
class Fit:
    """The time of one trial inside `fit`, validation included; in seconds since its process was started."""

    started: float
    ended: float
    validation_accuracy: tuple[float, ...]  # one value per epoch, fraction in [0, 1]


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchResult:
    """What a search reports about itself."""

    candidates: Candidates
    fits: tuple[Fit, ...]  # of the candidates, in their order
    ended: float  # end of the last trial, in seconds since the process was started


@dataclass(frozen=True, slots=True, kw_only=True)
class Measure:
    """One search, with what was measured from outside."""

    family: str
    side: Side
    round: int
    commit: str | None
    processes: int  # trials trained at a time
    wall_seconds: float  # of its process, from start to end
    processor_seconds: float  # of its process and its child processes
    ended: float
    fits: tuple[Fit, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurements:
    """The content of the stored file."""

    settings: Settings
    environment: Environment
    dataset: DatasetFacts
    candidates: dict[str, Candidates]  # by family
    measures: tuple[Measure, ...]

    def find(self, family: str, side: Side, number: int) -> Measure | None:
        """The measurement of a round; None if it is missing."""
        key = (family, side, number)
        return next((each for each in self.measures if (each.family, each.side, each.round) == key), None)

    def all(self, family: str, side: Side) -> list[Measure]:
        """The measurements of all rounds, in order."""
        measures = [each for each in self.measures if (each.family, each.side) == (family, side)]
        return sorted(measures, key=lambda each: each.round)


# Statistics


def trials_per_hour(measure: Measure, *, start_up: bool) -> float:
    """Over the whole process, or without start-up from the first `fit` to the end of the search."""
    seconds = measure.wall_seconds if start_up else measure.ended - first_fit(measure)
    return 3600 * len(measure.fits) / seconds


def first_fit(measure: Measure) -> float:
    """When the first `fit` started, in seconds since the start of the process."""
    return min(fit.started for fit in measure.fits)


def share_in_fit(measure: Measure, until: float) -> float:
    """The share, in [0, 1], of the time of all processes from the first `fit` to `until` that was inside `fit`."""
    inside = sum(max(0.0, min(fit.ended, until) - fit.started) for fit in measure.fits)
    return inside / (measure.processes * (until - first_fit(measure)))


def first_idle(measure: Measure) -> float:
    """When the first process ran out of trials, in seconds since the start."""
    return sorted(fit.ended for fit in measure.fits)[-min(measure.processes, len(measure.fits))]


def best_accuracy(measure: Measure) -> float:
    """The best validation accuracy after a trial's last epoch, in [0, 1]."""
    return max(fit.validation_accuracy[-1] for fit in measure.fits)


def seconds_per_trial(measure: Measure) -> float:
    """From the end of one trial to the end of the next, the mean over all but the first trial, a warm-up."""
    return (measure.fits[-1].ended - measure.fits[0].ended) / (len(measure.fits) - 1)


def speedups(stored: Measurements, family: str, side: Side, *, start_up: bool) -> list[float]:
    """Trials per hour relative to stock Keras Tuner in the same round, one value per round."""
    return [
        trials_per_hour(each, start_up=start_up) / trials_per_hour(stock, start_up=start_up)
        for each in stored.all(family, side)
        if (stock := stored.find(family, "stock", each.round)) is not None
    ]


# The searches, each in its own process


def search(job: Job) -> SearchResult:
    """Run the search of `job`."""
    if job.side == "stock":
        return _stock(job)
    return _bare_loop(job) if job.side == "bare loop" else _suite(job)


def _stock(job: Job) -> SearchResult:
    """As a user would write it: arrays, TensorFlow's default threads, the tuner's own loop, checkpoints and files."""
    import keras_tuner

    from search_spaces._recipe import BATCH_SIZE

    candidates, fits = list[dict[str, Value]](), list[Fit]()
    data = load_development(job.dataset)
    train, validation = split(data)
    family: Any = search_spaces.load(job.family)

    class Timed(family):  # type: ignore[misc]
        def fit(self, hp: Any, model: Any, *arguments: Any, **options: Any) -> Any:
            started = job.seconds()
            history = super().fit(hp, model, *arguments, **options)
            fits.append(_fit(started, job.seconds(), history.history))
            candidates.append(dict(hp.values))
            return history

    # The same learning-rate schedule as in the suite.
    steps = ceil(len(train) / BATCH_SIZE) * job.budget.epochs
    with tempfile.TemporaryDirectory() as folder:
        tuner = keras_tuner.RandomSearch(
            Timed(data.image_shape, len(data.class_names), steps),
            objective="val_accuracy",
            max_trials=job.budget.trials,
            seed=derive_seed(job.seed, "oracle"),  # as in the suite
            directory=folder,
        )
        tuner.search(
            data.images[train],
            data.labels[train],
            epochs=job.budget.epochs,
            batch_size=BATCH_SIZE,
            validation_data=(data.images[validation], data.labels[validation]),
            verbose=0,
        )
        return SearchResult(candidates=tuple(candidates), fits=tuple(fits), ended=job.seconds())


def _suite(job: Job) -> SearchResult:
    """As `python -m bench run` does it, until the search has ended."""
    with tempfile.TemporaryDirectory() as folder:
        options = Options(results=Path(folder), dataset=job.dataset, workers=job.workers)
        session_started = job.seconds()
        events = run_search(_spec(job), options).events()
    trials = sorted((each.trial for each in events if isinstance(each, TrialEnded)), key=lambda trial: trial.number)
    if errors := [trial.error for trial in trials if trial.error is not None]:
        raise SystemExit(f"trials of {job.family} failed: {'; '.join(errors)}")
    return SearchResult(
        candidates=tuple(dict(trial.values) for trial in trials),
        fits=tuple(
            Fit(
                # Too late by the time that a trial spends after `fit`, about 0.1 s for garbage collection and transfer.
                started=session_started + trial.ended_seconds - trial.fit_seconds,
                ended=session_started + trial.ended_seconds,
                validation_accuracy=trial.curve.validation_accuracy,
            )
            for trial in trials
        ),
        ended=session_started + max(trial.ended_seconds for trial in trials),
    )


def _bare_loop(job: Job) -> SearchResult:
    """A bare loop around `fit` with the suite's models, batches and seeds."""
    worker.prepare_worker()
    from bench.training.candidate import prepare
    from bench.training.precision import prepare_process

    prepare_process(job.precision)
    search_spec, fits = _spec(job), []
    for values in job.candidates:
        spec = trial_spec(search_spec, values)
        candidate = prepare(spec, job.dataset)
        model, data = candidate.model, candidate.data
        batches = data.training_batches(spec.seed, 0, spec.epochs)
        started = job.seconds()
        history = model.fit(
            batches,
            epochs=spec.epochs,
            steps_per_epoch=data.steps,
            validation_data=data.validation_batches(),
            shuffle=False,
            verbose=0,
        )
        fits.append(_fit(started, job.seconds(), history.history))
    return SearchResult(candidates=job.candidates, fits=tuple(fits), ended=job.seconds())


def _spec(job: Job) -> SearchSpec:
    from bench.execution.plans import sampling_spec

    spec = sampling_spec(search_spaces.locate(job.family), job.dataset.name, job.budget)
    return msgspec.structs.replace(spec, seed=job.seed, precision=job.precision)


def _fit(started: float, ended: float, history: Mapping[str, Sequence[float]]) -> Fit:
    sys.stderr.write(f"    trained in {ended - started:.1f} s\n")
    return Fit(started=started, ended=ended, validation_accuracy=tuple(map(float, history["val_accuracy"])))


# All searches


def main(arguments: argparse.Namespace) -> None:
    """Measure what is missing, then write the page."""
    file = arguments.results / f"{NAME}.json"
    stored = read_json(Measurements, file) if arguments.page_only else _measure_missing(file, arguments)
    publish(file.with_suffix(".md"), _page(stored, arguments.families))


def _measure_missing(file: Path, arguments: argparse.Namespace) -> Measurements:
    location = locate(arguments.dataset, arguments.data_dir)
    stored = _open(file, arguments, location)
    preload_libraries()
    for number in range(1, arguments.rounds + 1):
        for family, side in _order(arguments.families, number):
            if stored.find(family, side, number) is None:
                now = time.strftime("%H:%M:%S")
                sys.stderr.write(f"{now} round {number} of {arguments.rounds}: {family}, {side}\n")
                stored = _measure(stored, family, side, number, location)
                store(file, stored)
    return stored


def _order(families: Sequence[str], number: int) -> Iterator[tuple[str, Side]]:
    """The searches of a round; each round starts with another side, so that no side is always first."""
    searches = [side for side in SEARCHES if side != "bfloat16" or supports_bfloat16()]
    for family in families:
        for position in range(len(searches)):
            yield family, searches[(position + number - 1) % len(searches)]
    for position in range(len(LOOPS)):
        yield families[0], LOOPS[(position + number - 1) % len(LOOPS)]


def _open(file: Path, arguments: argparse.Namespace, location: DatasetLocation) -> Measurements:
    """The measurements that an earlier call made on this machine."""
    new = Measurements(
        settings=Settings(
            dataset=location.name,
            trials=arguments.trials,
            epochs=arguments.epochs,
            seed=arguments.seed,
            cores=usable_cores(),
        ),
        environment=environment(),
        dataset=facts(location, load_development(location)),
        candidates={},
        measures=(),
    )
    if not file.exists():
        return new
    stored: Measurements = read_json(Measurements, file)
    for name in ("settings", "environment", "dataset"):
        there, here = _comparable(getattr(stored, name)), _comparable(getattr(new, name))
        if there != here:
            raise SystemExit(
                f"{file} was measured with {there}, here it is {here}: move the file away, or choose another folder "
                "with --results"
            )
    return stored


def _comparable(value: Any) -> Any:
    return replace(value, git_commit=None) if isinstance(value, Environment) else value


def _measure(stored: Measurements, family: str, side: Side, number: int, location: DatasetLocation) -> Measurements:
    """Add a search, and check that it trained the same candidates as all others."""
    job = _job(stored, family, side, location)
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    result, wall_seconds = run_child(__file__, replace(job, started=time.time()), SearchResult)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    expected = stored.candidates.get(family, result.candidates)[: job.budget.trials]
    if result.candidates != expected or len(result.fits) != job.budget.trials:
        raise SystemExit(f"{side} trained {result.candidates}, expected {expected}: the sides cannot be compared")
    measure = Measure(
        family=family,
        side=side,
        round=number,
        commit=environment().git_commit,
        processes=job.workers,
        wall_seconds=wall_seconds,
        processor_seconds=after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime,
        ended=result.ended,
        fits=result.fits,
    )
    candidates = {family: result.candidates} | stored.candidates
    return replace(stored, candidates=candidates, measures=(*stored.measures, measure))


def _job(stored: Measurements, family: str, side: Side, location: DatasetLocation) -> Job:
    settings = stored.settings
    trials = min(settings.trials, LOOP_TRIALS) if side in LOOPS else settings.trials
    fastest: Precision = "bfloat16" if supports_bfloat16() else "float32"
    precisions: dict[Side, Precision] = {"stock": "float32", "float32": "float32"}
    return Job(
        side=side,
        family=family,
        dataset=location,
        budget=Budget(trials=trials, epochs=settings.epochs),
        seed=settings.seed,
        precision=precisions.get(side, fastest),
        workers=settings.cores if side in ("float32", "bfloat16") else 1,
        candidates=stored.candidates.get(family, ())[:trials],
        started=0.0,
    )


# The page

EXPLANATION = """\
- Stock Keras Tuner is `keras_tuner.RandomSearch` with NumPy arrays, its own loop, checkpoints and files, TensorFlow's
  default number of threads, and `verbose=0`. The suite is `python -m bench run` with one process per core, stopped
  after its last trial. Each search runs in its own process.
- Both train the same candidates (checked) with the same recipe: Adam with a cosine schedule. The order of
  images and the initial weights differ, so accuracies differ by chance. In each epoch, the suite drops images that do
  not fill a step: at most half a percent of the images plus less than one batch.
- Trials per hour and speedup are of the whole process, with imports and data loading; without start-up, they are from
  the first `fit` to the end of the search.
- Time in fit: the share of the time from the first `fit` to the end of the search that was spent inside `fit`; for the
  suite over all its processes. All processes busy: the same until the first process has no trial left to train. The
  start of the suite's first `fit` is known to about 0.1 s.
- CPU use: user and system time of all processes, divided by cores times wall time, start-up included. A core that
  spins while it waits counts as used.
- Best validation accuracy: the highest accuracy after a trial's last epoch."""


def _page(stored: Measurements, families: Sequence[str]) -> str:
    return page(
        "# Trials per hour: stock Keras Tuner and this suite",
        *spaces_note(values for family in stored.candidates.values() for values in family),
        _facts(stored),
        "## Comparison with the goals",
        table(_summary(stored, families)),
        f"Medians of {_fewest_rounds(stored, families)} rounds; goal for the time in fit: {GOAL_IN_FIT:.0%}.",
        *verdicts(_goals(stored, families)),
        "## Rounds",
        table(row for family in families for side in SEARCHES for row in _rounds(stored, family, side)),
        "## Overhead",
        *_overhead(stored, families[0]),
        "## Method",
        EXPLANATION,
        f"Generated by `python tests/benchmarks/{NAME}.py` from [{NAME}.json]({NAME}.json).",
    )


def _fewest_rounds(stored: Measurements, families: Sequence[str]) -> int:
    measured = [len(stored.all(family, side)) for family in families for side in SEARCHES]
    return min(rounds for rounds in measured if rounds)


def _facts(stored: Measurements) -> str:
    settings, machine, data = stored.settings, stored.environment, stored.dataset
    bfloat16 = "with" if _has_bfloat16(stored) else "without"
    commits = sorted({each.commit or "unknown" for each in stored.measures})
    return (
        f"{data.title}, {data.n_train:,} training and {data.n_validation:,} validation images, random search, "
        f"{settings.trials} trials of {settings.epochs} epochs in batches of 128, seed {settings.seed}. "
        f"{machine.cpu} {bfloat16} bfloat16, {settings.cores} cores, {machine.platform}, "
        f"{library_versions(machine, 'Python', 'TensorFlow', 'oneDNN', 'Keras', 'Keras Tuner', 'Distributed')}, "
        f"commit {', '.join(commits)}."
    )


def _has_bfloat16(stored: Measurements) -> bool:
    return any(measure.side == "bfloat16" for measure in stored.measures)


def _summary(stored: Measurements, families: Sequence[str]) -> Iterator[dict[str, str]]:
    for family in families:
        for side in SEARCHES[1:]:
            if not (measures := stored.all(family, side)):
                continue
            total, warm = (speedups(stored, family, side, start_up=start_up) for start_up in (True, False))
            goal = GOAL_SPEEDUP.get(f"{family} {side}")
            yield {
                "family": family,
                "search": TITLES[side],
                "speedup, median": f"{median(total):.2f}",
                "lowest": f"{min(total):.2f}",
                "highest": f"{max(total):.2f}",
                "goal": "-" if goal is None else f"{goal:.1f}",
                "without start-up, median": f"{median(warm):.2f}",
                "time in fit, %, median": _percent(median(share_in_fit(each, each.ended) for each in measures)),
                "all processes busy, %": _percent(median(share_in_fit(each, first_idle(each)) for each in measures)),
            }


def _goals(stored: Measurements, families: Sequence[str]) -> Iterator[tuple[str, bool]]:
    """Every goal with what was measured, and whether the medians reach it."""
    for family in families:
        for side in SEARCHES[1:]:
            if not (measures := stored.all(family, side)):
                continue
            goal, speedup = GOAL_SPEEDUP.get(f"{family} {side}"), median(speedups(stored, family, side, start_up=True))
            if goal is not None:
                yield f"{family} in {side}, speedup {speedup:.2f} (goal {goal:.1f})", speedup >= goal
            share = round(median(share_in_fit(each, each.ended) for each in measures), 3)  # as shown
            yield (
                f"{family} in {side}, {_percent(share)}% in fit (goal {100 * GOAL_IN_FIT:.0f}%)",
                share >= GOAL_IN_FIT,
            )
    overhead = _overhead_share(stored, families[0])
    shown = "no measurable overhead" if overhead <= 0 else f"overhead {_percent(overhead)}%"
    yield (
        f"{families[0]} with one worker, {shown} (goal {100 * GOAL_OVERHEAD:.0f}%)",
        round(overhead, 3) <= GOAL_OVERHEAD,
    )


def _rounds(stored: Measurements, family: str, side: Side) -> Iterator[dict[str, str]]:
    measures = stored.all(family, side)
    for measure, speedup in zip(measures, speedups(stored, family, side, start_up=True), strict=True):
        cpu_use = measure.processor_seconds / (stored.settings.cores * measure.wall_seconds)
        yield {
            "family": family,
            "round": str(measure.round),
            "search": TITLES[side],
            "trials per hour": f"{trials_per_hour(measure, start_up=True):.0f}",
            "speedup": f"{speedup:.2f}",
            "trials per hour without start-up": f"{trials_per_hour(measure, start_up=False):.0f}",
            "wall time, s": f"{measure.wall_seconds:.1f}",
            "start of the first fit, s": f"{first_fit(measure):.1f}",
            "time in fit, %": _percent(share_in_fit(measure, measure.ended)),
            "all processes busy, %": _percent(share_in_fit(measure, first_idle(measure))),
            "CPU use, %": _percent(cpu_use),
            "best validation accuracy, %": f"{100 * best_accuracy(measure):.2f}",
        }


def _overhead(stored: Measurements, family: str) -> Iterator[str]:
    """The time that the suite needs in addition to `fit`; equal scores show that both did the same work."""
    suite, bare = (stored.all(family, side) for side in LOOPS)
    scores = [[fit.validation_accuracy for each in side for fit in each.fits] for side in (suite, bare)]
    seconds = [[seconds_per_trial(each) for each in side] for side in (suite, bare)]
    overhead = _overhead_share(stored, family)
    if overhead <= 0:
        shown = f"shows no overhead in {len(suite)} rounds compared with"
    else:
        shown = f"takes {_percent(overhead)}% more time, by the medians, than"
    yield (
        f"{family} in {'bfloat16' if _has_bfloat16(stored) else 'float32'}, one trial at a time with one thread, "
        f"{len(suite[0].fits) - 1} trials per round after one warm-up trial. The suite with one worker "
        f"{shown} a bare loop that builds each model and calls `fit` with the same batches (goal: at most "
        f"{100 * GOAL_OVERHEAD:.0f}% more). "
        f"Their validation accuracies are {'equal' if scores[0] == scores[1] else 'NOT equal'} after every epoch."
    )
    yield table(
        {
            "round": str(each.round),
            "suite, s per trial": f"{suite_seconds:.3f}",
            "bare loop, s per trial": f"{bare_seconds:.3f}",
            "difference, %": f"{100 * (suite_seconds / bare_seconds - 1):+.1f}",
        }
        for each, suite_seconds, bare_seconds in zip(suite, *seconds, strict=True)
    )


def _overhead_share(stored: Measurements, family: str) -> float:
    """How much more time a trial takes with the suite than with the bare loop, by the medians."""
    suite, bare = (median(seconds_per_trial(each) for each in stored.all(family, side)) for side in LOOPS)
    return suite / bare - 1


def _percent(share: float) -> str:
    return f"{100 * share:.1f}"


if __name__ == "__main__":
    parser = page_parser(__doc__)
    parser.add_argument("--families", nargs="+", default=["dense", "cnn"], help="overhead is measured with the first")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--trials", type=int, default=16, help="at least 2")
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--dataset", default="fashion_mnist")
    parser.add_argument("--data-dir", type=Path, help="folder with the files of the dataset")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--results", type=Path, default=Path("results/benchmarks"), help="folder of JSON and page")
    parser.add_argument("--job", type=Path, help=argparse.SUPPRESS)  # of the child processes
    given = parser.parse_args()
    if given.trials < 2:
        parser.error("--trials must be at least 2: the first trial is a warm-up")
    execute_job(given.job, Job, search) if given.job else main(given)
