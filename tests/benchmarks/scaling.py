"""How many workers one search loop can keep busy, and what it spends on each trial.

python tests/benchmarks/scaling.py

The loop runs in one process: the tuner proposes trials, workers train them, results are reported to the tuner, and the
ledger keeps every step. It is measured in two ways, both without training. With real workers whose trials sleep: the
share of their time that workers spend in trials, and the number of empty tasks that the executor completes per second.
Without workers, with real oracles, a ledger on disk and made-up results: the time spent on proposals, reports and the
ledger, by tuner and number of trials. Together they give the number of workers at which the loop is the bottleneck.

Measurements are kept in results/benchmarks/scaling.json; scaling.md and scaling.png are made from them, with
--page-only without measuring. A search is stopped after --max-seconds, which Bayesian optimization reaches.

Workers import this file, so libraries that they do not need are imported in functions.
"""

import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from bench.machine import Environment, environment
from bench.records.encoding import encode, read_json
from bench.records.files import write_atomic
from bench.records.record import Curve
from bench.records.spec import Budget, SearchSpec
from bench.records.store import RunFolder
from bench.training.outcome import EpochReport
from bench.tuning import tuners
from bench.tuning.search import MAX_AHEAD, Search
from bench.tuning.trials import PendingTrial
from bench.workers.executor import Executor
from bench.workers.local import LocalPool

sys.path.append(str(Path(__file__).parents[1]))
from benchmarks.shared import (
    COLORS,
    TUNER_COLORS,
    Task,
    completed_tasks,
    machine_text,
    page,
    page_parser,
    publish,
    table,
)

if TYPE_CHECKING:
    import keras_tuner
    from matplotlib.figure import Figure

EPOCHS = 6
WORKERS = (1, 2, 4, 8, 16, 32)
SIZES = (100, 300, 1000, 3000, 10_000)
TRIAL_SECONDS = (10, 30, 60)
TUNERS = ("hyperband", "random", "bayesian", "grid")
PAGE = Path("results/benchmarks/scaling.md")


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """Tasks that a number of workers completed."""

    workers: int
    tasks: int
    task_seconds: float  # of sleep
    seconds: float  # wall clock for all tasks

    @property
    def efficiency(self) -> float:
        """The share of the workers' time that they slept, in [0, 1]."""
        return self.tasks * self.task_seconds / self.workers / self.seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """Cumulative seconds that the loop of a search has spent after each of its trials."""

    tuner: str
    budget: int  # full-length trials that were allowed; Hyperband turns them into more, shorter ones
    complete: bool  # False if the search was stopped
    start_seconds: float  # until the first trial could start
    propose: tuple[float, ...]
    report: tuple[float, ...]
    ledger: tuple[float, ...]
    total: tuple[float, ...]  # these three and everything else that the loop does for a trial


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurement:
    """Everything that page and figure are made from."""

    environment: Environment
    max_seconds: float  # after which a search was stopped
    sleeping: tuple[Load, ...]  # the whole loop, with random search
    saturated: tuple[Load, ...]  # the executor alone, with empty tasks
    costs: tuple[Cost, ...]


def main(
    *, workers: Sequence[int], tasks: int, seconds: float, sizes: Sequence[int], max_seconds: float, page_only: bool
) -> None:
    """Measure, then write page and figure."""
    stored = PAGE.with_suffix(".json")
    if not page_only:
        loads = [_loads(count, tasks, seconds) for count in workers]
        measured = Measurement(
            environment=environment(),
            max_seconds=max_seconds,
            sleeping=tuple(sleeping for sleeping, _ in loads),
            saturated=tuple(saturated for _, saturated in loads),
            costs=tuple(cost for tuner in TUNERS for cost in _costs(tuner, sizes, max_seconds)),
        )
        write_atomic(stored, encode(measured, stored))  # not indented, since it is long
    measurement: Measurement = read_json(Measurement, stored)
    from bench.report.figures.picture import picture

    write_atomic(PAGE.with_suffix(".png"), picture("scaling", [measurement], partial(_draw, measurement)).png())
    publish(PAGE, _page(measurement))


