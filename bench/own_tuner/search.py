"""Search with a user's own tuner: replay the ledger, train on workers, and leave what Keras Tuner would have left."""

import warnings
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager, suppress
from copy import copy
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any

from bench import compat
from bench.errors import SearchError
from bench.execution.events import Report
from bench.execution.preconditions import check_versions
from bench.execution.scheduling import work
from bench.machine import environment, usable_cores
from bench.own_tuner import requirements
from bench.own_tuner.builder import Builder
from bench.own_tuner.identity import FIX, space_digest
from bench.own_tuner.job import FatalTrialError, SearchJob
from bench.own_tuner.ledger import SessionStarted
from bench.own_tuner.project import Project
from bench.own_tuner.result import SearchResult
from bench.own_tuner.scores import Scores
from bench.own_tuner.sequence import TrialSequence
from bench.own_tuner.shared import Shared
from bench.own_tuner.source import TunerSource
from bench.own_tuner.start import Resumed, start_or_resume
from bench.own_tuner.workers import cluster_workers, local_workers
from bench.records.spec import Precision
from bench.records.store import now
from bench.training.own_tuner import payload
from bench.training.own_tuner.content import Content
from bench.training.own_tuner.exchange import Config

if TYPE_CHECKING:
    from bench.workers.executor import Executor

# By whether proposals need results. If they do not, any number of trials may be trained at once; otherwise as many as
# by the tuner `bayesian` of this package.
MAX_PENDING = {False: 32, True: 4}


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """How a search is executed."""

    workers: int | None = None  # None for one per usable core
    scheduler: str | None = None  # address of a Dask cluster
    time_limit: float | None = None  # seconds
    trial_timeout: float | None = None  # seconds
    max_pending: int | None = None  # None for the default of the oracle
    precision: Precision = "float32"
    seed: int | None = None  # None for the oracle's own
    resume: bool = True


def search(
    tuner: Any, arguments: tuple[Any, ...], named: Mapping[str, Any], options: Options, report: Report
) -> SearchResult:
    """Search with `tuner`; results of earlier calls are reused.

    Args:
        tuner: the user's.
        arguments: of `fit`.
        named: arguments of `fit` with a name.
        options: of the execution.
        report: called with messages and progress.

    Raises:
        BenchError: for a reason that the user can fix; the trials that have ended are kept.
        RuntimeError: too many consecutive trials have failed.
        keras_tuner.errors.FatalError: a trial raised it.
    """
    start = perf_counter()
    requirements.check_tuner(tuner)
    requirements.check_arguments(arguments, named)
    check_versions(environment())
    compat.run_checks("own_tuner")
    project = Project(tuner)
    with project.locked(), project.with_payload(), ExitStack() as stack:
        resumed = start_or_resume(project, tuner, named, options.precision, options.seed, resume=options.resume)
        shared = Shared(project.payload, partial(_write, project.payload, tuner, arguments, named), stack)
        builder = stack.enter_context(closing(Builder(shared)))
        with _keras_tuner_state(tuner, project):
            tuner.on_search_begin()
            trials = Trials(tuner, project, resumed, options, builder)
            trials.replay()
            if not trials.sequence.done:
                trials.train(shared, start, report)
            tuner.on_search_end()
        return trials.result()


