"""The one place that joins the steps of a run: data, workers, search, refits, judging, record."""

import shutil
import time
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from queue import SimpleQueue
from threading import Thread
from typing import TYPE_CHECKING, Any

from filelock import FileLock

from bench import worker
from bench.conditions import check_data, check_environment
from bench.data.dataset import Dataset
from bench.data.development import development, facts
from bench.environment import environment
from bench.errors import RecordError, SearchError
from bench.events import Event, Finished, GaveUp, Message
from bench.files import check_writable
from bench.record import DatasetFacts
from bench.search.engine import Done, Engine, Epoch, Failed, describe
from bench.spec import RunSpec
from bench.store import RunFolder, all_folders, now, run_folder

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

    def is_to_be_retried_after(self, end: Done | Failed) -> bool:
        """Whether it was not the task's own fault, for all that is known."""
        return isinstance(end, Failed) and end.worker_died and self.attempts < MOST_ATTEMPTS


def run(specs: Sequence[RunSpec], options: Options) -> Iterator[Event]:
    """Carry out `specs`, all of one dataset, side by side; what an earlier session did is not done again.

    Closing the iterator ends the workers and keeps what is done.

    Raises:
        BenchError: a reason the user can mend; what is done is kept.
    """
    began, start = now(), time.perf_counter()
    check_writable(options.results)
    machine = environment()
    with ExitStack() as stack:
        to_do = yield from _lock(specs, options, stack)
        if not to_do:
            return
        for _, folder in to_do:
            check_environment(folder, machine)
        yield from _other_specs(options.results, to_do)
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
            check_data(folder, dataset)
            family_run = FamilyRun(spec, folder, dataset, machine)
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
    import search_spaces

    try:
        return search_spaces.load(spec.family)(dataset.image_shape, len(dataset.class_names)).space()
    except Exception as error:
        raise SearchError(f"family {spec.family!r} cannot be built for {dataset.name}: {describe(error)}") from error


def choose_folder(results: Path, spec: RunSpec, again: bool) -> RunFolder:
    """The folder of `spec`: its newest repetition, or with `again` a new one where that is finished."""
    repeat = 1
    while run_folder(results, spec, repeat + 1).path.exists():
        repeat += 1
    folder = run_folder(results, spec, repeat)
    return run_folder(results, spec, repeat + 1) if again and folder.path.exists() else folder


def _lock(
    specs: Sequence[RunSpec], options: Options, stack: ExitStack
) -> Generator[Event, None, list[tuple[RunSpec, RunFolder]]]:
    """Lock the folders of `specs` until `stack` is closed; what is to do, without what is finished."""
    to_do = []
    for spec in specs:
        folder = choose_folder(options.results, spec, options.again)
        if not folder.finished:
            stack.callback(_unlock, folder, folder.lock())
        if folder.finished:  # perhaps just now, by the process that had the lock
            folder.read_predictions(folder.read_record())  # a damaged one is named, not called finished
            yield Finished(folder=folder, trained=False)
        else:
            to_do.append((spec, folder))
    return to_do


def _unlock(folder: RunFolder, lock: FileLock) -> None:
    """Let go of a folder, and remove it where the run could not begin."""
    if not folder.spec_file.exists():
        shutil.rmtree(folder.path, ignore_errors=True)
        with suppress(OSError):  # others' runs are in them
            folder.path.parent.rmdir()
            folder.path.parent.parent.rmdir()
    lock.release()


def _read_data(name: str, data_dir: Path | None) -> Generator[Event, None, DatasetFacts]:
    """The facts of a dataset; what it says of a long download is told at once, not afterwards."""
    said: SimpleQueue[str | Dataset | Exception] = SimpleQueue()

    def read() -> None:
        try:
            said.put(development(name, data_dir, said.put))
        except Exception as error:  # noqa: BLE001 - raised where it is awaited
            said.put(error)

    Thread(target=read, daemon=True).start()
    while isinstance(data := said.get(), str):
        yield Message(text=data)
    if isinstance(data, Exception):
        raise data
    found = facts(data)
    yield Message(
        text=f"Data: {found.title}, {found.n_train:,} images to train, {found.n_validation:,} to validate, "
        f"{found.n_test:,} sealed, from {data.source}"
    )
    return found


def _other_specs(results: Path, to_do: Sequence[tuple[RunSpec, RunFolder]]) -> Iterator[Event]:
    """Name unfinished runs of the same dataset and families that other specs began."""
    mine = [folder.path for _, folder in to_do]
    for folder in all_folders(results):
        if folder.finished or folder.path in mine:
            continue
        try:
            other = folder.read_spec()
        except RecordError as error:
            yield Message(text=f"Another run cannot be read: {error}")
            continue
        for spec, _ in to_do:
            if (other.dataset, other.family) == (spec.dataset, spec.family) and other != spec:
                fields = ", ".join(f"{name} {there!r}" for name, (_, there) in spec.differences(other).items())
                yield Message(text=f"Unfinished beside this run: {folder.path.name} with {fields}")


def _work(
    runs: Sequence["FamilyRun"], engine: Engine, options: Options, tally: "Tally", start: float
) -> Iterator[Event]:
    under_way: dict[str, _UnderWay] = {}
    retries: deque[_UnderWay] = deque()
    left = list(runs)
    for family_run in runs:
        yield from _go_on(family_run, left, tally, options)
    while left:
        while engine.idle() and (item := retries.popleft() if retries else _next(left)) is not None:
            under_way[item.key] = item
            engine.submit(item.key, item.task.function, *item.task.arguments)
        event = engine.next_event(POLL_SECONDS)
        if event is None:
            engine.check()
        elif isinstance(event, Epoch):
            item = under_way[event.key]
            tally.take_epoch(item.run, item.task, event)
            yield tally.progress(item.run)
        elif (item := under_way.pop(event.key)).is_to_be_retried_after(event):
            retries.append(replace(item, attempts=item.attempts + 1))
            yield Message(text=f"A worker died in {item.task.name} of {item.run.spec.family}; trying it once more")
        else:
            tally.take_end(item.run, item.task)
            take = partial(item.stage.take, item.task.name, event, time.perf_counter() - start)
            yield from _go_on(item.run, left, tally, options, take)


def _go_on(
    run: "FamilyRun",
    left: list["FamilyRun"],
    tally: "Tally",
    options: Options,
    take: Callable[[], None] = lambda: None,
) -> Iterator[Event]:
    """Let `run` take a result, and go to the next stage; it leaves `left` with its record, or where it cannot end."""
    try:
        take()
        run.advance()
    except SearchError as error:
        if run in left:
            left.remove(run)
            yield GaveUp(folder=run.folder, reason=str(error))
        return
    yield tally.progress(run)
    if run.judged:
        run.write_record(options.workers)
        left.remove(run)
        yield Finished(folder=run.folder, trained=True)


def _next(runs: Sequence["FamilyRun"]) -> _UnderWay | None:
    for stage in PRIORITY:
        for family_run in runs:
            if family_run.stage.name == stage and (task := family_run.stage.next_task()) is not None:
                return _UnderWay(run=family_run, stage=family_run.stage, task=task)
    return None
