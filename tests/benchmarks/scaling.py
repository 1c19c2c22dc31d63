"""How many workers one loop can keep busy, and what a trial costs it.

python tests/benchmarks/scaling.py

The loop runs in one process: it asks the oracle, gives workers their trials, tells the results, and keeps each in the
ledger. It is measured twice, without training anything. With real workers whose trials only sleep: how much of their
time is spent waiting for the loop, and with trials of no length how many of them the engine gets through. Without
workers, with the real oracles and a ledger on a real disk, and with results that are made up: what asking, telling and
keeping cost, by tuner and by number of trials. Both together tell with how many workers the loop would be the limit.

What was measured is kept in results/benchmarks/scaling.json; made from it are scaling.md and scaling.png beside it,
with --page-only without measuring anew. A search is broken off after --patience seconds, as Bayesian search will be.

Workers import this file, so that what they do not need is imported in functions.
"""

import argparse
import hashlib
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import msgspec
import numpy as np

from bench.machine import Environment, environment
from bench.records.files import write_atomic
from bench.records.record import Curve
from bench.records.spec import DEFAULT_LOOKAHEAD, TUNERS, Budget, RunSpec, Tuner
from bench.records.store import RunFolder
from bench.workers.executor import Done, Engine, Failed
from bench.workers.pools import LocalPool
from bench.workers.tasks import Report

if TYPE_CHECKING:
    import keras_tuner
    import pandas as pd
    from matplotlib.figure import Figure

    from bench.tuning.search import Search, Work

EPOCHS = 6
WORKERS = (1, 2, 4, 8, 16, 32)
SIZES = (100, 300, 1000, 3000, 10_000)
TRIAL_SECONDS = (10, 30, 60)
WAIT_SECONDS = 120
PAGE = Path("results/benchmarks/scaling.md")


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """What a number of workers got through."""

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
    """What a search cost the loop, in seconds, after each of its trials, all trials before it included."""

    tuner: str
    budget: int  # trials at full length that were allowed; Hyperband makes more and shorter ones of them
    whole: bool  # whether the search came to its end
    start_seconds: float  # until the first trial could be asked
    ask: tuple[float, ...]
    tell: tuple[float, ...]
    ledger: tuple[float, ...]
    total: tuple[float, ...]  # those three and all else that the loop does for a trial


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurement:
    """All that page and picture are made from."""

    environment: Environment
    patience: float  # seconds after which a search was broken off
    sleeping: tuple[Load, ...]  # the whole loop, with random search
    saturated: tuple[Load, ...]  # the engine alone, with tasks of no length
    costs: tuple[Cost, ...]


def main(
    *, workers: Sequence[int], tasks: int, seconds: float, sizes: Sequence[int], patience: float, page_only: bool
) -> None:
    """Measure, then write page and picture."""
    kept = PAGE.with_suffix(".json")
    if not page_only:
        loads = [_loads(count, tasks, seconds) for count in workers]
        measured = Measurement(
            environment=environment(),
            patience=patience,
            sleeping=tuple(sleeping for sleeping, _ in loads),
            saturated=tuple(saturated for _, saturated in loads),
            costs=tuple(cost for tuner in get_args(Tuner) for cost in _costs(tuner, sizes, patience)),
        )
        write_atomic(kept, msgspec.json.encode(measured) + b"\n")
    measurement = msgspec.json.decode(kept.read_bytes(), type=Measurement)
    _write(measurement, hashlib.sha256(kept.read_bytes()).hexdigest())
    sys.stdout.write(PAGE.read_text(encoding="utf-8"))


# Workers that sleep


def _loads(workers: int, tasks: int, seconds: float) -> tuple[Load, Load]:
    """`tasks` trials a worker that sleep for `seconds`, then ten times as many that do not."""
    pool = LocalPool(workers)
    engine = Engine(pool)
    try:
        saturate(engine, workers, workers)  # what a worker imports with its first task is not measured
        slept = sleep(engine, workers, tasks * workers, seconds)
        saturated = saturate(engine, workers, 10 * tasks * workers)
    finally:
        pool.close()
    sys.stderr.write(f"{workers} workers: {slept.efficiency:.1%} slept, {saturated.tasks / saturated.seconds:.0f}/s\n")
    return slept, saturated


