"""The one place that joins the steps of a run: data, workers, search, refits, judging, record."""

import shutil
import time
from collections.abc import Generator, Iterator, Sequence
from contextlib import ExitStack, suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from queue import SimpleQueue
from threading import Thread
from typing import TYPE_CHECKING, Any

from filelock import FileLock

from bench.baselines.catalog import unsuitable
from bench.data.dataset import Dataset
from bench.data.development import development, facts
from bench.errors import RecordError, SearchError
from bench.execution.compatibility import Admission, check_data, check_environment, check_versions
from bench.execution.events import Event, Finished, Message
from bench.execution.options import Options
from bench.execution.scheduling import work
from bench.machine import Environment, environment, usable_cores
from bench.records.files import check_writable
from bench.records.record import DatasetFacts
from bench.records.spec import RunSpec
from bench.records.store import RunFolder, all_folders, now, run_folder
from bench.workers import tasks as worker
from bench.workers.executor import Engine, describe
from bench.workers.pools import LocalPool, Pool, RemotePool

if TYPE_CHECKING:
    from bench.execution.active_run import ActiveRun


def run(specs: Sequence[RunSpec], options: Options) -> Iterator[Event]:
    """Carry out `specs`, all of one dataset, side by side; what an earlier session did is not done again.

    Closing the iterator ends the workers and keeps what is done.

    Raises:
        BenchError: a reason the user can mend; what is done is kept.
    """
    began, start = now(), time.perf_counter()
    check_writable(options.results)
    machine = environment()
    check_versions(machine)
    with ExitStack() as stack:
        to_do = yield from _lock(specs, options, stack)
        if not to_do:
            return
        if options.scheduler is None:
            _check_environments(to_do, machine)
        yield from _other_specs(options.results, to_do)
        if options.scheduler is None:
            pool, dataset = yield from _start_here(to_do, options, stack)
        else:
            pool, dataset, machine = yield from _start_elsewhere(to_do, options, stack, machine)
            _check_environments(to_do, machine)
            options = replace(options, workers=len(pool.addresses()))
        engine = Engine(pool)
        worker.warm_up()
        from bench.execution.eta import ProgressTracker
        from bench.execution.reference_run import ReferenceRun
        from bench.execution.search_run import FamilyRun

        runs: list[ActiveRun] = []
        left_out = []
        tally = ProgressTracker(options.workers)
        for spec, folder in to_do:
            check_data(folder, dataset)
            if spec.fixed and (reason := unsuitable(spec.family, dataset)) is not None:
                left_out.append(reason)
                yield Message(text=f"Left out: {reason}")
                continue
            if spec.fixed:
                reference = ReferenceRun(spec, folder, dataset, machine)
                reference.start(options, began)
                tally.add(reference, None)
                runs.append(reference)
            else:
                family = FamilyRun(spec, folder, dataset, machine)
                stack.callback(family.close)
                tally.add(family, family.start(space(spec, dataset), options, began, tally.clock(family, start)))
                runs.append(family)
            yield Message(text=tally.introduction(runs[-1]))
        if not runs:
            raise SearchError("\n".join(left_out))
        yield from work(runs, engine, tally, start)


def _check_environments(to_do: Sequence[tuple[RunSpec, RunFolder]], machine: Environment) -> None:
    for _, folder in to_do:
        check_environment(folder, machine)


def _start_here(
    to_do: Sequence[tuple[RunSpec, RunFolder]], options: Options, stack: ExitStack
) -> Generator[Event, None, tuple[Pool, DatasetFacts]]:
    """Start workers on this machine; they import TensorFlow while this process reads the data and does the same."""
    cores = usable_cores()
    share = f", which share {cores} cores" if options.workers > cores else ""
    yield Message(text=f"Starting {options.workers} worker processes{share}")
    pool = LocalPool(options.workers, worker.warm_up)
    stack.callback(pool.close)
    return pool, (yield from _read_data(to_do[0][0].dataset, options.data_dir))


def _start_elsewhere(
    to_do: Sequence[tuple[RunSpec, RunFolder]], options: Options, stack: ExitStack, here: Environment
) -> Generator[Event, None, tuple[Pool, DatasetFacts, Environment]]:
    """Find workers on the user's cluster that are like this process; the environment is theirs."""
    specs = [spec for spec, _ in to_do]
    dataset = yield from _read_data(specs[0].dataset, options.data_dir)
    yield Message(text=f"Asking the workers of {options.scheduler} what they are")
    admission = Admission(here, specs, dataset)
    worker_info = partial(worker.worker_info, [spec.family for spec in specs], specs[0].dataset, options.data_dir)
    pool = RemotePool(options.scheduler or "", worker_info, admission.refuse)
    stack.callback(pool.close)
    yield from (Message(text=line) for line in pool.news())
    yield Message(text=f"Using {len(pool.addresses())} workers")
    return pool, dataset, admission.environment or here


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
