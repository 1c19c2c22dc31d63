"""The ledger of a search: one JSON line per event, next to Keras Tuner's files. Repeating a search replays it."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from bench.errors import RecordError
from bench.machine import Environment
from bench.records.encoding import encode, read_lines
from bench.records.files import append_line
from bench.training.own_tuner.exchange import TrialRun

# History: 1, first version.
SCHEMA = 1


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """What must be equal when a search is resumed."""

    tuner: str  # class
    oracle: str  # class
    objective: str
    options: Mapping[str, str]  # of the oracle, such as `max_epochs`; without those that may grow, as max_trials
    executions_per_trial: int
    arguments: Mapping[str, str]  # of fit, as far as they are numbers, strings or None
    precision: str
    max_pending: int  # trials without a result when the oracle proposes another one
    space: str  # digest


class SearchStarted(msgspec.Struct, frozen=True, kw_only=True, tag_field="event", tag="search_started"):
    """A search started; later calls with the same settings resume it."""

    time: str  # ISO 8601, UTC, as in every event
    schema: int
    settings: Settings
    space: Mapping[str, Any]  # Keras Tuner's configuration of the initial space
    seed: int  # of the training
    oracle_seed: int
    base: tuple[str, ...]  # ids of trials of earlier searches, which the ledger does not have


class SessionStarted(msgspec.Struct, frozen=True, kw_only=True, tag_field="event", tag="session_started"):
    """A process started or resumed the search."""

    time: str
    environment: Environment
    data: str  # digest of the arrays, also those of texts
    declared: str  # digest of the hyperparameters that the hypermodel declares by default; empty if unknown
    workers: int
    code: str | None = None  # digest of the code of hypermodel and data; None in ledgers of earlier versions


class TrialProposed(msgspec.Struct, frozen=True, kw_only=True, tag_field="event", tag="trial_proposed"):
    """The oracle proposed a trial, or a retry of one."""

    time: str
    trial_id: str
    run: int  # from 1; more for retries
    values: Mapping[str, Any]
    space: Sequence[Mapping[str, Any]] | None = None  # of the trial, if building its model extended that of the oracle


class TrialEnded(msgspec.Struct, frozen=True, kw_only=True, tag_field="event", tag="trial_ended"):
    """A trial ended; its checkpoint was written before this event."""

    time: str
    trial_id: str
    run: int
    result: TrialRun


Event = SearchStarted | SessionStarted | TrialProposed | TrialEnded


class Ledger:
    """The file of a search."""

    def __init__(self, path: Path) -> None:
        """Use the file at `path`, which may not exist yet."""
        self.path = path

    def append(self, event: Event) -> None:
        """Append an event; it is on disk when this returns.

        Raises:
            StoreError: it cannot be written.
        """
        append_line(self.path, encode(event, self.path))

    def events(self) -> list[Event]:
        """The events of the current search, which starts with the last SearchStarted; empty if there is none.

        Raises:
            RecordError: the file is damaged.
        """
        events: list[Event] = read_lines(Event, self.path)
        starts = [index for index, event in enumerate(events) if isinstance(event, SearchStarted)]
        if events and not starts:
            raise RecordError(f"{self.path}: expected the start of a search in the first line: delete the file")
        current = events[starts[-1] :] if starts else []
        if current and isinstance(current[0], SearchStarted) and current[0].schema != SCHEMA:
            raise RecordError(
                f"{self.path}: found schema {current[0].schema}, expected {SCHEMA}: upgrade this package, or create "
                "the tuner with overwrite=True"
            )
        return current