def sleep(engine: Engine, workers: int, tasks: int, seconds: float) -> Load:
    """Let the workers sleep through a whole search of `tasks` trials."""
    spec = make_spec("random", tasks, lookahead=2 * workers)
    with tempfile.TemporaryDirectory(prefix=".scaling-", dir=PAGE.parent) as folder:
        search, _ = _start(spec, RunFolder(Path(folder)), Clocks())
        works: dict[str, Work] = {}

        def offer() -> tuple[str, tuple[Any, ...]] | None:
            work = search.next_work()
            if work is None:
                return None
            works[str(work.number)] = work
            return str(work.number), (seconds, work.spec)

        random = np.random.default_rng(0)
        begun = time.perf_counter()
        for key in _ends(engine, offer):
            _finish(search, works.pop(key), random)
        elapsed = time.perf_counter() - begun
        search.close()
    return Load(workers=workers, tasks=tasks, task_seconds=seconds, seconds=elapsed)


def saturate(engine: Engine, workers: int, tasks: int) -> Load:
    """Let the workers do `tasks` tasks of no length, as fast as the engine can."""
    numbers = iter(range(tasks))
    begun = time.perf_counter()
    for _ in _ends(engine, lambda: next(((str(number), (0.0, None)) for number in numbers), None)):
        pass
    return Load(workers=workers, tasks=tasks, task_seconds=0.0, seconds=time.perf_counter() - begun)


def _ends(engine: Engine, offer: Callable[[], tuple[str, tuple[Any, ...]] | None]) -> Iterator[str]:
    """Keep the workers busy with what is offered; the keys of the tasks, as they end."""
    under_way = 0
    while True:
        while engine.idle() and (task := offer()) is not None:
            key, arguments = task
            engine.submit(key, rest, *arguments)
            under_way += 1
        if not under_way:
            return
        event = engine.next_event(WAIT_SECONDS)
        if event is None or isinstance(event, Failed):
            raise RuntimeError(f"a task did not end well: {event}")
        if isinstance(event, Done):
            under_way -= 1
            yield event.key


def rest(seconds: float, _spec: object, report: Report) -> None:
    """In the worker: sleep for `seconds` in all, and report as many epochs as a trial does.

    Workers get this function as code, as Dask sends whatever a script itself defines.
    """
    for epoch in range(1, EPOCHS + 1):
        time.sleep(seconds / EPOCHS)
        report(epoch, seconds / EPOCHS, 0.5)


# The loop without workers


