"""The trials of a search: those in its ledger, and those that are trained now."""

import warnings
from contextlib import AbstractContextManager
from functools import partial
from typing import Any

from bench.compat import own_tuner as compat
from bench.evaluation.text import counted
from bench.execution.events import Message, Report
from bench.execution.preconditions import changed_conditions, rejection
from bench.execution.scheduling import work
from bench.execution.workers import Workers, cluster_workers, local_workers
from bench.machine import environment, usable_cores
from bench.own_tuner.builder import Builder
from bench.own_tuner.identity import check_model, declared_space
from bench.own_tuner.job import FatalTrialError, SearchJob
from bench.own_tuner.ledger import SessionStarted
from bench.own_tuner.options import Options
from bench.own_tuner.project import Project
from bench.own_tuner.result import SearchResult
from bench.own_tuner.scores import Scores
from bench.own_tuner.sequence import TrialSequence
from bench.own_tuner.shared import Shared
from bench.own_tuner.source import TunerSource
from bench.own_tuner.start import Resumed
from bench.records.store import now
from bench.workers import tasks

HINT = "Completed trials are saved: repeat the call to continue"


class Trials:
    """The trials of a search: those in its ledger, and those that are trained now."""

    def __init__(
        self, tuner: Any, project: Project, resumed: Resumed, options: Options, builder: Builder, *, code: str
    ) -> None:
        """Use the oracle of `tuner`, which is in the state in which the search started; `code` is a digest."""
        self._tuner = tuner
        self._project = project
        self._resumed = resumed
        self._options = options
        self._trained = 0
        self._builder = builder
        self._code = code
        self._source = TunerSource(tuner, project, resumed.proposals, builder.space_after_build)
        self.sequence = TrialSequence(
            self._source,
            resumed.search.settings.max_pending,
            resumed.results,
            first_alone=may_extend_space(tuner),
            max_failures=compat.max_failures(tuner),
            earlier=len(resumed.proposals),
        )

    def replay(self) -> None:
        """Propose the trials of earlier calls, if any, and report their results, until a trial has to be trained.

        Raises:
            RuntimeError: too many consecutive trials had failed.
        """
        if not self._resumed.results:
            return
        try:
            self.sequence.refill((), 1)
        except RuntimeError as error:
            error.add_note(
                f"These trials failed in an earlier call, see {self._project.ledger.path}. After a change of the code, "
                "create the tuner with overwrite=True, or start again with bench.search(..., resume=False). To "
                "continue, create it with a larger max_consecutive_failed_trials."
            )
            raise

    def train(self, shared: Shared, start: float, report: Report) -> None:
        """Train until the oracle has no more proposals, or time is up.

        Args:
            shared: what the workers need.
            start: of the search, time.perf_counter().
            report: called with messages and progress.
        """
        options, data = self._options, shared.ensure_written()
        self._report_reused(report)
        with _workers(shared, options, report) as workers:
            self._start_session(data, workers.number)
            self._compare_data(data)
            self._compare_code()
            job = SearchJob(
                self.sequence,
                self._source,
                self._project.ledger,
                Scores(self._tuner.oracle),
                report,
                options=options,
                title=str(self._tuner.project_name),
                payload=str(shared.payload),
                seed=self._resumed.search.seed,
                workers=workers.number,
                deadline=None if options.time_limit is None else start + options.time_limit,
            )
            try:
                work([job], workers.executor, report)
            except FatalTrialError as error:
                raise error.original from None
            finally:
                self._trained = len(job.trained)
        self.sequence.flush()
        report(job.progress(()))  # `work` reports none at the end

    def reuse(self, data: str, report: Report) -> None:
        """Train nothing, since all trials have ended in earlier calls; `data` is the digest of the data."""
        self._compare_model(declared_space(self._tuner.hypermodel))
        self._compare_data(data)
        self._compare_code()
        self._report_reused(report)

    def result(self) -> SearchResult:
        """What was trained."""
        return SearchResult(
            project=self._project.path,
            complete=self.sequence.complete,
            trained=self._trained,
            objective=self._tuner.oracle.objective.name,
            results=tuple(self.sequence.results),
        )

    def _report_reused(self, report: Report) -> None:
        """Say how many trials of earlier calls are reused, if any, and whether some of them failed."""
        # Of the last run of each trial.
        statuses = {trial_id: result.status for (trial_id, _), result in self._resumed.results.items()}.values()
        if not statuses:
            return
        options = ", ".join(f"{name}={value}" for name, value in compat.restored_options(self._tuner.oracle).items())
        text = f"Resuming: reusing {counted(len(statuses), 'trial')} of earlier calls"
        if failed := sum(status != "COMPLETED" for status in statuses):
            text += f", {failed} of which failed; bench.search(..., resume=False) retrains all of them"
        if options:
            text += f". The tuner has the options of the first call: {options}; overwrite=True starts with others"
        report(Message(text=text))

    def _start_session(self, data: str, workers: int) -> None:
        """Compare the hypermodel with that of the last session, and log this one."""
        last = self._resumed.last
        declared = self._builder.declared or ("" if last is None else last.declared)
        self._compare_model(declared)
        self._compare_conditions()
        self._project.ledger.append(
            SessionStarted(
                time=now(),
                environment=environment(),
                data=data,
                declared=declared,
                workers=workers,
                code=self._code,
            )
        )

    def _compare_model(self, declared: str) -> None:
        if (last := self._resumed.last) is not None:
            check_model(last.declared, declared, str(self._project.ledger.path))

    def _compare_conditions(self) -> None:
        last = self._resumed.last
        if last is not None and (changes := changed_conditions(last.environment, environment())):
            changed = ", ".join(f"{name} from {before} to {after}" for name, (before, after) in changes.items())
            warnings.warn(
                f"scores may differ from those of the earlier trials in {self._project.ledger.path}: {changed}",
                stacklevel=6,
            )

    def _compare_data(self, data: str) -> None:
        last = self._resumed.last
        if last is not None and last.data != data:
            warnings.warn(
                f"the data differs from that of the earlier trials in {self._project.ledger.path}: set the seeds of "
                "random splits, or start again with bench.search(..., resume=False)",
                stacklevel=5,
            )

    def _compare_code(self) -> None:
        last = self._resumed.last
        if last is not None and last.code not in (None, self._code):
            warnings.warn(
                "the code of the hypermodel or of its data has changed since the trials in "
                f"{self._project.ledger.path}, whose scores are reused: to retrain them, use bench.search(..., "
                "resume=False)",
                stacklevel=5,
            )


def may_extend_space(tuner: Any) -> bool:
    """Whether a trial may have hyperparameters that building a model does not have."""
    methods = ("run_trial", "_build_and_fit_model", "_try_build", "_build_hypermodel")
    if tuner.hypermodel is None or any(compat.overridden(tuner, method) for method in methods):
        return True
    return compat.overridden(tuner.hypermodel, "fit")


def _workers(shared: Shared, options: Options, report: Report) -> AbstractContextManager[Workers]:
    """Workers that find what is shared, which is written."""
    start_method = shared.start_method
    if options.scheduler is None:
        mapped = sum(path.stat().st_size for path in shared.payload.glob("*.npy"))
        number = options.workers or usable_cores()
        return local_workers(
            number, environment(), start_method=start_method, shared_bytes=mapped, report=report, hint=HINT
        )
    info = partial(tasks.worker_with_folder, str(shared.payload))
    check = partial(rejection, local=environment(), sources={}, checksum="")
    return cluster_workers(options.scheduler, info, check, start_method=start_method, report=report, hint=HINT)
