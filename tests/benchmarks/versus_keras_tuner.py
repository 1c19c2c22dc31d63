"""How many trials an hour: stock Keras Tuner as a user would write it, and this suite, on the same trials.

python tests/benchmarks/versus_keras_tuner.py --families dense cnn

Each side searches in a process of its own, one after the other, in every turn in another order. The candidates are
those that random search draws under one seed; a side that trains others ends the run. The suite's search is stopped
before its refits, so the test part is never read. Then a few trials under one worker are set against a bare `fit` loop.

Measurements are kept in results/benchmarks/versus_keras_tuner.json after each search, so that the same command goes on
where it was stopped; the page beside it is results/benchmarks/versus_keras_tuner.md. Run it while nothing else runs.
"""

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from math import ceil
from pathlib import Path
from statistics import median
from typing import Any, Literal, cast

import msgspec

# Only what costs neither side much of its start; the rest is imported where it is needed.
import search_spaces
from bench.data.development import development, facts
from bench.data.splits import split
from bench.execution.events import Event, Progress
from bench.machine import Environment, environment, supports_bfloat16, usable_cores
from bench.records.files import write_atomic
from bench.records.record import DatasetFacts
from bench.records.spec import (
    DEFAULT_LOOKAHEAD,
    Budget,
    Precision,
    RunSpec,
    TrialSpec,
    Value,
    candidate_values,
    trial_seed,
)
from bench.records.store import run_folder
from bench.seeds import derive_seed
from bench.workers import tasks as worker

NAME = "versus_keras_tuner"
Side = Literal["stock", "float32", "bfloat16", "one worker", "bare loop"]
Candidates = tuple[dict[str, Value], ...]
SEARCHES: tuple[Side, ...] = ("stock", "float32", "bfloat16")
LOOPS: tuple[Side, ...] = ("one worker", "bare loop")
LOOP_TRIALS = 9  # of which the first only warms up
TITLES = {"stock": "Keras Tuner, float32", "float32": "suite, float32", "bfloat16": "suite, bfloat16"}
AIM_RATIO = {"dense float32": 4.0, "dense bfloat16": 4.0, "cnn float32": 1.5, "cnn bfloat16": 2.5}
AIM_IN_FIT = 0.95
AIM_OVERHEAD = 0.03


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
    """One search, for a process of its own."""

    side: Side
    family: str
    dataset: str
    budget: Budget
    seed: int
    precision: Precision
    workers: int  # of the suite
    candidates: Candidates  # for the bare loop, which asks no oracle
    data_dir: Path | None
    started: float  # when its process was started, seconds since the epoch

    def seconds(self) -> float:
        """Since its process was started."""
        return time.time() - self.started


@dataclass(frozen=True, slots=True, kw_only=True)
class Fit:
    """One trial inside `fit`, validation included; in seconds since its process was started."""

    began: float
    ended: float
    validation_accuracy: tuple[float, ...]  # one an epoch, fraction in [0, 1]


@dataclass(frozen=True, slots=True, kw_only=True)
class Searched:
    """What a search tells of itself."""

    candidates: Candidates
    fits: tuple[Fit, ...]  # of the candidates, in their order
    ended: float  # seconds since its process was started; after it the process ends