@dataclass(slots=True)
class Clocks:
    """Seconds spent so far in three calls."""

    ask: float = 0.0
    tell: float = 0.0
    ledger: float = 0.0
    after: list[tuple[float, float, float, float]] = field(default_factory=list)  # each trial: the three, and in all

    def time(self, name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        """`call`, with its seconds added to the clock `name`."""

        def timed(*arguments: Any, **named: Any) -> Any:
            begun = time.perf_counter()
            try:
                return call(*arguments, **named)
            finally:
                setattr(self, name, getattr(self, name) + time.perf_counter() - begun)

        return timed


def _costs(tuner: Tuner, sizes: Sequence[int], patience: float) -> Iterator[Cost]:
    """Searches of growing size, up to the first that is broken off."""
    for size in sizes:
        cost = run_search(tuner, size, patience)
        sys.stderr.write(f"{tuner}, {size} trials: {cost.total[-1]:.1f} s{'' if cost.whole else ', broken off'}\n")
        yield cost
        if not cost.whole:
            return


def run_search(tuner: Tuner, size: int, patience: float) -> Cost:
    """Time a search whose trials end at once; it is broken off after `patience` seconds."""
    random = np.random.default_rng(0)
    clocks = Clocks()
    with tempfile.TemporaryDirectory(prefix=".scaling-", dir=PAGE.parent) as folder:
        begun = time.perf_counter()
        search, start_seconds = _start(make_spec(tuner, size), RunFolder(Path(folder)), clocks)
        begun = time.perf_counter()
        elapsed = 0.0
        while elapsed < patience and (work := search.next_work()) is not None:
            _finish(search, work, random)
            elapsed = time.perf_counter() - begun
            clocks.after.append((clocks.ask, clocks.tell, clocks.ledger, elapsed))
        whole = search.done
        search.close()
    ask, tell, ledger, total = zip(*clocks.after, strict=True)
    return Cost(
        tuner=tuner,
        budget=size,
        whole=whole,
        start_seconds=start_seconds,
        ask=ask,
        tell=tell,
        ledger=ledger,
        total=total,
    )


def _start(spec: RunSpec, folder: RunFolder, clocks: Clocks) -> "tuple[Search, float]":
    """A new search whose calls are timed, and how many seconds it took to make it."""
    from bench.tuning.oracles import make
    from bench.tuning.search import Search

    begun = time.perf_counter()
    oracle = make(spec, space(spec.tuner, spec.budget.trials))
    for name, call in (("ask", oracle.ask), ("tell", oracle.tell)):
        vars(oracle)[name] = clocks.time(name, call)
    vars(folder)["append"] = clocks.time("ledger", folder.append)
    return Search(spec, oracle, folder, []), time.perf_counter() - begun


def _finish(search: "Search", work: "Work", random: np.random.Generator) -> None:
    """End a trial with a validation accuracy that is made up."""
    values = tuple(random.uniform(0.5, 0.9, work.spec.epochs - work.spec.initial_epoch).tolist())
    curve = Curve(training_loss=values, training_accuracy=values, validation_loss=values, validation_accuracy=values)
    search.finish(search.record(work, error=None, curve=curve, parameters=1000, seconds=(1.0, 1.0, 1.0)))


def make_spec(tuner: Tuner, trials: int, lookahead: int = DEFAULT_LOOKAHEAD) -> RunSpec:
    """A search over `space`."""
    return RunSpec(
        dataset="synthetic",
        family="synthetic",
        family_source="0" * 12,
        tuner=tuner,
        budget=Budget(trials=trials, epochs=EPOCHS),
        seed=0,
        seeds=1,
        precision="float32",
        lookahead=lookahead,
    )


def space(tuner: str, trials: int) -> "keras_tuner.HyperParameters":
    """Nine hyperparameters, as cnn has; as many candidates as `trials` for grid search, else without end."""
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
    """Nine sizes whose product is `trials`, which has no prime factors but 2, 3 and 5."""
    found = [1] * 9
    for prime in (5, 3, 2):
        while trials % prime == 0:
            found[found.index(min(found))] *= prime
            trials //= prime
    if trials != 1:
        raise ValueError(f"sizes must be products of 2, 3 and 5, what is left of one is {trials}")
    return found


# What follows from it


def last_tenth(seconds: Sequence[float]) -> float:
    """Milliseconds a trial over the last tenth of a search, from the seconds since its start after each trial."""
    seconds = (0.0, *seconds)
    trials = len(seconds) - 1
    last = max(1, trials // 10)
    return 1000 * (seconds[-1] - seconds[-1 - last]) / last


def limit(trial_seconds: float, milliseconds: float) -> int:
    """With how many workers whose trials take `trial_seconds` a loop of `milliseconds` a trial is always busy."""
    return int(1000 * trial_seconds / milliseconds)


def growth(costs: Sequence[Cost]) -> float:
    """By which power of the number of trials the milliseconds a trial grew between the two largest searches."""
    (before, after), *_ = reversed(list(pairwise(costs)))
    ratio = last_tenth(after.total) / last_tenth(before.total)
    return float(np.log(ratio) / np.log(len(after.total) / len(before.total)))


def _write(measurement: Measurement, digest: str) -> None:
    from bench.report.figures.picture import Picture

    picture = Picture(digest=digest, draw=partial(_draw, measurement))
    write_atomic(PAGE.with_suffix(".png"), picture.png())
    write_atomic(PAGE, _page(measurement).encode())


def _by_tuner(costs: Sequence[Cost]) -> dict[str, list[Cost]]:
    return {tuner: found for tuner in TUNERS if (found := [cost for cost in costs if cost.tuner == tuner])}


def _draw(measurement: Measurement) -> "Figure":
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 3.6), layout="constrained")
    left, right = figure.subplots(1, 2)
    workers = [load.workers for load in measurement.sleeping]
    left.plot(workers, [100 * load.efficiency for load in measurement.sleeping], color="#0072B2", marker="o")
    left.set_xscale("log", base=2)
    left.set_xticks(workers, [str(count) for count in workers])
    left.set(xlabel="workers", ylabel="their time spent in trials (%)", ylim=(0, 105))
    styles = (("#0072B2", "o"), ("#D55E00", "s"), ("#009E73", "^"), ("#CC79A7", "v"))
    for (tuner, costs), (colour, marker) in zip(_by_tuner(measurement.costs).items(), styles, strict=False):
        trials = [len(cost.total) for cost in costs]
        right.loglog(trials, [last_tenth(cost.total) for cost in costs], color=colour, marker=marker, label=tuner)
    right.set(xlabel="trials of the search", ylabel="loop, at its end (ms a trial)")
    right.legend(frameon=False)
    for axes in (left, right):
        axes.grid(alpha=0.3)
        axes.spines[["top", "right"]].set_visible(False)
    return figure


