"""The one place that joins the steps of a run: data, workers, search, refits, judging, record."""

import time
from collections import deque
from collections.abc import Generator, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench import worker
from bench.data.development import development, facts
from bench.environment import environment
from bench.events import Event, Finished, Message
from bench.record import DatasetFacts
from bench.search.engine import Engine, Epoch, Failed
from bench.spec import RunSpec
from bench.store import RunFolder, all_folders, check_writable, now, run_folder

if TYPE_CHECKING:
    from bench.family_run import FamilyRun
    from bench.stages import Stage, Task
    from bench.tally import Tally

POLL_SECONDS = 0.5
# Search first: the refits of one family fill the gaps that the search of the next leaves.
PRIORITY = ("search", "refit", "judge")
MOST_ATTEMPTS = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """How runs are carried out; nothing here changes a number."""

    results: Path
    workers: int
    data_dir: Path | None = None
    again: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class _UnderWay:
    """A task that a worker has."""

    run: "FamilyRun"
    stage: "Stage"
    task: "Task"
    attempts: int = 1

    @property
    def key(self) -> str:
        return f"{self.run.folder.path.name}/{self.task.name}"


def run(specs: Sequence[RunSpec], options: Options) -> Iterator[Event]:
    """Carry out `specs`, all of one dataset, side by side; what an earlier session did is not done again.

    Closing the iterator ends the workers and keeps what is done.

    Raises:
        BenchError: a reason the user can mend; what is done is kept.
    """
    check_writable(options.results)
    folders = [choose_folder(options.results, spec, options.again) for spec in specs]
    yield from (Finished(folder=folder, trained=False) for folder in folders if folder.finished)
    to_do = [(spec, folder) for spec, folder in zip(specs, folders, strict=True) if not folder.finished]
    if not to_do:
        return
    began, start = now(), time.perf_counter()
    with ExitStack() as stack:
        yield Message(text=f"Starting {options.workers} worker processes")
        engine = Engine(options.workers)
        stack.callback(engine.close)
        # The workers import TensorFlow while this process reads the data and does the same.
        engine.prepare(worker.warm_up)
        dataset = yield from _read_data(to_do[0][0].dataset, options.data_dir)
        worker.warm_up()
        from bench.family_run import FamilyRun
        from bench.tally import Tally

        runs = []
        for spec, folder in to_do:
            yield from _other_specs(options.results, spec)
            family_run = FamilyRun(spec, folder, dataset, environment())
            stack.callback(family_run.close)
            runs.append(family_run)
        tally = Tally(options.workers)
        for family_run in runs:
            plan = family_run.start(space(family_run.spec, dataset), options.results, options.data_dir, began)
            tally.add(family_run, plan)
            yield Message(text=tally.introduction(family_run))
        yield from _work(runs, engine, options, tally, start)


def space(spec: RunSpec, dataset: DatasetFacts) -> Any:
    """The search space of a family on the images of `dataset`, as Keras Tuner's HyperParameters."""
    worker.warm_up()
    from bench.search.training import space as build_space

    return build_space(spec.family, dataset.image_shape, len(dataset.class_names))


def choose_folder(results: Path, spec: RunSpec, again: bool) -> RunFolder:
    """The folder of `spec`: its newest repetition, or with `again` a new one where that is finished."""
    repeat = 1
    while run_folder(results, spec, repeat + 1).path.exists():
        repeat += 1
    folder = run_folder(results, spec, repeat)
    return run_folder(results, spec, repeat + 1) if again and folder.path.exists() else folder


def _read_data(name: str, data_dir: Path | None) -> Generator[Event, None, DatasetFacts]:
    lines: list[str] = []
    data = development(name, data_dir, lines.append)
    for line in lines:
        yield Message(text=line)
    found = facts(data)
    yield Message(
        text=f"Data: {found.title}, {found.n_train:,} images to train, {found.n_validation:,} to validate, "
        f"{found.n_test:,} sealed, from {data.source}"
    )
    return found


def _other_specs(results: Path, spec: RunSpec) -> Iterator[Event]:
    """Name unfinished runs of the same dataset and family that another spec began."""
    for folder in all_folders(results):
        if folder.finished or not folder.spec_file.exists():
            continue
        other = folder.read_spec()
        if (other.dataset, other.family) == (spec.dataset, spec.family) and other != spec:
            fields = ", ".join(f"{name} {there!r}" for name, (_, there) in spec.differences(other).items())
            yield Message(text=f"Unfinished beside this run: {folder.path.name} with {fields}")


def _work(
    runs: Sequence["FamilyRun"], engine: Engine, options: Options, tally: "Tally", start: float
) -> Iterator[Event]:
    under_way: dict[str, _UnderWay] = {}
    retries: deque[_UnderWay] = deque()
    left = list(runs)
    for family_run in left:
        family_run.advance()
        yield tally.progress(family_run)
    while left:
        while engine.idle() and (item := retries.popleft() if retries else _next(left)) is not None:
            under_way[item.key] = item
            engine.submit(item.key, item.task.function, *item.task.arguments)
        event = engine.next_event(POLL_SECONDS)
        if event is None:
            engine.check()
            continue
        item = under_way[event.key]
        if isinstance(event, Epoch):
            tally.take_epoch(item.run, item.task, event)
            yield tally.progress(item.run)
            continue
        del under_way[event.key]
        if isinstance(event, Failed) and event.worker_died and item.attempts < MOST_ATTEMPTS:
            retries.append(replace(item, attempts=item.attempts + 1))
            yield Message(text=f"A worker died in {item.task.name} of {item.run.spec.family}; trying it once more")
            continue
        item.stage.take(item.task.name, event, time.perf_counter() - start)
        tally.take_end(item.run, item.task)
        item.run.advance()
        yield tally.progress(item.run)
        if item.run.judged:
            item.run.write_record(options.workers)
            left.remove(item.run)
            yield Finished(folder=item.run.folder, trained=True)


def _next(runs: Sequence["FamilyRun"]) -> _UnderWay | None:
    for stage in PRIORITY:
        for family_run in runs:
            if family_run.stage.name == stage and (task := family_run.stage.next_task()) is not None:
                return _UnderWay(run=family_run, stage=family_run.stage, task=task)
    return None