# Workers that sleep


def _loads(workers: int, tasks: int, seconds: float) -> tuple[Load, Load]:
    """`tasks` trials per worker that sleep for `seconds`, then ten times as many that are empty."""
    with closing(LocalPool(workers)) as pool:
        executor = Executor(pool)
        saturate(executor, workers, workers)  # workers import libraries with their first task
        slept = sleep(executor, workers, tasks * workers, seconds)
        saturated = saturate(executor, workers, 10 * tasks * workers)
    sys.stderr.write(f"{workers} workers: {slept.efficiency:.1%} slept, {saturated.tasks / saturated.seconds:.0f}/s\n")
    return slept, saturated


def sleep(executor: Executor, workers: int, tasks: int, seconds: float) -> Load:
    """Let the workers sleep through a whole search of `tasks` trials."""
    spec = make_spec("random", tasks)
    with tempfile.TemporaryDirectory(prefix=".scaling-", dir=PAGE.parent) as folder:
        search, _ = _start(spec, RunFolder(Path(folder)), Clocks())
        in_flight: dict[str, PendingTrial] = {}  # by name
        random = np.random.default_rng(0)

        def next_tasks() -> Iterator[Task | None]:
            while True:
                if (trial := search.next_trial(in_flight)) is None:
                    yield None
                else:
                    in_flight[trial.name] = trial
                    yield trial.name, rest, seconds

        start = time.perf_counter()
        for event in completed_tasks(executor, next_tasks()):
            _finish(search, in_flight.pop(event.key), random)
        elapsed = time.perf_counter() - start
    return Load(workers=workers, tasks=tasks, task_seconds=seconds, seconds=elapsed)


def saturate(executor: Executor, workers: int, tasks: int) -> Load:
    """Let the workers complete `tasks` empty tasks, as fast as the executor can."""
    start = time.perf_counter()
    for _ in completed_tasks(executor, ((str(number), rest, 0.0) for number in range(tasks))):
        pass
    return Load(workers=workers, tasks=tasks, task_seconds=0.0, seconds=time.perf_counter() - start)


def rest(seconds: float, report: EpochReport) -> None:
    """In the worker: sleep for `seconds` in total, and report as many epochs as a trial does.

    Workers receive the code of this function, since Dask serializes everything that a script defines.
    """
    for epoch in range(1, EPOCHS + 1):
        time.sleep(seconds / EPOCHS)
        report(epoch, seconds / EPOCHS)


# The loop without workers


