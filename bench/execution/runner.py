"""Execute specs: assign folders, load data, start workers, then train until every run has its record."""

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import astuple, replace
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING

import numpy as np

from bench.baselines.catalog import unsuitable
from bench.data.dataset import Notify
from bench.data.development import facts, load_development
from bench.errors import RecordError, SearchError, SpecError
from bench.execution.events import Message, Outcome, Report, RunFinished
from bench.execution.folders import Assignment, assign, locked, resume_in
from bench.execution.options import Options
from bench.execution.preconditions import check_data, check_environment, check_versions, rejection
from bench.execution.reproduction import settle_interrupted
from bench.execution.workers import Workers, cluster_workers, local_workers, resume_hint
from bench.machine import Environment, environment
from bench.records.dataset import DatasetFacts
from bench.records.files import check_writable
from bench.records.spec import ReferenceSpec, RunSpec, SearchSpec
from bench.records.store import RunFolder, all_folders, now
from bench.signals import defer_signals
from bench.workers import tasks as worker
from bench.workers.fork_server import StartMethod, fork_server

if TYPE_CHECKING:
    from bench.execution.active_run import ActiveRun
    from bench.execution.session import Session
    from bench.execution.tuner_process import RemoteTuner


def run(choose: Callable[[Notify], Sequence[RunSpec]], options: Options, report: Report) -> tuple[Outcome, ...]:
    """Run specs, all on one dataset, with the same workers; results of earlier sessions are reused.

    A KeyboardInterrupt stops the workers; completed trials and refits are kept.

    Args:
        choose: returns the specs; given a function that it calls with messages.
        options: of all runs.
        report: called with messages, progress and outcomes.

    Raises:
        BenchError: for a reason that the user can fix; completed trials and refits are kept.
    """
    with fork_server() as start_method:  # it imports TensorFlow in the meantime
        specs = choose(lambda line: report(Message(text=line)))
        _check_dataset(specs, options)
        check_writable(options.results)
        settle_interrupted(options.results, report)
        assignments = [assign(options.results, spec, again=options.again) for spec in specs]
        return _execute(assignments, options, start_method, report)


def resume(folders: Sequence[RunFolder], options: Options, report: Report) -> tuple[Outcome, ...]:
    """Resume unfinished runs of one dataset.

    Raises:
        BenchError: for a reason that the user can fix; completed trials and refits are kept.
    """
    with fork_server() as start_method:
        check_writable(options.results)
        settle_interrupted(options.results, report)
        return _execute([resume_in(folder) for folder in folders], options, start_method, report)


def _check_dataset(specs: Sequence[RunSpec], options: Options) -> None:
    for spec in specs:
        if (spec.dataset, spec.data) != (options.dataset.name, options.dataset.digest):
            raise SpecError(
                f"{spec.name}: the spec names the dataset {spec.dataset!r} with digest {spec.data}, the options "
                f"{options.dataset.name!r} with digest {options.dataset.digest}: both must be the same"
            )


def _execute(
    assignments: Sequence[Assignment], options: Options, start_method: StartMethod, report: Report
) -> tuple[Outcome, ...]:
    started, start = now(), perf_counter()
    local = environment()
    check_versions(local)
    with ExitStack() as stack:
        complete, to_train = _lock(assignments, stack)
        for outcome in complete:
            report(outcome)
        if not to_train:
            return tuple(complete)
        _report_context(options.results, to_train, report)
        dataset, shared_bytes = _read_data(options, report)
        to_train = _possible(to_train, dataset, report)
        hint = resume_hint(options.results)
        if options.scheduler is None:
            _check_environments(to_train, local)
            starting = local_workers(
                options.workers, local, start_method=start_method, shared_bytes=shared_bytes, report=report, hint=hint
            )
        else:
            starting = _cluster_workers(
                options.scheduler,
                to_train,
                options,
                dataset=dataset,
                local=local,
                start_method=start_method,
                report=report,
                hint=hint,
            )
        workers = stack.enter_context(starting)
        with defer_signals():
            from bench.execution.scheduling import work
            from bench.execution.session import Session
            from bench.execution.tuner_process import TunerProcess

        session = Session(
            options=replace(options, workers=workers.number),
            dataset=dataset,
            environment=workers.environment,
            started=started,
            start=start,
            report=report,
            tuner_process=stack.enter_context(closing(TunerProcess(workers.start_method, hint))),
        )
        runs = _start_runs(to_train, session)
        work(runs, workers.executor, report)
        return (*complete, *(run.outcome for run in runs if run.outcome is not None))


def _lock(assignments: Sequence[Assignment], stack: ExitStack) -> tuple[list[RunFinished], list[Assignment]]:
    """Lock the run folders until `stack` is closed; separate complete runs from those to train."""
    complete, to_train = [], []
    for assignment in assignments:
        folder = assignment.folder
        if not folder.finished:
            stack.enter_context(locked(folder))
        if folder.finished:  # possibly by the process that held the lock
            folder.read_predictions(folder.read_record())  # a damaged run is not complete
            complete.append(RunFinished(folder=folder, trained=False))
        else:
            to_train.append(assignment)
    return complete, to_train