@dataclass(frozen=True, slots=True, kw_only=True)
class Measure:
    """One search, seen from outside too."""

    family: str
    side: Side
    turn: int
    commit: str | None
    processes: int  # how many trials were trained at a time
    wall_seconds: float  # of its process, from start to end
    processor_seconds: float  # of its process and of those that it started
    ended: float
    fits: tuple[Fit, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """The file of all measurements."""

    settings: Settings
    environment: Environment
    dataset: DatasetFacts
    candidates: dict[str, Candidates]  # by family
    measures: tuple[Measure, ...]

    def find(self, family: str, side: Side, turn: int) -> Measure | None:
        """That measurement, None where it is still to do."""
        asked = (family, side, turn)
        return next((each for each in self.measures if (each.family, each.side, each.turn) == asked), None)

    def all(self, family: str, side: Side) -> list[Measure]:
        """One for each turn, in their order."""
        found = [each for each in self.measures if (each.family, each.side) == (family, side)]
        return sorted(found, key=lambda each: each.turn)


# What the numbers are


def trials_an_hour(measure: Measure, *, start_up: bool) -> float:
    """From the start of the process to its end, or without start-up from the first `fit` to the end of the search."""
    seconds = measure.wall_seconds if start_up else measure.ended - first_fit(measure)
    return 3600 * len(measure.fits) / seconds


def first_fit(measure: Measure) -> float:
    """When start-up was over, in seconds since the start."""
    return min(fit.began for fit in measure.fits)


def share_in_fit(measure: Measure, until: float) -> float:
    """The share, in [0, 1], of the time of all its processes from the first `fit` to `until` that was inside `fit`."""
    inside = sum(max(0.0, min(fit.ended, until) - fit.began) for fit in measure.fits)
    return inside / (measure.processes * (until - first_fit(measure)))


def ran_dry(measure: Measure) -> float:
    """When the first of its processes had no trial left to train, in seconds since the start."""
    return sorted(fit.ended for fit in measure.fits)[-min(measure.processes, len(measure.fits))]


def best(measure: Measure) -> float:
    """The best validation accuracy after a trial's last epoch, in [0, 1]."""
    return max(fit.validation_accuracy[-1] for fit in measure.fits)


def seconds_a_trial(measure: Measure) -> float:
    """From the end of one trial to the end of the next, the mean over all but the first, which also warms up."""
    return (measure.fits[-1].ended - measure.fits[0].ended) / (len(measure.fits) - 1)


def ratios(kept: Kept, family: str, side: Side, *, start_up: bool) -> list[float]:
    """How many times as many trials an hour as stock Keras Tuner in the same turn, one for each turn."""
    return [
        trials_an_hour(each, start_up=start_up) / trials_an_hour(stock, start_up=start_up)
        for each in kept.all(family, side)
        if (stock := kept.find(family, "stock", each.turn)) is not None
    ]


# The searches, each in a process of its own


def search(job: Job) -> Searched:
    """Do what the job says."""
    if job.side == "stock":
        return _stock(job)
    return _bare(job) if job.side == "bare loop" else _suite(job)


def _stock(job: Job) -> Searched:
    """As a user would write it: arrays, TensorFlow's default threads, the tuner's own loop, checkpoints and files."""
    import keras_tuner

    from search_spaces._recipe import BATCH_SIZE

    candidates, fits = list[dict[str, Value]](), list[Fit]()
    data = development(job.dataset, job.data_dir)
    train, validation = split(data)
    family: Any = search_spaces.load(job.family)

    class Timed(family):  # type: ignore[misc]
        def fit(self, hp: Any, model: Any, *arguments: Any, **options: Any) -> Any:
            began = job.seconds()
            history = super().fit(hp, model, *arguments, **options)
            fits.append(_fit(began, job.seconds(), history.history))
            candidates.append(dict(hp.values))
            return history

    # The learning rate falls as in the suite.
    steps = ceil(len(train) / BATCH_SIZE) * job.budget.epochs
    with tempfile.TemporaryDirectory() as folder:
        tuner = keras_tuner.RandomSearch(
            Timed(data.image_shape, len(data.class_names), steps),
            objective="val_accuracy",
            max_trials=job.budget.trials,
            seed=derive_seed(job.seed, "oracle"),  # what the suite gives its oracle
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
        return Searched(candidates=tuple(candidates), fits=tuple(fits), ended=job.seconds())


def _suite(job: Job) -> Searched:
    """As `python -m bench run` does it, until the search has ended."""
    from bench.cli.progress import show
    from bench.execution.options import Options
    from bench.execution.runner import run

    spec = RunSpec(
        dataset=job.dataset,
        family=job.family,
        family_source=search_spaces.source_digest(job.family),
        tuner="random",
        budget=job.budget,
        seed=job.seed,
        seeds=1,
        precision=job.precision,
        lookahead=DEFAULT_LOOKAHEAD,
    )
    with tempfile.TemporaryDirectory() as folder:
        options = Options(results=Path(folder), workers=job.workers, data_dir=job.data_dir)
        began = job.seconds()
        show(_until_searched(run([spec], options)))
        events = run_folder(Path(folder), spec).events()
    trials = sorted((each.trial for each in events if each.trial is not None), key=lambda trial: trial.number)
    if errors := [trial.error for trial in trials if trial.error is not None]:
        raise SystemExit(f"trials of {job.family} failed: {'; '.join(errors)}")
    return Searched(
        candidates=tuple(candidate_values(trial.values) for trial in trials),
        fits=tuple(
            Fit(
                # Late by what a trial does after `fit`: it collects garbage and sends its curve, a tenth of a second.
                began=began + trial.ended_seconds - trial.fit_seconds,
                ended=began + trial.ended_seconds,
                validation_accuracy=trial.curve.validation_accuracy,
            )
            for trial in trials
        ),
        ended=began + max(trial.ended_seconds for trial in trials),
    )


def _until_searched(events: Iterator[Event]) -> Iterator[Event]:
    """All up to the end of the last trial; then the run is interrupted, before its refits."""
    with closing(cast("Generator[Event, None, None]", events)):
        for event in events:
            yield event
            if isinstance(event, Progress) and event.trials == event.trials_total:
                return


def _bare(job: Job) -> Searched:
    """A loop around `fit` with the suite's own model, batches and seeds, and with nothing else of it."""
    worker.warm_up()
    from bench.training import fit as training

    training.prepare_process(job.precision)
    specs = [_trial_spec(job, values) for values in job.candidates]
    data, train, validation = training._parts(specs[0], job.data_dir)
    steps, at_once = training.steps_of_an_epoch(len(train))
    fits = []
    for spec in specs:
        model = training._build(spec, data, steps * job.budget.epochs)
        model.steps_per_execution = at_once
        orders = training.epoch_orders(spec.seed, len(train), 0, job.budget.epochs)
        began = job.seconds()
        history = model.fit(
            training.ordered_batches(data, train, orders),
            epochs=job.budget.epochs,
            steps_per_epoch=steps,
            validation_data=training._in_order(data, cast("Any", validation), at_once),
            shuffle=False,
            verbose=0,
        )
        fits.append(_fit(began, job.seconds(), history.history))
    return Searched(candidates=job.candidates, fits=tuple(fits), ended=job.seconds())


def _trial_spec(job: Job, values: Mapping[str, Value]) -> TrialSpec:
    return TrialSpec(
        dataset=job.dataset,
        family=job.family,
        values=values,
        part="train",
        seed=trial_seed(job.seed, values),
        initial_epoch=0,
        epochs=job.budget.epochs,
        horizon=job.budget.epochs,
        precision=job.precision,
        keep_state=False,
    )


def _fit(began: float, ended: float, history: Mapping[str, Sequence[float]]) -> Fit:
    sys.stderr.write(f"    trained in {ended - began:.1f} s\n")
    return Fit(began=began, ended=ended, validation_accuracy=tuple(map(float, history["val_accuracy"])))


# All of them in turn


def main(arguments: argparse.Namespace) -> None:
    """Measure what is missing in the file, then write the page."""
    file = arguments.results / f"{NAME}.json"
    kept = _open(file, arguments)
    _read_libraries()
    for turn in range(1, arguments.turns + 1):
        for family, side in _order(arguments.families, turn):
            if kept.find(family, side, turn) is None:
                sys.stderr.write(f"{time.strftime('%H:%M:%S')} turn {turn} of {arguments.turns}: {family}, {side}\n")
                kept = _measure(kept, family, side, turn, arguments.data_dir)
                write_atomic(file, msgspec.json.format(msgspec.json.encode(kept), indent=1) + b"\n")
    write_atomic(file.with_suffix(".md"), _page(kept, arguments.families).encode())
    sys.stdout.write(file.with_suffix(".md").read_text())


def _order(families: Sequence[str], turn: int) -> Iterator[tuple[str, Side]]:
    """Every turn begins with another side, so that none is always the first."""
    searches = [side for side in SEARCHES if side != "bfloat16" or supports_bfloat16()]
    for family in families:
        for number in range(len(searches)):
            yield family, searches[(number + turn - 1) % len(searches)]
    for number in range(len(LOOPS)):
        yield families[0], LOOPS[(number + turn - 1) % len(LOOPS)]


def _open(file: Path, arguments: argparse.Namespace) -> Kept:
    """What an earlier call has measured on this machine."""
    fresh = Kept(
        settings=Settings(
            dataset=arguments.dataset,
            trials=arguments.trials,
            epochs=arguments.epochs,
            seed=arguments.seed,
            cores=usable_cores(),
        ),
        environment=environment(),
        dataset=facts(development(arguments.dataset, arguments.data_dir)),
        candidates={},
        measures=(),
    )
    if not file.exists():
        return fresh
    kept = msgspec.json.decode(file.read_bytes(), type=Kept)
    for name in ("settings", "environment", "dataset"):
        then, today = _comparable(getattr(kept, name)), _comparable(getattr(fresh, name))
        if then != today:
            raise SystemExit(
                f"{file} was measured with {then}, now it is {today}: move it away, or name other --results"
            )
    return kept


def _comparable(value: Any) -> Any:
    return replace(value, git_commit=None) if isinstance(value, Environment) else value


def _read_libraries() -> None:
    """So that the first search does not read them from disk for all others."""
    code = "import keras_tuner, distributed, sklearn.model_selection"
    subprocess.run([sys.executable, "-c", code], stderr=subprocess.DEVNULL, check=True)


def _measure(kept: Kept, family: str, side: Side, turn: int, data_dir: Path | None) -> Kept:
    """Search once more, and see that it trained the same candidates as all others."""
    job = _job(kept, family, side, data_dir)
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    searched, wall_seconds = _run(job)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    expected = kept.candidates.get(family, searched.candidates)[: job.budget.trials]
    if searched.candidates != expected or len(searched.fits) != job.budget.trials:
        raise SystemExit(f"{side} trained {searched.candidates}, expected {expected}: the sides cannot be compared")
    measure = Measure(
        family=family,
        side=side,
        turn=turn,
        commit=environment().git_commit,
        processes=job.workers,
        wall_seconds=wall_seconds,
        processor_seconds=after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime,
        ended=searched.ended,
        fits=searched.fits,
    )
    candidates = {family: searched.candidates} | kept.candidates
    return replace(kept, candidates=candidates, measures=(*kept.measures, measure))


def _job(kept: Kept, family: str, side: Side, data_dir: Path | None) -> Job:
    settings = kept.settings
    trials = min(settings.trials, LOOP_TRIALS) if side in LOOPS else settings.trials
    fastest: Precision = "bfloat16" if supports_bfloat16() else "float32"
    precisions: dict[Side, Precision] = {"stock": "float32", "float32": "float32"}
    return Job(
        side=side,
        family=family,
        dataset=settings.dataset,
        budget=Budget(trials=trials, epochs=settings.epochs),
        seed=settings.seed,
        precision=precisions.get(side, fastest),
        workers=settings.cores if side in ("float32", "bfloat16") else 1,
        candidates=kept.candidates.get(family, ())[:trials],
        data_dir=data_dir,
        started=0.0,
    )


def _run(job: Job) -> tuple[Searched, float]:
    """What the search tells, and the wall seconds of its process."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "job.json"
        started = time.time()
        file.write_bytes(msgspec.json.encode(replace(job, started=started)))
        subprocess.run([sys.executable, __file__, "--job", str(file)], check=True)
        seconds = time.time() - started
        return msgspec.json.decode(file.with_suffix(".done").read_bytes(), type=Searched), seconds


def _child(file: Path) -> None:
    searched = search(msgspec.json.decode(file.read_bytes(), type=Job))
    file.with_suffix(".done").write_bytes(msgspec.json.encode(searched))


# The page

EXPLANATION = """\
- Stock is `keras_tuner.RandomSearch` with NumPy arrays, its own loop, checkpoints and files, TensorFlow's default
  threads, and `verbose=0`. The suite is `bench.run` with one process a core, stopped after its last trial.
  Each search has a process of its own.
- Both train the same candidates, which is checked, with the same recipe: Adam, the learning rate falling along a
  cosine. They differ in the order of images and in initial weights, so accuracies differ by chance. The suite leaves
  out of each epoch what does not fill a step, at most half a percent of the images and less than a batch more.
- Trials an hour and the ratio are of the whole process, from its start to its end, imports and reading the data
  included; without start-up they are from the first `fit` to the end of the search.
- In fit: the share of the time from the first `fit` to the end of the search that was inside `fit`; of the suite, over
  all its processes. While there was work: only until the first process found no trial left to train. When the suite's
  first `fit` began is known to about a tenth of a second.
- Processors busy: user and system seconds of all processes of a side, over cores times wall seconds, start-up
  included. A core that spins while it waits counts as busy.
- The best validation accuracy is the best one that a trial had after its last epoch, for both sides."""


def _page(kept: Kept, families: Sequence[str]) -> str:
    parts = [
        "# Trials an hour: stock Keras Tuner and this suite",
        _facts(kept),
        "## Against the aims",
        _table(_summary(kept, families)),
        f"SharedError: {'; '.join(_missed(kept, families)) or 'none'}.",
        "## Each turn",
        _table(row for family in families for side in SEARCHES for row in _turns(kept, family, side)),
        "## Overhead",
        *_overhead(kept, families[0]),
        "## How it was measured",
        EXPLANATION,
        f"Made by `python tests/benchmarks/{NAME}.py`; the measurements are in {NAME}.json.",
    ]
    return "\n\n".join(parts) + "\n"


def _facts(kept: Kept) -> str:
    settings, machine, data = kept.settings, kept.environment, kept.dataset
    bfloat16 = "with" if _has_bfloat16(kept) else "without"
    commits = sorted({each.commit or "unknown" for each in kept.measures})
    return (
        f"{data.title}, {data.n_train:,} images to train and {data.n_validation:,} to validate, random search, "
        f"{settings.trials} trials x {settings.epochs} epochs in batches of 128, seed {settings.seed}. "
        f"{machine.cpu} {bfloat16} bfloat16, {settings.cores} cores, {machine.platform}, Python {machine.python}, "
        f"TensorFlow {machine.tensorflow}, oneDNN {machine.onednn}, Keras {machine.keras}, Keras Tuner "
        f"{machine.keras_tuner}, Distributed {machine.distributed}, commit {', '.join(commits)}."
    )


def _has_bfloat16(kept: Kept) -> bool:
    return any(measure.side == "bfloat16" for measure in kept.measures)


def _summary(kept: Kept, families: Sequence[str]) -> Iterator[dict[str, str]]:
    for family in families:
        for side in SEARCHES[1:]:
            if not (measures := kept.all(family, side)):
                continue
            whole, warm = (ratios(kept, family, side, start_up=start_up) for start_up in (True, False))
            aim = AIM_RATIO.get(f"{family} {side}")
            yield {
                "family": family,
                "side": TITLES[side],
                "turns": str(len(measures)),
                "times stock's trials an hour, median": f"{median(whole):.2f}",
                "lowest": f"{min(whole):.2f}",
                "highest": f"{max(whole):.2f}",
                "aim": "-" if aim is None else f"{aim:.1f}",
                "without start-up, median": f"{median(warm):.2f}",
                "in fit, %, median": _percent(median(share_in_fit(each, each.ended) for each in measures)),
                "aim, %": f"{100 * AIM_IN_FIT:.0f}",
                "while there was work": _percent(median(share_in_fit(each, ran_dry(each)) for each in measures)),
            }


def _missed(kept: Kept, families: Sequence[str]) -> Iterator[str]:
    """Aims that the medians do not reach."""
    for family in families:
        for side in SEARCHES[1:]:
            if not (measures := kept.all(family, side)):
                continue
            aim, ratio = AIM_RATIO.get(f"{family} {side}"), median(ratios(kept, family, side, start_up=True))
            if aim is not None and ratio < aim:
                yield f"{family} in {side}, {ratio:.2f} times where {aim:.1f} are aimed at"
            share = median(share_in_fit(each, each.ended) for each in measures)
            if round(share, 3) < AIM_IN_FIT:  # as it is shown
                yield f"{family} in {side}, {_percent(share)} % in fit where {100 * AIM_IN_FIT:.0f} are aimed at"


def _turns(kept: Kept, family: str, side: Side) -> Iterator[dict[str, str]]:
    measures = kept.all(family, side)
    against = ratios(kept, family, side, start_up=True)
    for measure, ratio in zip(measures, against, strict=True):
        busy = measure.processor_seconds / (kept.settings.cores * measure.wall_seconds)
        yield {
            "family": family,
            "turn": str(measure.turn),
            "side": TITLES[side],
            "trials an hour": f"{trials_an_hour(measure, start_up=True):.0f}",
            "ratio": f"{ratio:.2f}",
            "without start-up": f"{trials_an_hour(measure, start_up=False):.0f}",
            "wall, s": f"{measure.wall_seconds:.1f}",
            "before the first fit, s": f"{first_fit(measure):.1f}",
            "in fit, %": _percent(share_in_fit(measure, measure.ended)),
            "while there was work, %": _percent(share_in_fit(measure, ran_dry(measure))),
            "processors busy, %": _percent(busy),
            "best validation accuracy, %": f"{100 * best(measure):.2f}",
        }


def _overhead(kept: Kept, family: str) -> Iterator[str]:
    """What the suite costs beside `fit`; equal scores show that both did the same work."""
    suite, bare = (kept.all(family, side) for side in LOOPS)
    scores = [[fit.validation_accuracy for each in side for fit in each.fits] for side in (suite, bare)]
    seconds = [[seconds_a_trial(each) for each in side] for side in (suite, bare)]
    more = median(seconds[0]) / median(seconds[1]) - 1
    yield (
        f"{family} in {'bfloat16' if _has_bfloat16(kept) else 'float32'}, one trial at a time with one thread, "
        f"{len(suite[0].fits) - 1} trials a turn after one that warms up. The suite with one worker takes "
        f"{_percent(abs(more))} % {'less' if more < 0 else 'longer'}, by the medians, than a bare loop that "
        f"builds each model and calls `fit` with the same batches (aim: below {100 * AIM_OVERHEAD:.0f} %). Their "
        f"validation accuracies are {'equal' if scores[0] == scores[1] else 'NOT equal'} after every epoch."
    )
    yield _table(
        {
            "turn": str(each.turn),
            "suite, s a trial": f"{ours:.3f}",
            "bare loop, s a trial": f"{loop:.3f}",
            "longer by, %": f"{100 * (ours / loop - 1):.1f}",
        }
        for each, ours, loop in zip(suite, *seconds, strict=True)
    )


def _percent(share: float) -> str:
    return f"{100 * share:.1f}"


def _table(rows: Iterator[dict[str, str]]) -> str:
    import pandas as pd

    from bench.report.markdown import table

    return table(pd.DataFrame(rows))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--families", nargs="+", default=["dense", "cnn"], help="overhead is measured with the first")
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--trials", type=int, default=16, help="at least 2")
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--dataset", default="fashion_mnist")
    parser.add_argument("--data-dir", type=Path, help="look for the dataset here first")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--results", type=Path, default=Path("results/benchmarks"), help="where JSON and page are kept")
    parser.add_argument("--job", type=Path, help=argparse.SUPPRESS)  # what this script gives the processes it starts
    given = parser.parse_args()
    if given.trials < 2:
        parser.error("overhead is measured from the second trial on")
    _child(given.job) if given.job else main(given)
