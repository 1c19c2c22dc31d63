"""A session: one process that starts or resumes runs, and how long the sessions of a run took."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise

from bench.execution.events import Report
from bench.execution.options import Options
from bench.execution.tuner_process import TunerProcess
from bench.machine import Environment
from bench.records.dataset import DatasetFacts
from bench.records.ledger import LedgerEvent, RefitEnded, SessionStarted, TrialEnded, WaitEnded


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """Options, data and environment shared by all runs of one call."""

    options: Options
    dataset: DatasetFacts
    environment: Environment  # of the processes that train
    started: str  # ISO 8601, UTC
    start: float  # time.perf_counter() at that moment
    report: Report
    tuner_process: TunerProcess


def session_seconds(events: Sequence[LedgerEvent]) -> float:
    """Total seconds of all sessions, each from its start to its last event.

    Pauses between sessions are excluded, and waits for other runs of the same command. Only what follows the last event
    with a number of seconds is measured by the times of the events, which change with the clock of the machine.
    """
    counted, start = 0.0, 0
    for number, event in enumerate(events):
        if (seconds := _seconds(event)) is not None:
            counted, start = seconds, number
    times = [
        (isinstance(event, SessionStarted | WaitEnded), datetime.fromisoformat(event.time)) for event in events[start:]
    ]
    return counted + sum(
        (later - earlier).total_seconds() for (_, earlier), (pauses, later) in pairwise(times) if not pauses
    )


def _seconds(event: LedgerEvent) -> float | None:
    """Seconds of the run when the event was logged; None if the event has none."""
    if isinstance(event, TrialEnded):
        return event.trial.ended_seconds
    return event.seconds if isinstance(event, RefitEnded | WaitEnded) else None
