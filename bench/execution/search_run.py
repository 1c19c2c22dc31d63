"""The run of a family: search, refits of the winner, evaluation."""

from collections.abc import Collection
from typing import TYPE_CHECKING

from bench.execution.active_run import ActiveRun, Session, search_seconds, session_seconds
from bench.execution.eta import Clock
from bench.execution.refit_stage import RefitStage
from bench.execution.search_stage import SearchStage
from bench.execution.stages import TaskEnd
from bench.records.record import RefitRecord, SearchOutcome
from bench.records.spec import SearchSpec
from bench.records.store import RunFolder
from bench.tuning import tuners
from bench.tuning.search import Search
from bench.tuning.space import parameters
from bench.tuning.trials import Totals

if TYPE_CHECKING:
    import keras_tuner

    from bench.execution.scheduling import RunningTask


class SearchRun(ActiveRun):
    """A search for the best model of a family, whose winner is refit with several seeds."""

    def __init__(
        self,
        spec: SearchSpec,
        folder: RunFolder,
        session: Session,
        published: RunFolder | None,
        hyperparameters: "keras_tuner.HyperParameters",
    ) -> None:
        """Start the run, or resume it from `folder`.

        Raises:
            SearchError: the space does not fit the tuner and the budget.
        """
        super().__init__(spec, folder, session, published)
        self.spec = spec
        tuner = tuners.choose(spec, hyperparameters)
        self.plan = tuner.plan(spec, hyperparameters)
        self._space = parameters(hyperparameters)
        self._start_session()
        self._search = Search(spec, tuner, hyperparameters, folder, self._earlier)
        self._clock = Clock(pace=self.pace, deadline=self._deadline())
        self._refit_stage: RefitStage | None = None
        self.stage = SearchStage(self._search, folder, session.options, self._clock)

    @property
    def introduction(self) -> str:
        """Candidates, trials, epochs and refits."""
        plan, spec = self.plan, self.spec
        return (
            f"{spec.family}: {spec.tuner} search of {plan.candidates} candidates in {plan.tasks} trials, "
            f"{plan.epochs} epochs in {spec.precision}; then {spec.refit_seeds} refits of the winner, "
            f"{spec.refit_epochs} epochs each in float32"
        )

    @property
    def refits(self) -> tuple[RefitRecord, ...]:
        """Completed refits of the winner, by number."""
        return () if self._refit_stage is None else self._refit_stage.refits

    @property
    def totals(self) -> Totals:
        """The progress of the search."""
        return self._search.totals

    def origin(self) -> SearchOutcome:
        """The trials and the winner."""
        return SearchOutcome(
            space=self._space,
            trials=self._search.results,
            winner=self._search.winner().trial_id,
            search_seconds=search_seconds(self.folder.events()),
            overruled_proposals=self._search.overruled_proposals,
        )

    def advance(self, in_flight: Collection[str]) -> None:
        """Stop the search if time is up, and enter the next stage if the current one is done.

        Raises:
            SearchError: no trial of the search succeeded.
        """
        if isinstance(self.stage, SearchStage):
            self.stage.stop_in_time(in_flight)
            if self.stage.is_done(in_flight):
                winner = self._search.winner()
                self._search.drop_states()
                self._refit_stage = RefitStage(self.spec, winner.values, self.folder, self.session.options.dataset)
                self.stage = self._refit_stage
        super().advance(in_flight)

    def take(self, running: "RunningTask", end: TaskEnd) -> None:
        """Store the outcome of a task, and measure the pace of trials.

        Raises:
            SearchError: a refit or the evaluation failed.
        """
        super().take(running, end)
        trial = self._search.result(running.task.name)
        if trial is not None:
            self.pace.take_trial(trial, running.epoch_seconds)

    def _seconds_left(self, running: int, epochs: int) -> float | None:
        if not isinstance(self.stage, SearchStage):
            return super()._seconds_left(running, epochs)
        trials = self.plan.tasks - self.totals.trials - running
        return self.pace.search_seconds_left(trials, epochs, self._clock.seconds_left())

    def _deadline(self) -> float | None:
        """The time.perf_counter() at which the time limit is reached; earlier sessions count."""
        if self.spec.time_limit is None:
            return None
        return self.session.start + self.spec.time_limit - session_seconds(self._earlier)
