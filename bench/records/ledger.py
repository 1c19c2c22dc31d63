"""The ledger of a run: what happened, one JSON line an event. Resuming a run replays it."""

from collections.abc import Mapping
from dataclasses import dataclass

import msgspec

from bench.machine import Environment
from bench.records.record import DatasetFacts, RefitRecord, TrialRecord
from bench.records.spec import Value


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionOptions:
    """How a session executes the run, so that `bench resume` can do the same; nothing here changes a number."""

    workers: int  # processes on this machine; ignored when `scheduler` is set
    scheduler: str | None = None  # address of the user's Dask cluster
    data_dir: str | None = None  # folder with the dataset's files
    trial_timeout: float | None = None  # seconds
    dataset_path: str | None = None  # file or folder of a dataset that is not found by name


class SessionStarted(msgspec.Struct, frozen=True, kw_only=True, tag_field="event", tag="session_started"):
    """A process started to work on the run."""

    time: str  # ISO 8601, UTC, as in every event
    environment: Environment
    dataset: DatasetFacts
    options: SessionOptions | None = None  # None in ledgers before schema 4
    reproduces: str | None = None  # run id of the published record that this run is a reproduction of


class TrialProposed(msgspec.Struct, frozen=True, kw_only=True, tag_field="event", tag="trial_proposed"):
    """The tuner proposed a trial."""

    time: str
    trial_id: str
    values: Mapping[str, Value]  # active hyperparameters
    initial_epoch: int
    epochs: int
    parent: str | None  # trial id that this one continues


class TrialEnded(msgspec.Struct, frozen=True, kw_only=True, tag_field="event", tag="trial_ended"):
    """A trial completed, failed, or was cut short."""

    time: str
    trial: TrialRecord


class RefitEnded(msgspec.Struct, frozen=True, kw_only=True, tag_field="event", tag="refit_ended"):
    """A model was trained on the development images; its file was written before this event."""

    time: str
    refit: RefitRecord


LedgerEvent = SessionStarted | TrialProposed | TrialEnded | RefitEnded
