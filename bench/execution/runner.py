"""Run specs from start to record: folders, data, workers, then the polling loop."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any

import search_spaces
from bench.baselines.catalog import unsuitable
from bench.data.development import facts, load_development
from bench.errors import RecordError, SearchError
from bench.execution.compatibility import check_data, check_environment, check_versions, refusal
from bench.execution.events import Message, Outcome, Report, RunFinished
from bench.execution.folders import Assignment, assign, locked, resume_in
from bench.execution.options import Options
from bench.execution.reproduction import settle_interrupted
from bench.machine import Environment, environment, usable_cores
from bench.records.files import check_writable
from bench.records.record import DatasetFacts
from bench.records.spec import RunSpec, SearchSpec
from bench.records.store import RunFolder, all_folders, now
from bench.workers import tasks as worker

if TYPE_CHECKING:
    from bench.execution.active_run import ActiveRun, Session
    from bench.workers.executor import Executor


def run(specs: Sequence[RunSpec], options: Options, report: Report) -> tuple[Outcome, ...]:
    """Run `specs`, all on one dataset, with the same workers; what earlier sessions trained is not trained again.

    A KeyboardInterrupt stops the workers and keeps what is trained.

    Raises:
        BenchError: for a reason that the user can fix; what is trained is kept.
    """
    check_writable(options.results)
    settle_interrupted(options.results, report)
    return _execute([assign(options.results, spec, again=options.again) for spec in specs], options, report)


def resume(folders: Sequence[RunFolder], options: Options, report: Report) -> tuple[Outcome, ...]:
    """Resume unfinished runs of one dataset.

    Raises:
        BenchError: for a reason that the user can fix; what is trained is kept.
    """
    check_writable(options.results)
    settle_interrupted(options.results, report)
    return _execute([resume_in(folder) for folder in folders], options, report)


def _execute(assignments: Sequence[Assignment], options: Options, report: Report) -> tuple[Outcome, ...]:
    started, start = now(), perf_counter()
    here = environment()
    check_versions(here)
    with ExitStack() as stack:
        complete, to_train = _lock(assignments, stack)
        for outcome in complete:
            report(outcome)
        if not to_train:
            return tuple(complete)
        _report_context(options.results, to_train, report)
        executor, dataset, trained_on, options = _start_workers(to_train, options, here, stack, report)
        worker.import_libraries()
        from bench.execution.active_run import Session
        from bench.execution.scheduling import work

        session = Session(
            options=options, dataset=dataset, environment=trained_on, started=started, start=start, report=report
        )
        runs = _start_runs(to_train, session)
        work(runs, executor, report)
        return (*complete, *(run.outcome for run in runs if run.outcome is not None))


def _lock(assignments: Sequence[Assignment], stack: ExitStack) -> tuple[list[RunFinished], list[Assignment]]:
    """Lock the folders of runs until `stack` is closed; separate complete runs from those to train."""
    complete, to_train = [], []
    for assignment in assignments:
        folder = assignment.folder
        if not folder.finished:
            stack.enter_context(locked(folder))
        if folder.finished:  # perhaps a moment ago, by the process that had the lock
            folder.read_predictions(folder.read_record())  # a damaged run must not be called complete
            complete.append(RunFinished(folder=folder, trained=False))
        else:
            to_train.append(assignment)
    return complete, to_train


def _report_context(results: Path, to_train: Sequence[Assignment], report: Report) -> None:
    """Say what is reproduced, and name unfinished runs of the same models with other specs."""
    for assignment in to_train:
        if assignment.note is not None:
            report(Message(text=assignment.note))
        if assignment.published is not None:
            report(Message(text=f"Reproducing the published run {assignment.published.path.name}"))
    for text in _other_unfinished(results, to_train):
        report(Message(text=text))


def _other_unfinished(results: Path, to_train: Sequence[Assignment]) -> Iterator[str]:
    own = [assignment.folder.path for assignment in to_train]
    for folder in all_folders(results):
        if folder.finished or folder.path in own:
            continue
        try:
            other = folder.read_spec()
        except RecordError as error:
            yield f"An unfinished run cannot be read: {error}"
            continue
        for spec in (assignment.spec for assignment in to_train):
            if (other.dataset, other.model) == (spec.dataset, spec.model) and other != spec:
                fields = ", ".join(f"{name} {there!r}" for name, (_, there) in spec.differences(other).items())
                yield f"There is another unfinished run: {folder.path.name} with {fields}"


def _start_workers(
    to_train: Sequence[Assignment], options: Options, here: Environment, stack: ExitStack, report: Report
) -> tuple["Executor", DatasetFacts, Environment, Options]:
    """Start workers here or find them on the user's cluster; returns their environment and number in the options."""
    from bench.workers.executor import Executor

    if options.scheduler is None:
        from bench.workers.local import LocalPool

        _check_environments(to_train, here)
        cores = usable_cores()
        shared = f", which share {cores} cores" if options.workers > cores else ""
        report(Message(text=f"Starting {options.workers} worker processes{shared}"))
        # They import TensorFlow while this process reads the data.
        pool = LocalPool(options.workers, worker.prepare_worker)
        stack.callback(pool.close)
        return Executor(pool), _read_data(options, report), here, options

    from bench.workers.cluster import ClusterPool

    dataset = _read_data(options, report)
    report(Message(text=f"Checking the workers of {options.scheduler}"))
    sources = {assignment.spec.model: assignment.spec.source for assignment in to_train}
    cluster = ClusterPool(
        options.scheduler,
        partial(worker.worker_info, tuple(sources), options.dataset),
        partial(refusal, here=here, sources=sources, checksum=dataset.checksum),
    )
    stack.callback(cluster.close)
    executor = Executor(cluster)
    for line in executor.messages():
        report(Message(text=line))
    workers = len(cluster.addresses())
    report(Message(text=f"Using {workers} workers"))
    trained_on = cluster.admitted[0].environment
    _check_environments(to_train, trained_on)
    return executor, dataset, trained_on, replace(options, workers=workers)