def _page(measurement: Measurement) -> str:
    from bench.report.markdown import table

    machine = measurement.environment
    engine = _engine_milliseconds(measurement)
    return "\n".join(
        [
            "# How many workers one loop can keep busy",
            "",
            (
                f"On {machine.cpu} with {machine.cores} cores, {machine.platform}, Keras Tuner {machine.keras_tuner}, "
                f"distributed {machine.distributed}. Nothing is trained: trials sleep, or end at once."
            ),
            "",
            "![Efficiency by workers; cost by trials](scaling.png)",
            "",
            "## Workers that sleep",
            "",
            table(_load_table(measurement)),
            "",
            (
                "Trials of a random search are given to real worker processes and sleep there; the first figures are "
                "of it. The last one is of the engine alone, with tasks of no length: how many it gets through in a "
                f"second. With {measurement.saturated[-1].workers} workers it takes {engine:.1f} ms for a task, in "
                "which it passes on the task, its result, and a report for each of its epochs; the workers share the "
                "cores with it, so alone it would take less."
            ),
            "",
            "## What a trial costs, by tuner and number of trials",
            "",
            table(_cost_table(measurement.costs)),
            "",
            "Milliseconds a trial over the last tenth of a search. The ledger is on disk after each ask and each tell.",
            *_growths(measurement),
            "",
            "## With how many workers the loop would be the limit",
            "",
            table(_limit_table(measurement.costs, engine)),
            "",
            (
                f"The length of a trial divided by what it costs the loop at the end of such a search, the engine's "
                f"{engine:.1f} ms included. A run also keeps at most `--lookahead` trials of a family under way, "
                f"{DEFAULT_LOOKAHEAD} unless it is told otherwise; more workers wait for another family."
            ),
            "",
            "Made by `python tests/benchmarks/scaling.py` from [scaling.json](scaling.json).",
            "",
        ]
    )


def _engine_milliseconds(measurement: Measurement) -> float:
    most = measurement.saturated[-1]
    return 1000 * most.seconds / most.tasks


def _load_table(measurement: Measurement) -> "pd.DataFrame":
    import pandas as pd

    return pd.DataFrame(
        {
            "workers": str(slept.workers),
            "trials": str(slept.tasks),
            "of, s": f"{slept.task_seconds:g}",
            "trials a second": f"{slept.tasks / slept.seconds:.2f}",
            "time in trials, %": f"{100 * slept.efficiency:.1f}",
            "engine alone, tasks a second": f"{saturated.tasks / saturated.seconds:.0f}",
        }
        for slept, saturated in zip(measurement.sleeping, measurement.saturated, strict=True)
    )


def _cost_table(costs: Sequence[Cost]) -> "pd.DataFrame":
    import pandas as pd

    rows = []
    for cost in costs:
        ask, tell, ledger, total = (last_tenth(found) for found in (cost.ask, cost.tell, cost.ledger, cost.total))
        rows.append(
            {
                "tuner": cost.tuner,
                "trials": f"{len(cost.total)}" if cost.whole else f"{len(cost.total)}, broken off",
                "ask": f"{ask:.2f}",
                "tell": f"{tell:.2f}",
                "ledger": f"{ledger:.2f}",
                "rest": f"{total - ask - tell - ledger:.2f}",
                "in all": f"{total:.2f}",
                "start, s": f"{cost.start_seconds:.2f}",
                "whole search, s": f"{cost.total[-1]:.1f}",
            }
        )
    return pd.DataFrame(rows)


def _growths(measurement: Measurement) -> Iterator[str]:
    for tuner, costs in _by_tuner(measurement.costs).items():
        if not costs[-1].whole:
            yield (
                f"A {tuner} search with a budget of {costs[-1].budget} trials was broken off after "
                f"{measurement.patience:g} s, at trial {len(costs[-1].total)}."
            )
        elif len(costs) > 1:
            before, after = (len(cost.total) for cost in costs[-2:])
            yield (
                f"From {before} to {after} trials, the cost of one in {tuner} grew as their number to the power of "
                f"{growth(costs):.2f}."
            )


def _limit_table(costs: Sequence[Cost], engine: float) -> "pd.DataFrame":
    import pandas as pd

    return pd.DataFrame(
        {
            "tuner": cost.tuner,
            "trials": str(len(cost.total)),
            "loop, ms a trial": f"{engine + last_tenth(cost.total):.1f}",
        }
        | {
            f"trials of {seconds} s": f"{limit(seconds, engine + last_tenth(cost.total)):,}"
            for seconds in TRIAL_SECONDS
        }
        for cost in costs
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workers", nargs="+", type=int, default=list(WORKERS))
    parser.add_argument("--tasks", type=int, default=20, help="trials for each worker")
    parser.add_argument("--seconds", type=float, default=1.0, help="that each of them sleeps")
    parser.add_argument("--sizes", nargs="+", type=int, default=list(SIZES), help="trials of the searches")
    parser.add_argument("--patience", type=float, default=120.0, help="seconds after which a search is broken off")
    parser.add_argument("--page-only", action="store_true", help="write page and picture anew from what is kept")
    given = parser.parse_args()
    main(**vars(given))
