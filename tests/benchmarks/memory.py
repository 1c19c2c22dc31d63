"""How much the memory of workers grows over many trials.

python tests/benchmarks/memory.py

A search may have thousands of trials, and a worker that leaks a little memory in each of them is killed in the end.
Random candidates of two families are trained on the digits by the executor and the code that a run uses, results are
sent back in full, and after each trial its worker reports its memory. A line is fitted to the memory of each worker
after its first trials, in which libraries are still loading. The exit code is 1 if memory may grow by MAX_GROWTH_MB per
trial or more.

Both resident memory and its anonymous part (not backed by files) are tested: the system evicts and reloads pages of
files, such as library code, at any time, which can hide growth or look like it.

Measurements are stored in results/benchmarks/memory.json; memory.md and memory.png next to it are made from them.
--page-only makes them without measuring.
"""

import importlib
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import numpy as np
import psutil  # type: ignore[import-untyped]  # distributed depends on it
from matplotlib.figure import Figure
from scipy import stats

import search_spaces
from bench.data.catalog import DatasetLocation
from bench.execution.plans import sampling_spec
from bench.machine import Environment, environment
from bench.records.encoding import read_json
from bench.records.files import write_atomic
from bench.records.spec import Budget, TrialSpec
from bench.report.figures.model import plain_axes
from bench.report.figures.picture import picture
from bench.seeds import derive_seed
from bench.training.outcome import EpochReport
from bench.tuning.trials import trial_spec
from bench.workers import tasks as worker
from bench.workers.executor import Executor
from bench.workers.local import LocalPool

sys.path.append(str(Path(__file__).parents[1]))
from benchmarks.shared import (
    COLORS,
    Task,
    completed_tasks,
    draw_candidates,
    machine_text,
    page,
    page_parser,
    publish,
    store,
    table,
    verdicts,
)

if TYPE_CHECKING:
    from bench.training.outcome import TrainedTrial

DATASET = DatasetLocation("digits")
FAMILIES = ("dense", "cnn")
WARM_UP = 20  # trials of each worker
MAX_GROWTH_MB = 0.2  # per trial
CONFIDENCE = 0.95
MB = 1e6
KINDS = {"resident": "resident_bytes", "anonymous": "anonymous_bytes"}
PAGE = Path("results/benchmarks/memory.md")


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """The memory of a worker after a trial."""

    trial: int  # in the order of starting, from 0
    family: str
    worker: int  # in the order of their first results, from 1
    resident_bytes: int
    anonymous_bytes: int  # the part of it that is not backed by files


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurement:
    """Everything that page and figure are made from."""

    environment: Environment
    epochs: int  # per trial
    sizes: tuple[Size, ...]  # in the order of ending


