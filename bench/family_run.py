"""One family's run, from its folder to its record."""

from collections.abc import Sequence
from datetime import datetime
from itertools import pairwise
from typing import Any

import numpy as np

from bench.errors import SearchError
from bench.options import Options
from bench.predictions import Predictions
from bench.record import SCHEMA_VERSION, DatasetFacts, Environment, RunRecord, Usage
from bench.search.loop import Search
from bench.search.oracles import Plan, make, parameters, plan
from bench.spec import RunSpec
from bench.stages import Clock, JudgeStage, RefitStage, SearchStage, Stage
from bench.store import LedgerEvent, RunFolder, now


class FamilyRun:
    """A run in a folder that this process has locked, and the stage that it is in."""

    def __init__(self, spec: RunSpec, folder: RunFolder, dataset: DatasetFacts, environment: Environment) -> None:
        """Read what earlier sessions left in the folder."""
        self.spec = spec
        self.folder = folder
        self._dataset = dataset
        self._environment = environment
        self._events = folder.events()

    def start(self, hyperparameters: Any, options: Options, began: str, clock: Clock) -> Plan:
        """Begin the session at `began` (ISO 8601): keep spec and session, play the search back from the ledger.

        Returns:
            What the search will train.

        Raises:
            SearchError: the space does not fit the tuner and the budget.
        """
        planned = plan(self.spec, hyperparameters)
        self._space = parameters(hyperparameters)
        self.folder.write_spec(self.spec)
        self.folder.append(
            LedgerEvent(event="session", time=began, environment=self._environment, dataset=self._dataset)
        )
        self._options = options
        self.clock = clock
        self.search = Search(self.spec, make(self.spec, hyperparameters), self.folder, self._events)
        self.stage: Stage = SearchStage(self.search, self.folder, options, clock)
        self.refits: RefitStage | None = None
        return planned

    def advance(self) -> None:
        """Go to the next stage where this one is done.

        Raises:
            SearchError: no trial of the search succeeded.
        """
        if isinstance(self.stage, SearchStage) and self.stage.done:
            self.search.drop_states()
            self.refits = RefitStage(self.spec, self.search.winner(), self.folder, self._options)
            self.stage = self.refits
        if isinstance(self.stage, RefitStage) and self.stage.done:
            self.stage = JudgeStage(self.spec, self.folder, self._options)

    @property
    def judged(self) -> bool:
        """Whether only the record is missing."""
        return isinstance(self.stage, JudgeStage) and self.stage.done

    @property
    def seconds_before(self) -> float:
        """What earlier sessions took, pauses between them left out."""
        return session_seconds(self._events)

    def write_record(self, usage: Usage) -> None:
        """The last act: predictions, then the record."""
        if not isinstance(self.stage, JudgeStage) or self.stage.judgement is None or self.refits is None:
            raise SearchError(f"{self.folder.path.name} is not judged yet")
        judgement, refits = self.stage.judgement, self.refits.refits
        predictions = Predictions(
            log_probabilities=judgement.log_probabilities,
            labels=judgement.labels,
            seeds=np.array([refit.seed for refit in refits], dtype=np.int64),
            wrong_indices=judgement.wrong_indices,
            wrong_images=judgement.wrong_images,
        )
        events = self.folder.events()
        sessions = [event for event in events if event.event == "session"]
        record = RunRecord(
            schema=SCHEMA_VERSION,
            run_id=self.folder.path.name,
            spec=self.spec,
            dataset=self._dataset,
            environment=self._environment,
            space=self._space,
            trials=self.search.results,
            winner=self.search.winner().trial_id,
            refits=refits,
            predictions_sha256=predictions.digest(),
            latency=judgement.latency,
            precision_refit="float32",
            workers=self._options.workers,
            started=sessions[0].time,
            finished=(finished := now()),
            search_seconds=session_seconds([event for event in events if event.event != "refit"]),
            total_seconds=session_seconds(events, finished),
            resumed=len(sessions) - 1,
            differing_proposals=self.search.differing_proposals,
            usage=usage,
        )
        self.folder.write_predictions(predictions)
        self.folder.write_record(record)

    def close(self) -> None:
        """Let go of the oracle."""
        if hasattr(self, "search"):
            self.search.close()


def session_seconds(events: Sequence[LedgerEvent], until: str | None = None) -> float:
    """Seconds from the start of each session to its last event, `until` in the last one; pauses are left out."""
    times = [(event.event == "session", datetime.fromisoformat(event.time)) for event in events]
    if until is not None:
        times.append((False, datetime.fromisoformat(until)))
    return sum((later - earlier).total_seconds() for (_, earlier), (starts, later) in pairwise(times) if not starts)
