"""A run in progress: the search of a family, refits, evaluation, and the record at the end."""

from collections.abc import Collection, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from bench.baselines.catalog import reference_model
from bench.errors import RecordError, StoreError
from bench.evaluation.text import counted
from bench.execution.eta import Pace
from bench.execution.events import Outcome, Progress, RunFailed, RunFinished
from bench.execution.refit_job import RefitJob
from bench.execution.reproduction import settle
from bench.execution.scheduling import RunningTask, Task
from bench.execution.search_stage import SearchStage
from bench.execution.session import Session, session_seconds
from bench.execution.tuner_process import RemoteTuner
from bench.execution.workers import resume_hint
from bench.records.ledger import PlannedSearch, SessionStarted, WaitEnded, sessions
from bench.records.objective import score_name
from bench.records.predictions import Predictions
from bench.records.record import SCHEMA_VERSION, Latency, ReferenceModel, RunRecord, SearchOutcome
from bench.records.spec import RunSpec, SearchSpec
from bench.records.store import RunFolder, now
from bench.tuning.search import Search

MIN_WAIT_SECONDS = 1.0  # shorter waits are not logged: a worker gets its next task after milliseconds
# Searches first: refits of other runs then fill idle workers.
_PRIORITY = {"search": 0, "refit": 1, "evaluation": 2}