@dataclass(frozen=True, slots=True, kw_only=True)
class Growth:
    """A least-squares line through memory in MB by number of trials."""

    first: float  # value of the line at its first trial
    last: float
    slope: float  # MB per trial
    bound: float  # upper limit of the slope at confidence CONFIDENCE, one-sided


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One kind of memory of one worker."""

    worker: int
    kind: str
    megabytes: tuple[float, ...]  # after each of its trials

    @property
    def growth(self) -> Growth:
        """The line fitted after the warm-up."""
        return growth(self.megabytes)


def main(trials: int, workers: int, epochs: int, page_only: bool) -> int:
    """Measure, then write page and figure; returns 1 if the memory of a worker may be growing, else 0."""
    stored = PAGE.with_suffix(".json")
    if not page_only:
        store(stored, Measurement(environment=environment(), epochs=epochs, sizes=measure(trials, workers, epochs)))
    measurement: Measurement = read_json(Measurement, stored)
    fitted = lines(measurement.sizes)
    write_atomic(PAGE.with_suffix(".png"), picture("memory", [measurement], partial(_draw, fitted)).png())
    publish(PAGE, _page(measurement, fitted))
    return int(not all(line.growth.bound < MAX_GROWTH_MB for line in fitted))  # also 1 if a bound is NaN


def measure(trials: int, workers: int, epochs: int) -> tuple[Size, ...]:
    """Train `trials` candidates on `workers` workers, alternating between the families."""
    tasks = list(_tasks(trials, epochs))
    numbers: dict[int, int] = {}  # of workers, by process id
    sizes: list[Size] = []
    with closing(LocalPool(workers)) as pool:
        for event in completed_tasks(Executor(pool), tasks):
            trial, family = event.key.split()
            process, resident, anonymous, _ = event.value
            number = numbers.setdefault(process, len(numbers) + 1)
            size = Size(
                trial=int(trial), family=family, worker=number, resident_bytes=resident, anonymous_bytes=anonymous
            )
            sizes.append(size)
            sys.stderr.write(f"{len(sizes)}/{trials}: worker {number} has {resident / MB:.1f} MB\n")
    return tuple(sizes)


def _tasks(trials: int, epochs: int) -> Iterator[Task]:
    """Random candidates of FAMILIES in turn, in float32."""
    drawn = []
    for family in FAMILIES:
        budget = Budget(trials=-(-trials // len(FAMILIES)), epochs=epochs)
        spec = sampling_spec(search_spaces.locate(family), DATASET.name, budget)
        spec = msgspec.structs.replace(spec, seed=derive_seed(0, "memory", family))
        drawn.append([trial_spec(spec, values) for values in draw_candidates(spec, DATASET)])
    for number in range(trials):
        trial = drawn[number % len(drawn)][number // len(drawn)]
        # The state is sent back as in a search, since that could leak memory too.
        yield f"{number} {trial.model}", train_and_measure, replace(trial, keep_state=True)


def train_and_measure(spec: TrialSpec, report: EpochReport) -> "tuple[int, int, int, TrainedTrial]":
    """Train in the worker; returns its process id, resident bytes, anonymous bytes, and the outcome of the trial."""
    trained = worker.train(spec, None, DATASET, None, report)
    memory = psutil.Process().memory_info()
    return os.getpid(), memory.rss, memory.rss - memory.shared, trained


def lines(sizes: Sequence[Size]) -> list[Line]:
    """Both kinds of memory of each worker, in the order of its trials."""
    return [
        Line(
            worker=number,
            kind=kind,
            megabytes=tuple(getattr(size, field) / MB for size in sizes if size.worker == number),
        )
        for number in sorted({size.worker for size in sizes})
        for kind, field in KINDS.items()
    ]


def growth(megabytes: Sequence[float], warm_up: int = WARM_UP) -> Growth:
    """The line through `megabytes`, one value per trial, without the first `warm_up`; at least three must remain."""
    trials = np.arange(warm_up, len(megabytes))
    line = stats.linregress(trials, np.asarray(megabytes)[trials])
    margin = stats.t.ppf(CONFIDENCE, len(trials) - 2) * line.stderr
    return Growth(
        first=line.intercept + line.slope * trials[0],
        last=line.intercept + line.slope * trials[-1],
        slope=line.slope,
        bound=line.slope + margin,
    )


def _draw(lines: Sequence[Line]) -> Figure:
    figure = Figure(figsize=(8, 3.7), layout="constrained")
    panels = dict(zip(KINDS, figure.subplots(1, len(KINDS)), strict=True))
    for line in lines:
        axes, color = panels[line.kind], COLORS[line.worker % len(COLORS)]
        trials = range(1, len(line.megabytes) + 1)
        axes.plot(trials, line.megabytes, color=color, linewidth=0.8, alpha=0.6)
        fitted = [line.growth.first, line.growth.last]
        axes.plot([WARM_UP + 1, len(trials)], fitted, color=color, linewidth=2, label=f"worker {line.worker}")
    for kind, axes in panels.items():
        axes.axvspan(0, WARM_UP, color="#999999", alpha=0.15, linewidth=0, label="warm-up")
        axes.set(xlabel="trial of the worker", ylabel=f"{kind} memory (MB)", xlim=(0, None))
        plain_axes(axes)
    figure.suptitle("Memory of each worker by trial", fontsize=11)
    figure.legend(*axes.get_legend_handles_labels(), loc="outside lower center", ncols=3, frameon=False)
    return figure


def _page(measurement: Measurement, lines: Sequence[Line]) -> str:
    machine = machine_text(measurement.environment, "Python", "TensorFlow", "Keras", "distributed", platform=True)
    rows = (
        {
            "worker": str(line.worker),
            "memory": line.kind,
            "trials": str(len(line.megabytes)),
            "after warm-up, MB": f"{line.growth.first:.1f}",
            "at the end, MB": f"{line.growth.last:.1f}",
            "growth, MB per trial": f"{line.growth.slope:+.3f}",
            "95% upper bound": f"{line.growth.bound:+.3f}",
        }
        for line in lines
    )
    largest = max(line.growth.bound for line in lines)
    later = max(growth(line.megabytes, len(line.megabytes) // 2).bound for line in lines)
    goal = f"memory of a worker grows by at most {largest:.2f} MB per trial (95% upper bound, goal {MAX_GROWTH_MB})"
    return page(
        "# Memory of workers over many trials",
        (
            f"{len(measurement.sizes)} trials of {measurement.epochs} epochs on {DATASET.name}, alternating "
            f"between {' and '.join(FAMILIES)}, in one search on {machine}."
        ),
        table(rows),
        *verdicts([(goal, largest < MAX_GROWTH_MB)]),
        f"In the second half of its trials, it grows by at most {later:.2f} MB per trial (95% upper bound).",
        "![Memory of each worker by trial](memory.png)",
        (
            "Anonymous memory is the part of resident memory that is not backed by files. Lines are least-squares "
            f"fits to all trials of a worker except its first {WARM_UP}; the bound is one-sided, by Student's t. "
            "The axes do not start at 0. 1 MB is 1,000,000 bytes."
        ),
        "Generated by `python tests/benchmarks/memory.py` from [memory.json](memory.json).",
    )


if __name__ == "__main__":
    parser = page_parser(__doc__)
    parser.add_argument("--trials", type=int, default=400, help="of all workers together")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--epochs", type=int, default=2, help="per trial")
    arguments = parser.parse_args()
    # Functions of __main__ are sent to workers as code, those of other modules by name. The code would be new in every
    # trial, and TensorFlow never frees code that was on the stack when an operation was created: 2 MB per trial.
    module = importlib.import_module(Path(__file__).stem)
    sys.exit(module.main(arguments.trials, arguments.workers, arguments.epochs, arguments.page_only))