def _check_environments(to_train: Sequence[Assignment], trained_on: Environment) -> None:
    for assignment in to_train:
        check_environment(assignment.folder, trained_on)


def _read_data(options: Options, report: Report) -> DatasetFacts:
    data = load_development(options.dataset, lambda line: report(Message(text=line)))
    dataset = facts(options.dataset, data)
    report(
        Message(
            text=f"Data: {dataset.title}, {dataset.n_train:,} training, {dataset.n_validation:,} validation and "
            f"{dataset.n_test:,} test images, from {data.source}"
        )
    )
    return dataset


def _start_runs(to_train: Sequence[Assignment], session: "Session") -> list["ActiveRun"]:
    """Open every run that the dataset suits.

    Raises:
        SearchError: it suits none of them, or a run cannot start.
    """
    from bench.execution.reference_run import ReferenceRun
    from bench.execution.search_run import SearchRun

    runs: list[ActiveRun] = []
    left_out = []
    for assignment in to_train:
        spec, folder = assignment.spec, assignment.folder
        check_data(folder, session.dataset)
        published = _with_same_data(assignment.published, session)
        if isinstance(spec, SearchSpec):
            runs.append(SearchRun(spec, folder, session, published, space(spec, session.dataset)))
        elif (reason := unsuitable(spec.model, session.dataset)) is not None:
            left_out.append(reason)
            session.report(Message(text=f"Left out: {reason}"))
            continue
        else:
            runs.append(ReferenceRun(spec, folder, session, published))
        session.report(Message(text=runs[-1].introduction))
    if not runs:
        raise SearchError("\n".join(left_out))
    return runs


def _with_same_data(published: RunFolder | None, session: "Session") -> RunFolder | None:
    """`published`, unless it was trained on other data."""
    if published is None or published.read_record().dataset == session.dataset:
        return published
    session.report(
        Message(text=f"The data differs from that of the published {published.path.name}: this is a new run")
    )
    return None


def space(spec: SearchSpec, dataset: DatasetFacts) -> Any:
    """The search space of a family for the images of `dataset`, as Keras Tuner's HyperParameters.

    Raises:
        SearchError: the family cannot be loaded or does not fit the images.
    """
    worker.import_libraries()
    from bench.workers.executor import describe

    try:
        return search_spaces.load(spec.family)(dataset.image_shape, len(dataset.class_names)).space()
    except Exception as error:
        raise SearchError(f"family {spec.family!r} cannot be built for {dataset.name}: {describe(error)}") from error