class Trials:
    """The trials of a search: those in its ledger, and those that are trained now."""

    def __init__(self, tuner: Any, project: Project, resumed: Resumed, options: Options, builder: Builder) -> None:
        """Use the oracle of `tuner`, which is in the state in which the search started."""
        self._tuner = tuner
        self._project = project
        self._resumed = resumed
        self._options = options
        self._trained = 0
        self._builder = builder
        self._source = TunerSource(tuner, project, resumed.proposals, builder.built)
        self.sequence = TrialSequence(
            self._source,
            options.max_pending or MAX_PENDING[compat.needs_results(tuner.oracle)],
            resumed.results,
            first_alone=_may_extend_space(tuner),
        )

    def replay(self) -> None:
        """Report the results that the ledger has, if any, until a trial has to be trained.

        Raises:
            RuntimeError: too many consecutive trials had failed.
        """
        if not self._resumed.results:
            return
        try:
            self.sequence.refill((), 1, self._source.log)
        except RuntimeError as error:
            error.add_note(
                f"These trials failed in an earlier call, see {self._project.ledger.path}. After a change of the code, "
                "create the tuner with overwrite=True, or start again with bench.search(..., resume=False)."
            )
            raise

    def train(self, shared: Shared, start: float, report: Report) -> None:
        """Train until the oracle has no more proposals, or time is up.

        Args:
            shared: what the workers need.
            start: of the search, time.perf_counter().
            report: called with messages and progress.
        """
        options = self._options
        with _executor(shared, options, report) as executor:
            workers = self._workers(executor)
            self._start_session(shared, workers)
            job = SearchJob(
                self.sequence,
                self._source,
                self._project.ledger,
                Scores(self._tuner.oracle),
                report,
                title=str(self._tuner.project_name),
                payload=str(shared.payload),
                seed=self._resumed.search.seed,
                precision=options.precision,
                workers=workers,
                deadline=None if options.time_limit is None else start + options.time_limit,
                trial_timeout=options.trial_timeout,
            )
            try:
                work([job], executor, report)
            except BaseException as error:
                # Keras Tuner's files then have every trial that the ledger has.
                with suppress(RuntimeError):
                    self.sequence.flush()
                if isinstance(error, FatalTrialError):
                    raise error.original from None
                raise
            finally:
                self._trained = job.trained
        self.sequence.flush()

    def result(self) -> SearchResult:
        """What was trained."""
        return SearchResult(
            project=self._project.path,
            complete=self.sequence.complete,
            trained=self._trained,
            objective=self._tuner.oracle.objective.name,
            results=tuple(self.sequence.results),
        )

    def _workers(self, executor: "Executor") -> int:
        local = self._options.scheduler is None
        return self._options.workers or usable_cores() if local else max(1, executor.idle())

    def _start_session(self, shared: Shared, workers: int) -> None:
        """Compare the hypermodel and the data with those of the last session, and log this one."""
        last, ledger = self._resumed.last, self._project.ledger
        empty: Config = {"space": [], "values": {}}
        declared = space_digest(empty if self._tuner.hypermodel is None else self._builder.built(empty))
        if last is not None and last.declared != declared:
            # Keras Tuner would continue with the space of the earlier trials.
            raise SearchError(
                f"the hyperparameters of the hypermodel are not those of the trials in {ledger.path}. {FIX}"
            )
        if last is not None and last.data != shared.digest:
            warnings.warn(
                f"the data differ from those of the earlier trials in {ledger.path}: set the seeds of random splits, "
                "or start again with bench.search(..., resume=False)",
                stacklevel=5,
            )
        ledger.append(
            SessionStarted(
                time=now(), environment=environment(), data=shared.digest, declared=declared, workers=workers
            )
        )


def _may_extend_space(tuner: Any) -> bool:
    """Whether a trial may have hyperparameters that building a model does not have."""
    hypermodel = tuner.hypermodel
    if hypermodel is None or compat.overridden(tuner, "run_trial"):
        return True
    return not type(hypermodel).fit.__module__.startswith("keras_tuner.")


def _content(tuner: Any, arguments: tuple[Any, ...], named: Mapping[str, Any]) -> Content:
    sent = copy(tuner)
    for name in ("oracle", "save"):
        vars(sent).pop(name, None)
    sent.directory = str(Path(tuner.directory).resolve())
    return Content(
        tuner=sent, objective=tuner.oracle.objective, arguments=arguments, named=dict(named), cwd=str(Path.cwd())
    )


def _executor(shared: Shared, options: Options, report: Report) -> "AbstractContextManager[Executor]":
    """Workers that find what is shared."""
    start_method = shared.start_method
    if options.scheduler is None:
        return local_workers(options.workers or usable_cores(), start_method, report)
    return cluster_workers(options.scheduler, shared.payload, environment(), report)


def _write(folder: Path, tuner: Any, arguments: tuple[Any, ...], named: Mapping[str, Any]) -> str:
    """Store what the workers need; returns a digest of the data."""
    content = _content(tuner, arguments, named)
    try:
        return payload.write(folder, content)
    except OSError:
        raise
    except Exception as error:
        requirements.check_objects(content.tuner, content.arguments, content.named)
        raise SearchError(f"the tuner cannot be sent to worker processes: {type(error).__name__}: {error}") from error


@contextmanager
def _keras_tuner_state(tuner: Any, project: Project) -> Iterator[None]:
    """Write Keras Tuner's files at the end of the block, whatever ends it, instead of at every call of the oracle."""
    tuner_id = tuner.tuner_id
    try:
        with compat.held_files(tuner), compat.seeded_values(tuner.oracle):
            yield
    finally:
        compat.retry_ongoing(tuner.oracle, tuner_id)
        project.write_state()