class ActiveRun(RefitJob):
    """A run whose folder this process has locked."""

    def __init__(
        self,
        spec: RunSpec,
        folder: RunFolder,
        session: Session,
        published: RunFolder | None,
        tuner: RemoteTuner | None,
        *,
        waits: bool,
    ) -> None:
        """Start the run, or resume it from `folder`.

        Args:
            spec: of the run.
            folder: of the run.
            session: of the call.
            published: the run that it reproduces.
            tuner: of the search; None for a reference model.
            waits: whether other runs of the call get workers first.
        """
        earlier = folder.events()
        # As if the run had never been interrupted.
        start = session.start - session_seconds(earlier)
        limit = spec.time_limit if isinstance(spec, SearchSpec) else None
        pace = Pace(spec, session.options.workers, start, limit)
        pace.record_ledger(earlier)
        if waits:
            pace.wait()
        super().__init__(spec, folder, session.options, pace, folder.run_id, facts=session.dataset)
        self.outcome: Outcome | None = None
        self._session = session
        self._published = published
        self._has_trained = False  # in this session
        self._search_stage: SearchStage | None = None
        if isinstance(spec, SearchSpec) and tuner is not None:
            self._tuner = tuner.started
            self._start_session(PlannedSearch(trials=tuner.started.plan.trials, epochs=tuner.started.plan.epochs))
            recipe = tuner.started.own_recipe
            search = Search(spec, tuner, folder, earlier, retrains=recipe is not None and recipe.own_fit)
            self.stage = self._search_stage = SearchStage(search, tuner.started.plan, folder, session.options, pace)
        else:
            self._start_session()
            self.start_refits({})

    @property
    def introduction(self) -> str:
        """One line on what the run will train."""
        spec = self.spec
        refits = counted(spec.refit_seeds, "refit")
        if self._search_stage is None or not isinstance(spec, SearchSpec):
            return f"{spec.model}: {refits} with its own recipe"
        plan, tuner = self._search_stage.plan, self._tuner.tuner
        replaced = "" if tuner == spec.tuner else f" (not {spec.tuner}, since that is the whole space)"
        return (
            f"{spec.family}: {tuner} search of {counted(plan.candidates, 'candidate')}{replaced} in "
            f"{counted(plan.trials, 'trial')}, {counted(plan.epochs, 'epoch')} in {spec.precision}; then {refits} of "
            f"the winner, {counted(spec.refit_epochs, 'epoch')} each in float32"
        )

    @property
    def priority(self) -> int:
        """By stage."""
        return _PRIORITY[self.stage.name]

    @property
    def done(self) -> bool:
        """Whether it has its record, or failed."""
        return self.outcome is not None

    def next_task(self, in_flight: Collection[str]) -> Task | None:
        """The next task of the current stage."""
        task = super().next_task(in_flight)
        return None if task is None else replace(task, start=partial(self._start, task))

    def _start(self, task: Task) -> "partial[Any]":
        if self.pace.end_wait() > MIN_WAIT_SECONDS:
            self.folder.append(WaitEnded(time=now(), seconds=self.pace.seconds))
        self._has_trained = True
        return task.start()

    def advance(self, in_flight: Collection[str]) -> None:
        """Enter the next stage if time is up or the current one is done; the last stage writes the record.

        Raises:
            SearchError: no trial of the search succeeded.
        """
        if self._has_trained and not in_flight:
            self.pace.wait()
        if isinstance(self.stage, SearchStage):
            self.stage.stop_in_time(in_flight)
            if self.stage.search.is_done(in_flight):
                winner = self.stage.search.winner()
                self.stage.search.drop_states()
                self.start_refits(winner.values)
        super().advance(in_flight)

    def record_epoch(self, seconds: float, *, first: bool) -> None:
        """Measure an epoch of a trial or a refit."""
        if isinstance(self.stage, SearchStage):
            self.pace.record_trial_epoch(seconds, first=first)
        else:
            super().record_epoch(seconds, first=first)

    def progress(self, running: Sequence[RunningTask]) -> Progress:
        """Stage, trials, epochs and remaining time."""
        progress = super().progress(running)
        if self._search_stage is None:
            return progress
        totals, plan = self._search_stage.search.totals, self._search_stage.plan
        progress = replace(
            progress,
            trials=totals.trials,
            trials_total=plan.trials,
            failed=totals.failed,
            best=None if totals.best is None else f"{score_name(self.spec)} {100 * totals.best:.2f}%",
        )
        if not isinstance(self.stage, SearchStage):
            return progress
        epochs = totals.epochs + sum(max(0, task.epochs - task.task.initial_epoch) for task in running)
        seconds_left = self.stage.seconds_left(len(running), plan.epochs - epochs)
        return replace(progress, epochs=epochs, epochs_total=plan.epochs, seconds_left=seconds_left)

    def fail(self, reason: str) -> None:
        """End the run without a record; a failed search would fail again, but refits and an evaluation may succeed."""
        hint = (
            "" if isinstance(self.stage, SearchStage) else f". {resume_hint(self.folder.results, self.folder.run_id)}"
        )
        self._end(RunFailed(folder=self.folder, reason=f"{reason}{hint}"))

    def finish(self, predictions: Predictions, latency: Latency) -> None:
        """Write predictions and record; compare them with the published run, if any."""
        session, started, finished = self._session, sessions(self.folder.events()), now()
        record = RunRecord(
            schema=SCHEMA_VERSION,
            run_id=self.key,
            spec=self.spec,
            dataset=session.dataset,
            environment=session.environment,
            origin=self._origin(),
            refits=self.refits,
            predictions_sha256=predictions.digest(),
            latency=latency,
            precision_refit="float32",
            workers=session.options.workers,
            started=started[0].time,
            finished=finished,
            total_seconds=self.pace.seconds,
            resumed=len(started) - 1,
            reproduces=self._reproduces,
        )
        self.folder.write_predictions(predictions)
        self.folder.write_record(record)
        ended = RunFinished(folder=self.folder, trained=True, warnings=self._warnings())
        self._end(ended if self._published is None else self._compared(ended, self._published))

    def _compared(self, ended: RunFinished, published: RunFolder) -> RunFinished:
        """`ended` with a comparison with the published run; if that is impossible, other runs of the call continue."""
        try:
            folder, reproduction = settle(self.folder, published)
        except (RecordError, StoreError) as error:
            warning = f"{self.title}: the next command compares it with the published run {published.run_id}: {error}"
            return replace(ended, warnings=(*ended.warnings, warning))
        return replace(ended, folder=folder, reproduction=reproduction, published=published)

    def _warnings(self) -> tuple[str, ...]:
        """How many trials failed, and why; empty if none did."""
        trials = () if self._search_stage is None else self._search_stage.search.results
        failed = [trial for trial in trials if trial.status == "failed"]
        if not failed:
            return ()
        example = f"trial {failed[0].trial_id}: {failed[0].error}"
        return (f"{self.title}: {len(failed)} of {counted(len(trials), 'trial')} failed, e.g. {example}",)

    @property
    def _reproduces(self) -> str | None:
        return None if self._published is None else self._published.run_id

    def _origin(self) -> SearchOutcome | ReferenceModel:
        """How the evaluated model was chosen."""
        if self._search_stage is None:
            return reference_model(self.spec.model)
        search = self._search_stage.search
        return SearchOutcome(
            space=self._tuner.space,
            trials=search.results,
            winner=search.winner().trial_id,
            search_seconds=max(trial.ended_seconds for trial in search.results),
            overruled_proposals=search.overruled_proposals,
            own_recipe=self._tuner.own_recipe,
        )

    def _start_session(self, plan: PlannedSearch | None = None) -> None:
        session = self._session
        self.folder.write_spec(self.spec)
        self.folder.append(
            SessionStarted(
                time=session.started,
                environment=session.environment,
                dataset=session.dataset,
                options=session.options.for_ledger(),
                plan=plan,
                reproduces=self._reproduces,
            )
        )

    def _end(self, outcome: Outcome) -> None:
        self.outcome = outcome
        self._session.report(outcome)