@dataclass(slots=True)
class Clocks:
    """Seconds spent so far in three kinds of calls."""

    propose: float = 0.0
    report: float = 0.0
    ledger: float = 0.0
    after: list[tuple[float, float, float, float]] = field(default_factory=list)  # each trial: the three, and the total

    def timed(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """`function`, with its seconds added to the clock `name`."""

        def call(*arguments: Any, **keywords: Any) -> Any:
            start = time.perf_counter()
            try:
                return function(*arguments, **keywords)
            finally:
                setattr(self, name, getattr(self, name) + time.perf_counter() - start)

        return call


def _costs(tuner: str, sizes: Sequence[int], max_seconds: float) -> Iterator[Cost]:
    """Searches of growing size, up to the first that is stopped."""
    for size in sizes:
        cost = run_search(tuner, size, max_seconds)
        sys.stderr.write(f"{tuner}, {size} trials: {cost.total[-1]:.1f} s{'' if cost.complete else ', stopped'}\n")
        yield cost
        if not cost.complete:
            return


def run_search(tuner: str, size: int, max_seconds: float) -> Cost:
    """Time a search whose trials end at once; it is stopped after `max_seconds`."""
    random = np.random.default_rng(0)
    clocks = Clocks()
    with tempfile.TemporaryDirectory(prefix=".scaling-", dir=PAGE.parent) as folder:
        search, start_seconds = _start(make_spec(tuner, size), RunFolder(Path(folder)), clocks)
        start = time.perf_counter()
        elapsed = 0.0
        while elapsed < max_seconds and (trial := search.next_trial()) is not None:
            _finish(search, trial, random)
            elapsed = time.perf_counter() - start
            clocks.after.append((clocks.propose, clocks.report, clocks.ledger, elapsed))
        complete = search.is_done()
    propose, report, ledger, total = zip(*clocks.after, strict=True)
    return Cost(
        tuner=tuner,
        budget=size,
        complete=complete,
        start_seconds=start_seconds,
        propose=propose,
        report=report,
        ledger=ledger,
        total=total,
    )


def _start(spec: SearchSpec, folder: RunFolder, clocks: Clocks) -> tuple[Search, float]:
    """A new search whose calls are timed, and how many seconds it took to start."""
    from bench.tuning.tuner import Tuner

    start = time.perf_counter()
    hyperparameters = space(spec.tuner, spec.budget.trials)
    tuner = tuners.choose(spec, hyperparameters)

    class TimedTuner(Tuner):
        max_pending = tuner.max_pending

        def oracle(self, spec: SearchSpec, hyperparameters: "keras_tuner.HyperParameters") -> "keras_tuner.Oracle":
            oracle = tuner.oracle(spec, hyperparameters)
            for clock, method in (("propose", "create_trial"), ("report", "update_trial"), ("report", "end_trial")):
                vars(oracle)[method] = clocks.timed(clock, getattr(oracle, method))
            return oracle

        def promotable(self, oracle: "keras_tuner.Oracle") -> set[str]:
            return tuner.promotable(oracle)

    vars(folder)["append"] = clocks.timed("ledger", folder.append)
    proposer = TimedTuner().proposer(spec, hyperparameters)
    return Search(spec, proposer, folder, []), time.perf_counter() - start


def _finish(search: Search, trial: PendingTrial, random: np.random.Generator) -> None:
    """End a trial with a made-up validation accuracy."""
    values = tuple(random.uniform(0.5, 0.9, trial.spec.epochs - trial.spec.initial_epoch).tolist())
    curve = Curve(training_loss=values, training_accuracy=values, validation_loss=values, validation_accuracy=values)
    search.finish(trial.record(curve=curve, parameters=1000, fit_seconds=1.0, task_seconds=1.0, ended_seconds=1.0))


def make_spec(tuner: str, trials: int) -> SearchSpec:
    """A search over `space`."""
    return SearchSpec(
        dataset="synthetic",
        family="synthetic",
        source="0" * 12,
        tuner=tuner,
        budget=Budget(trials=trials, epochs=EPOCHS),
        seed=0,
        refit_seeds=1,
        precision="float32",
    )


def space(tuner: str, trials: int) -> "keras_tuner.HyperParameters":
    """Nine hyperparameters, as cnn has; with `trials` candidates for grid search, otherwise infinite."""
    import keras_tuner

    hp = keras_tuner.HyperParameters()
    if tuner == "grid":
        for number, values in enumerate(factors(trials)):
            hp.Choice(f"choice_{number}", list(range(values)))
        return hp
    for number in range(5):
        hp.Choice(f"choice_{number}", [8, 16, 32, 64])
    for number in range(4):
        hp.Float(f"rate_{number}", 0.001, 0.1, sampling="log")
    return hp


def factors(trials: int) -> list[int]:
    """Nine sizes whose product is `trials`, which must have no prime factors but 2, 3 and 5."""
    sizes = [1] * 9
    remaining = trials
    for prime in (5, 3, 2):
        while remaining % prime == 0:
            sizes[sizes.index(min(sizes))] *= prime
            remaining //= prime
    if remaining != 1:
        raise ValueError(f"sizes must be products of 2, 3 and 5, but {trials} has the factor {remaining}")
    return sizes


# Conclusions


def last_tenth(seconds: Sequence[float]) -> float:
    """Milliseconds per trial over the last tenth of a search, from the seconds since its start after each trial."""
    seconds = (0.0, *seconds)
    trials = len(seconds) - 1
    last = max(1, trials // 10)
    return 1000 * (seconds[-1] - seconds[-1 - last]) / last


def limit(trial_seconds: float, milliseconds: float) -> int:
    """The number of workers, with trials of `trial_seconds`, that keep a loop of `milliseconds` per trial busy."""
    return int(1000 * trial_seconds / milliseconds)


def growth(costs: Sequence[Cost]) -> float:
    """The exponent with which milliseconds per trial grew with the number of trials, over the two largest searches."""
    (before, after), *_ = reversed(list(pairwise(costs)))
    ratio = last_tenth(after.total) / last_tenth(before.total)
    return float(np.log(ratio) / np.log(len(after.total) / len(before.total)))


# The page


def _by_tuner(costs: Sequence[Cost]) -> dict[str, list[Cost]]:
    measured = {tuner: [cost for cost in costs if cost.tuner == tuner] for tuner in TUNERS}
    return {tuner: costs for tuner, costs in measured.items() if costs}


def _draw(measurement: Measurement) -> "Figure":
    from matplotlib.figure import Figure

    from bench.report.figures.labels import label_ends
    from bench.report.figures.model import few_logarithmic_ticks, plain_axes

    figure = Figure(figsize=(9, 3.9), layout="constrained")
    left, right = figure.subplots(1, 2)
    workers = [load.workers for load in measurement.sleeping]
    left.plot(workers, [100 * load.efficiency for load in measurement.sleeping], color=COLORS[0], marker="o")
    left.set_xscale("log", base=2)
    left.set_xticks(workers, [str(count) for count in workers])
    left.set(xlabel="workers", ylabel="utilization (%)", ylim=(0, 105))
    ends = {}
    for (tuner, costs), marker in zip(_by_tuner(measurement.costs).items(), "os^v", strict=False):
        trials = [len(cost.total) for cost in costs]
        times = [last_tenth(cost.total) for cost in costs]
        right.loglog(trials, times, color=TUNER_COLORS[tuner], marker=marker)
        ends[tuner] = (trials[-1], times[-1])
    right.set(xlabel="trials of the search", ylabel="loop at the end of the search (ms per trial)")
    for axis in (right.xaxis, right.yaxis):
        few_logarithmic_ticks(axis)
    for axes in (left, right):
        plain_axes(axes)
    figure.suptitle("Utilization of workers, and cost of a trial by tuner", fontsize=11)
    figure.draw_without_rendering()  # so that the axes have their final height
    label_ends(right, ends)
    return figure


def _page(measurement: Measurement) -> str:
    machine = machine_text(measurement.environment, "Python", "Keras Tuner", "distributed", platform=True)
    executor = _executor_milliseconds(measurement)
    return page(
        "# Scalability of the search loop",
        f"On {machine}. No model is trained: trials sleep or end at once. Each row is one measurement.",
        "![Utilization by number of workers; cost of a trial by number of trials](scaling.png)",
        "## Utilization of workers",
        table(_load_rows(measurement)),
        (
            "Trials of a random search run on real worker processes, where they sleep for "
            f"{measurement.sleeping[0].task_seconds:g} s; utilization is the share "
            "of the workers' time spent in trials. The last column is the throughput of the executor alone, with "
            f"empty tasks. With {measurement.saturated[-1].workers} workers it takes {executor:.1f} ms per task, "
            "which covers sending the task, receiving its result, and one report for each epoch. The workers "
            "share the cores with it, so it would take less time on a dedicated machine."
        ),
        "## Cost of a trial by tuner and number of trials",
        table(_cost_rows(measurement.costs)),
        (
            "Milliseconds per trial over the last tenth of a search. Each proposal and each result is flushed to "
            "the ledger on disk before the search continues."
        ),
        "\n".join(_growths(measurement)),
        "## Estimated number of workers at which the loop is the bottleneck",
        table(_limit_rows(measurement.costs, executor)),
        (
            f"Computed, not measured (at most {measurement.saturated[-1].workers} workers were run): the duration "
            "of a trial divided by its cost in the loop at the end of such a search, including the "
            f"executor's {executor:.1f} ms. A search proposes at most {MAX_AHEAD} trials ahead, with "
            "bayesian or tpe at most `--max-pending`, 4 by default; further workers train other families."
        ),
        "Generated by `python tests/benchmarks/scaling.py` from [scaling.json](scaling.json).",
    )


def _executor_milliseconds(measurement: Measurement) -> float:
    largest = measurement.saturated[-1]
    return 1000 * largest.seconds / largest.tasks


def _load_rows(measurement: Measurement) -> Iterator[dict[str, str]]:
    return (
        {
            "workers": str(slept.workers),
            "trials": str(slept.tasks),
            "trials per second": f"{slept.tasks / slept.seconds:.2f}",
            "utilization (%)": f"{100 * slept.efficiency:.1f}",
            "executor alone (tasks per second)": f"{saturated.tasks / saturated.seconds:.0f}",
        }
        for slept, saturated in zip(measurement.sleeping, measurement.saturated, strict=True)
    )


def _cost_rows(costs: Sequence[Cost]) -> Iterator[dict[str, str]]:
    for cost in costs:
        propose, report, ledger, total = map(last_tenth, (cost.propose, cost.report, cost.ledger, cost.total))
        yield {
            "tuner": cost.tuner,
            "trials": f"{len(cost.total):,}" + ("" if cost.complete else " (stopped)"),
            "propose (ms)": f"{propose:.2f}",
            "report (ms)": f"{report:.2f}",
            "ledger (ms)": f"{ledger:.2f}",
            "other (ms)": f"{total - propose - report - ledger:.2f}",
            "total (ms)": f"{total:.2f}",
            "start (s)": f"{cost.start_seconds:.2f}",
            "whole search (s)": f"{cost.total[-1]:.1f}",
        }


def _growths(measurement: Measurement) -> Iterator[str]:
    for tuner, costs in _by_tuner(measurement.costs).items():
        if not costs[-1].complete:
            yield (
                f"- {tuner}: the search with a budget of {costs[-1].budget:,} trials was stopped after "
                f"{measurement.max_seconds:g} s, at trial {len(costs[-1].total):,}."
            )
        elif len(costs) > 1:
            before, after = (len(cost.total) for cost in costs[-2:])
            yield (
                f"- {tuner}: from {before:,} to {after:,} trials, the cost of a trial grows as "
                f"n^{growth(costs):.2f} for n trials."
            )


def _limit_rows(costs: Sequence[Cost], executor: float) -> Iterator[dict[str, str]]:
    return (
        {
            "tuner": cost.tuner,
            "trials": f"{len(cost.total):,}",
            "loop (ms per trial)": f"{executor + last_tenth(cost.total):.1f}",
        }
        | {
            f"workers, trials of {seconds} s": f"{limit(seconds, executor + last_tenth(cost.total)):,}"
            for seconds in TRIAL_SECONDS
        }
        for cost in costs
    )


if __name__ == "__main__":
    parser = page_parser(__doc__)
    parser.add_argument("--workers", nargs="+", type=int, default=list(WORKERS), help="numbers of workers")
    parser.add_argument("--tasks", type=int, default=20, help="trials per worker")
    parser.add_argument("--seconds", type=float, default=1.0, help="sleep of each trial")
    parser.add_argument("--sizes", nargs="+", type=int, default=list(SIZES), help="trials of the searches")
    parser.add_argument("--max-seconds", type=float, default=120.0, help="after which a search is stopped")
    main(**vars(parser.parse_args()))
