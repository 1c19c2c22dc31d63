"""One family's run: search, refits, judging."""

from typing import Any

from bench.execution.active_run import ActiveRun, Found
from bench.execution.options import Options
from bench.execution.stages import Clock, EvaluationStage, RefitStage, SearchStage
from bench.records.record import RefitRecord
from bench.records.spec import candidate_values
from bench.tuning.oracles import Plan, make, parameters, plan
from bench.tuning.search import Search


class FamilyRun(ActiveRun):
    """A search for a family's best model, which is then trained anew under several seeds."""

    def start(self, hyperparameters: Any, options: Options, began: str, clock: Clock) -> Plan:
        """Begin the session at `began` (ISO 8601): keep spec and session, play the search back from the ledger.

        Returns:
            What the search will train.

        Raises:
            SearchError: the space does not fit the tuner and the budget.
        """
        planned = plan(self.spec, hyperparameters)
        self._space = parameters(hyperparameters)
        self.begin(options, began)
        self.clock = clock
        self.search = Search(self.spec, make(self.spec, hyperparameters), self.folder, self._events)
        self.stage = SearchStage(self.search, self.folder, options, clock)
        self.refits: RefitStage | None = None
        return planned

    def stop_in_time(self) -> None:
        """Start no trial any more where the time is over, also while there is no worker that would ask for one."""
        left = self.clock.seconds_left()
        if left is not None and left <= 0 and isinstance(self.stage, SearchStage):
            self.search.stop()

    def advance(self) -> None:
        """Go to the next stage where this one is done.

        Raises:
            SearchError: no trial of the search succeeded.
        """
        if isinstance(self.stage, SearchStage) and self.stage.done:
            self.search.drop_states()
            values = candidate_values(self.search.winner().values)
            self.refits = RefitStage(self.spec, values, self.folder, self._options)
            self.stage = self.refits
        if isinstance(self.stage, RefitStage) and self.stage.done:
            self.stage = EvaluationStage(self.spec, self.folder, self._options)

    def found(self) -> Found:
        """What the search found."""
        return Found(
            space=self._space,
            trials=self.search.results,
            winner=self.search.winner().trial_id,
            differing_proposals=self.search.differing_proposals,
        )

    @property
    def refitted(self) -> tuple[RefitRecord, ...]:
        """The refits of the winner, by number; those that are trained by now."""
        return () if self.refits is None else self.refits.refits

    def close(self) -> None:
        """Let go of the oracle."""
        if hasattr(self, "search"):
            self.search.close()