def _report_context(results: Path, to_train: Sequence[Assignment], report: Report) -> None:
    """Report which runs are reproduced, and other unfinished runs of the same models."""
    for assignment in to_train:
        if assignment.note is not None:
            report(Message(text=assignment.note))
        if assignment.published is not None:
            report(Message(text=f"Reproducing the published run {assignment.published.run_id}"))
    for text in _other_unfinished(results, to_train):
        report(Message(text=text))


def _other_unfinished(results: Path, to_train: Sequence[Assignment]) -> Iterator[str]:
    own = [assignment.folder.path for assignment in to_train]
    for folder in all_folders(results):
        if folder.finished or folder.path in own or folder.in_use:
            continue
        try:
            other = folder.read_spec()
        except RecordError as error:
            yield f"An unfinished run cannot be read: {error}"
            continue
        for spec in (assignment.spec for assignment in to_train):
            if (other.dataset, other.model) == (spec.dataset, spec.model) and other != spec:
                fields = ", ".join(f"{name} {value!r}" for name, (_, value) in spec.differences(other).items())
                yield f"Another run is unfinished: {folder.run_id} with {fields}"


@contextmanager
def _cluster_workers(
    scheduler: str,
    to_train: Sequence[Assignment],
    options: Options,
    *,
    dataset: DatasetFacts,
    local: Environment,
    start_method: StartMethod,
    report: Report,
    hint: str,
) -> Iterator[Workers]:
    """Workers of the user's cluster that have the same code and data."""
    specs = [assignment.spec for assignment in to_train]
    models = tuple(spec.model if isinstance(spec, ReferenceSpec) else options.family(spec) for spec in specs)
    sources = {spec.model: spec.source for spec in specs}
    info = partial(worker.worker_info, models, options.dataset)
    check = partial(rejection, local=local, sources=sources, checksum=dataset.checksum)
    with cluster_workers(scheduler, info, check, start_method=start_method, report=report, hint=hint) as workers:
        _check_environments(to_train, workers.environment)
        yield workers


def _check_environments(to_train: Sequence[Assignment], trained_on: Environment) -> None:
    for assignment in to_train:
        check_environment(assignment.folder, trained_on)


def _read_data(options: Options, report: Report) -> tuple[DatasetFacts, int]:
    """The facts of the dataset, and the bytes of its images that all workers map into memory."""
    data = load_development(options.dataset, lambda line: report(Message(text=line)))
    dataset = facts(options.dataset, data)
    report(
        Message(
            text=f"Data: {dataset.title}, {dataset.n_train:,} training, {dataset.n_validation:,} validation and "
            f"{dataset.n_test:,} test images, from {data.source}"
        )
    )
    if dataset.duplicates is not None and any(astuple(dataset.duplicates)):
        report(Message(text=f"Exact duplicates: {dataset.duplicates.text}"))
    is_mapped = isinstance(data.images, np.memmap)
    return dataset, (len(data) + dataset.n_test) * math.prod(dataset.image_shape) if is_mapped else 0


def _possible(to_train: Sequence[Assignment], dataset: DatasetFacts, report: Report) -> list[Assignment]:
    """The runs that are possible on the dataset.

    Raises:
        SearchError: none is possible, or a run was started with other data.
    """
    possible, skipped = [], []
    for assignment in to_train:
        check_data(assignment.folder, dataset)
        spec = assignment.spec
        reason = unsuitable(spec.model, dataset) if isinstance(spec, ReferenceSpec) else None
        if reason is None:
            possible.append(assignment)
        else:
            skipped.append(reason)
    if not possible:
        raise SearchError("\n".join(skipped))
    for reason in skipped:
        report(Message(text=f"Skipped: {reason}"))
    return possible


def _start_runs(to_train: Sequence[Assignment], session: "Session") -> list["ActiveRun"]:
    """Start or resume runs.

    Raises:
        SearchError: a run cannot start.
    """
    from bench.execution.active_run import ActiveRun

    # All tuners before any run is written, since a family may fail.
    tuners = [_start_tuner(assignment.spec, session) for assignment in to_train]
    runs: list[ActiveRun] = []
    for assignment, tuner in zip(to_train, tuners, strict=True):
        published = _with_same_data(assignment.published, session)
        runs.append(ActiveRun(assignment.spec, assignment.folder, session, published, tuner, waits=bool(runs)))
        session.report(Message(text=runs[-1].introduction))
    return runs


def _start_tuner(spec: RunSpec, session: "Session") -> "RemoteTuner | None":
    """The tuner of a search; None for a reference model."""
    if not isinstance(spec, SearchSpec):
        return None
    return session.tuner_process.start(spec, session.dataset, session.options.family(spec), session.report)


def _with_same_data(published: RunFolder | None, session: "Session") -> RunFolder | None:
    """`published`, unless it was trained on other data."""
    if published is None or not session.dataset.differences(published.read_record().dataset):
        return published
    session.report(
        Message(text=f"The data differs from that of the published run {published.run_id}: starting a new run")
    )
    return None
