"""Memory stays flat: the resident size of each worker over many small trials, one after the other.

python tests/benchmarks/memory.py

A search may have thousands of trials, and a worker that keeps a little of each ends by being killed. So candidates of
two families are drawn by chance and trained on the digits, by the engine and the code that a run uses, their results
sent back whole, and after each trial its worker says how large it is. Lines are fitted to the sizes of each worker
after its first trials, in which libraries still load and pools fill; the exit code is 1 where one may rise by LIMIT_MB
a trial.

Judged are both the resident size and the part of it that is no file mapped into memory: pages of files, such as the
code of libraries, are taken away and brought back by the system as it likes, which may hide a growth or feign one.

What was measured is kept in results/benchmarks/memory.json; made from it are memory.md and memory.png beside it, with
--page-only without measuring anew.
"""

import argparse
import hashlib
import importlib
import os
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import numpy as np
import pandas as pd
import psutil  # type: ignore[import-untyped]  # distributed depends on it
from matplotlib.figure import Figure
from scipy import stats

import search_spaces
from bench.machine import Environment, environment
from bench.records.files import write_atomic
from bench.records.spec import Budget, RunSpec, TrialSpec, candidate_values, trial_seed
from bench.report.figures.picture import Picture
from bench.report.markdown import table
from bench.seeds import derive_seed
from bench.workers import tasks as worker
from bench.workers.executor import Done, Engine, Failed
from bench.workers.pools import LocalPool
from bench.workers.tasks import Report

if TYPE_CHECKING:
    from bench.training.fit import Trained

DATASET = "digits"
FAMILIES = ("dense", "cnn")
WARM_UP = 20  # trials of each worker
LIMIT_MB = 0.2  # a trial
CONFIDENCE = 0.95
MB = 1e6
KINDS = {"resident": "resident_bytes", "without files": "anonymous_bytes"}
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7")  # Okabe and Ito's
WAIT_SECONDS = 600
PAGE = Path("results/benchmarks/memory.md")


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """How large a worker was after a trial."""

    trial: int  # in the order of starting, from 0
    family: str
    worker: int  # in the order of their first result, from 1
    resident_bytes: int
    anonymous_bytes: int  # of them, not pages of files


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurement:
    """All that page and picture are made from."""

    environment: Environment
    epochs: int  # of each trial
    sizes: tuple[Size, ...]  # in the order of ending


@dataclass(frozen=True, slots=True, kw_only=True)
class Growth:
    """The line of least squares through sizes in MB, by number of trials."""

    first: float  # the line's value at its first trial
    last: float
    slope: float  # MB a trial
    bound: float  # the slope is below it with a confidence of CONFIDENCE, one-sided


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One kind of memory of one worker."""

    worker: int
    kind: str
    megabytes: tuple[float, ...]  # after each of its trials

    @property
    def growth(self) -> Growth:
        """The line through it after the warm-up."""
        return growth(self.megabytes)


def main(trials: int, workers: int, epochs: int, page_only: bool) -> int:
    """Measure, write page and picture; 1 where a worker may be growing, else 0."""
    kept = PAGE.with_suffix(".json")
    if not page_only:
        measured = Measurement(environment=environment(), epochs=epochs, sizes=measure(trials, workers, epochs))
        write_atomic(kept, msgspec.json.format(msgspec.json.encode(measured), indent=1) + b"\n")
    measurement = msgspec.json.decode(kept.read_bytes(), type=Measurement)
    found = lines(measurement.sizes)
    digest = hashlib.sha256(kept.read_bytes()).hexdigest()
    write_atomic(PAGE.with_suffix(".png"), Picture(digest=digest, draw=partial(_draw, found)).png())
    write_atomic(PAGE, _page(measurement, found).encode())
    sys.stdout.write(PAGE.read_text(encoding="utf-8"))
    return int(not all(line.growth.bound < LIMIT_MB for line in found))  # also where a bound is not a number


def measure(trials: int, workers: int, epochs: int) -> tuple[Size, ...]:
    """Train `trials` candidates on `workers` workers, the families taking turns."""
    waiting = list(enumerate(_candidates(trials, epochs)))[::-1]
    pool = LocalPool(workers)
    engine = Engine(pool)
    numbers: dict[int, int] = {}  # of workers, by process
    sizes: list[Size] = []
    try:
        while len(sizes) < trials:
            while waiting and engine.idle():
                number, spec = waiting.pop()
                engine.submit(f"{number} {spec.family}", train_and_weigh, spec)
            event = engine.next_event(WAIT_SECONDS)
            if event is None or isinstance(event, Failed):
                raise RuntimeError(f"a trial did not end well: {event}")
            if isinstance(event, Done):
                trial, family = event.key.split()
                process, resident, anonymous, _ = event.value
                of_worker = numbers.setdefault(process, len(numbers) + 1)
                sizes.append(
                    Size(
                        trial=int(trial),
                        family=family,
                        worker=of_worker,
                        resident_bytes=resident,
                        anonymous_bytes=anonymous,
                    )
                )
                sys.stderr.write(f"{len(sizes)}/{trials}: worker {of_worker} has {resident / MB:.1f} MB\n")
    finally:
        pool.close()
    return tuple(sizes)


def _candidates(trials: int, epochs: int) -> Iterator[TrialSpec]:
    """Candidates of FAMILIES in turn, in float32."""
    from bench.data.development import development
    from bench.tuning.oracles import Proposal, make

    data = development(DATASET)
    specs = [_spec(family, Budget(trials=-(-trials // len(FAMILIES)), epochs=epochs)) for family in FAMILIES]
    spaces = [search_spaces.load(spec.family)(data.image_shape, len(data.class_names)).space() for spec in specs]
    oracles = [make(spec, space) for spec, space in zip(specs, spaces, strict=True)]
    for number in range(trials):
        spec, oracle = specs[number % len(specs)], oracles[number % len(specs)]
        proposal = oracle.ask()
        if not isinstance(proposal, Proposal):
            raise TypeError(f"{spec.family} has no candidate left for trial {number}")
        values = candidate_values(proposal.values)
        yield TrialSpec(
            dataset=DATASET,
            family=spec.family,
            values=values,
            part="train",
            seed=trial_seed(spec.seed, values),
            initial_epoch=0,
            epochs=epochs,
            horizon=epochs,
            precision="float32",
            keep_state=True,  # sent back as in a search: what stays behind of it counts too
        )
    for oracle in oracles:
        oracle.close()


def _spec(family: str, budget: Budget) -> RunSpec:
    return RunSpec(
        dataset=DATASET,
        family=family,
        family_source=search_spaces.source_digest(family),
        tuner="random",
        budget=budget,
        seed=derive_seed(0, "memory", family),
        seeds=1,
        precision="float32",
        lookahead=1,
    )


def train_and_weigh(spec: TrialSpec, report: Report) -> "tuple[int, int, int, Trained]":
    """In the worker: its process, bytes resident after the trial, how many of them no file's, what the trial gave."""
    trained = worker.train(spec, None, None, None, report)
    memory = psutil.Process().memory_info()
    return os.getpid(), memory.rss, memory.rss - memory.shared, trained


