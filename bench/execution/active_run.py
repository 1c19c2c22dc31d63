"""A run that this process works on, from its folder to its record: what searched families and references share."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise

import numpy as np

from bench.errors import SearchError
from bench.execution.options import Options
from bench.execution.stages import EvaluationStage, Stage
from bench.machine import Environment
from bench.records.predictions import Predictions
from bench.records.record import (
    SCHEMA_VERSION,
    DatasetFacts,
    Parameter,
    Reference,
    RefitRecord,
    RunRecord,
    TrialRecord,
    Usage,
)
from bench.records.spec import RunSpec
from bench.records.store import LedgerEvent, RunFolder, now


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What a search found; of a reference, which is given, nothing."""

    space: tuple[Parameter, ...] = ()
    trials: tuple[TrialRecord, ...] = ()
    winner: str | None = None
    differing_proposals: int = 0
    reference: Reference | None = None


class ActiveRun(ABC):
    """A run in a folder that this process has locked, and the stage that it is in."""

    stage: Stage

    def __init__(self, spec: RunSpec, folder: RunFolder, dataset: DatasetFacts, environment: Environment) -> None:
        """Read what earlier sessions left in the folder."""
        self.spec = spec
        self.folder = folder
        self._dataset = dataset
        self._environment = environment
        self._events = folder.events()

    def begin(self, options: Options, began: str) -> None:
        """Keep the spec, and that a session began at `began` (ISO 8601)."""
        self._options = options
        self.folder.write_spec(self.spec)
        self.folder.append(
            LedgerEvent(event="session", time=began, environment=self._environment, dataset=self._dataset)
        )

    def stop_in_time(self) -> None:  # noqa: B027 - only a search can be stopped
        """Start nothing more where the time is over."""

    @abstractmethod
    def advance(self) -> None:
        """Go to the next stage where this one is done."""

    @abstractmethod
    def found(self) -> Found:
        """What the search found."""

    @property
    @abstractmethod
    def refitted(self) -> tuple[RefitRecord, ...]:
        """The models that are judged, by number; those that are trained by now."""

    @property
    def judged(self) -> bool:
        """Whether only the record is missing."""
        return isinstance(self.stage, EvaluationStage) and self.stage.done

    @property
    def seconds_before(self) -> float:
        """What earlier sessions took, pauses between them left out."""
        return session_seconds(self._events)

    def write_record(self, usage: Usage) -> None:
        """The last act: predictions, then the record."""
        if not isinstance(self.stage, EvaluationStage) or self.stage.judgement is None:
            raise SearchError(f"{self.folder.path.name} is not judged yet")
        judgement, refits, found = self.stage.judgement, self.refitted, self.found()
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
            space=found.space,
            trials=found.trials,
            winner=found.winner,
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
            differing_proposals=found.differing_proposals,
            usage=usage,
            reference=found.reference,
        )
        self.folder.write_predictions(predictions)
        self.folder.write_record(record)

    def close(self) -> None:  # noqa: B027 - only a search has something to let go of
        """Let go of what is held beside the folder."""


def session_seconds(events: Sequence[LedgerEvent], until: str | None = None) -> float:
    """Seconds from the start of each session to its last event, `until` in the last one; pauses are left out."""
    times = [(event.event == "session", datetime.fromisoformat(event.time)) for event in events]
    if until is not None:
        times.append((False, datetime.fromisoformat(until)))
    return sum((later - earlier).total_seconds() for (_, earlier), (starts, later) in pairwise(times) if not starts)
