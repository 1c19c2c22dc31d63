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
from bench.records.ledger import LedgerEvent, RefitEnded, SessionStarted, WaitEnded


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


def session_seconds(events: Sequence[LedgerEvent], until: str | None = None) -> float:
    """Total seconds of all sessions, each from its start to its last event.

    Pauses between sessions are excluded, and waits for other runs of the same command.

    Args:
        events: all ledger events, in order.
        until: end of the last session (ISO 8601); its last event if None.
    """
    times = [(isinstance(event, SessionStarted | WaitEnded), datetime.fromisoformat(event.time)) for event in events]
    if until is not None:
        times.append((False, datetime.fromisoformat(until)))
    return sum((later - earlier).total_seconds() for (_, earlier), (pauses, later) in pairwise(times) if not pauses)


def search_seconds(events: Sequence[LedgerEvent]) -> float:
    """Total seconds of all sessions, each from its start to its last search event."""
    return session_seconds([event for event in events if not isinstance(event, RefitEnded)])