def lines(sizes: Sequence[Size]) -> list[Line]:
    """Both sizes of each worker, in the order of its trials."""
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
    """The line through `megabytes`, one value a trial, after the first `warm_up`; at least three must be left."""
    kept = np.arange(warm_up, len(megabytes))
    line = stats.linregress(kept, np.asarray(megabytes)[kept])
    margin = stats.t.ppf(CONFIDENCE, len(kept) - 2) * line.stderr
    return Growth(
        first=line.intercept + line.slope * kept[0],
        last=line.intercept + line.slope * kept[-1],
        slope=line.slope,
        bound=line.slope + margin,
    )


def _draw(lines: Sequence[Line]) -> Figure:
    figure = Figure(figsize=(8, 4), layout="constrained")
    axes = figure.subplots()
    for line in lines:
        colour = COLOURS[line.worker % len(COLOURS)]
        style = "-" if line.kind == "resident" else ":"
        trials = range(1, len(line.megabytes) + 1)
        axes.plot(trials, line.megabytes, style, color=colour, linewidth=1, label=f"worker {line.worker}, {line.kind}")
        fitted = line.growth
        axes.plot([WARM_UP + 1, len(trials)], [fitted.first, fitted.last], color="black", linewidth=0.8)
    axes.axvspan(0, WARM_UP, color="#999999", alpha=0.15, linewidth=0, label="warm-up")
    axes.set(xlabel="trial of the worker", ylabel="memory (MB)", ylim=(0, None), xlim=(0, None))
    axes.grid(alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(loc="lower right", ncols=2, frameon=False)
    return figure


def _page(measurement: Measurement, lines: Sequence[Line]) -> str:
    machine = measurement.environment
    rows = pd.DataFrame(
        {
            "worker": str(line.worker),
            "memory": line.kind,
            "trials": str(len(line.megabytes)),
            "after the warm-up, MB": f"{line.growth.first:.1f}",
            "at the end, MB": f"{line.growth.last:.1f}",
            "slope, MB a trial": f"{line.growth.slope:+.3f}",
            "upper 95 % bound": f"{line.growth.bound:+.3f}",
        }
        for line in lines
    )
    worst = max(line.growth.bound for line in lines)
    verdict = "Memory stays flat" if worst < LIMIT_MB else "Memory may be growing"
    return "\n".join(
        [
            "# Memory stays flat over many trials",
            "",
            (
                f"{len(measurement.sizes)} trials of {measurement.epochs} epochs on {DATASET}, "
                f"{' and '.join(FAMILIES)} by turns, on {machine.cpu} with {machine.cores} cores, {machine.platform}, "
                f"TensorFlow {machine.tensorflow}, Keras {machine.keras}, distributed {machine.distributed}."
            ),
            "",
            table(rows),
            "",
            f"{verdict}: no bound may reach {LIMIT_MB} MB a trial, the largest is {worst:+.3f}.",
            "",
            "![Memory of each worker by trial](memory.png)",
            "",
            (
                "Resident is what a worker has in memory; without files is the part of it that is no file mapped into "
                f"memory. Lines are fitted by least squares to all trials of a worker but its first {WARM_UP}; the "
                "bound is one-sided, by Student's t. 1 MB is 1,000,000 bytes."
            ),
            "Made by `python tests/benchmarks/memory.py` from [memory.json](memory.json).",
            "",
        ]
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=400, help="of all workers together")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--epochs", type=int, default=2, help="of each trial")
    parser.add_argument("--page-only", action="store_true", help="write page and picture anew from what is kept")
    arguments = parser.parse_args()
    # Workers get functions of __main__ as code, of other modules by name. The code would be new in every trial, and
    # TensorFlow keeps, for ever, whatever code was on the stack when an operation was made: two megabytes a trial.
    module = importlib.import_module(Path(__file__).stem)
    sys.exit(module.main(arguments.trials, arguments.workers, arguments.epochs, arguments.page_only))
