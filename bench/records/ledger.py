"""The ledger of a run: one JSON line per event. Resuming a run replays it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import msgspec

from bench.machine import Environment
from bench.records.dataset import DatasetFacts
from bench.records.record import RefitRecord, TrialRecord
from bench.records.spec import Value, trial_key


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionOptions:
    """Execution options of a session, reused by `bench resume`; only the trial timeout can affect results."""

    workers: int  # processes on this machine; ignored when `scheduler` is set
    scheduler: str | None = None  # address of the user's Dask cluster
    data_dir: str | None = None  # folder with the dataset's files
    trial_timeout: float | None = None  # seconds
    dataset_path: str | None = None  # path of the dataset, if it was given by path
    dataset_digest: str | None = None  # of an imported dataset
    image_size: tuple[int, int] | None = None  # height, width; of --image-size
    class_names: tuple[str, ...] = ()  # of --class-names
    family_files: tuple[tuple[str, str], ...] = ()  # families that were given by path: name, absolute path


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedSearch:
    """What a search will train; a tuner may end earlier."""

    trials: int
    epochs: int  # of all trials together


class SessionStarted(msgspec.Struct, frozen=True, kw_only=True, tag_field="event", tag="session_started"):
    """A process started or resumed the run."""

    time: str  # ISO 8601, UTC, as in every event
    environment: Environment
    dataset: DatasetFacts
    options: SessionOptions | None = None  # None in ledgers before schema 4
    plan: PlannedSearch | None = None  # None for a reference model, and in ledgers of earlier versions
    reproduces: str | None = None  # id of the published run that this run reproduces


class WaitEnded(msgspec.Struct, frozen=True, kw_only=True, tag_field="event", tag="wait_ended"):
    """A task of the run started after none was running, since all workers trained other runs of the same command."""

    time: str
    seconds: float | None = None  # since the start of the run, as `ended_seconds` of a trial; None in earlier ledgers


class TrialProposed(msgspec.Struct, frozen=True, kw_only=True, tag_field="event", tag="trial_proposed"):
    """The tuner proposed a trial."""

    time: str
    trial_id: str
    values: Mapping[str, Value]  # active hyperparameters
    initial_epoch: int
    epochs: int
    parent: str | None  # id of the trial that it continues


class TrialEnded(msgspec.Struct, frozen=True, kw_only=True, tag_field="event", tag="trial_ended"):
    """A trial completed, failed, or was cut short."""

    time: str
    trial: TrialRecord


class RefitEnded(msgspec.Struct, frozen=True, kw_only=True, tag_field="event", tag="refit_ended"):
    """A refit was trained; its model file was written before this event."""

    time: str
    refit: RefitRecord
    seconds: float | None = None  # as those of WaitEnded; None also for a model that was trained elsewhere


LedgerEvent = SessionStarted | WaitEnded | TrialProposed | TrialEnded | RefitEnded


def sessions(events: Sequence[LedgerEvent]) -> list[SessionStarted]:
    """The starts of all sessions, in order."""
    return [event for event in events if isinstance(event, SessionStarted)]


def ended_trials(events: Sequence[LedgerEvent]) -> dict[str, TrialRecord]:
    """Results by trial id, in the order of their end; a duplicate has none of its own."""
    return {event.trial.trial_id: event.trial for event in events if isinstance(event, TrialEnded)}


def ended_refits(events: Sequence[LedgerEvent]) -> dict[int, RefitRecord]:
    """Refits by number; one that was repeated, since its model file was lost, counts once."""
    return {event.refit.number: event.refit for event in events if isinstance(event, RefitEnded)}


def ended_proposals(events: Sequence[LedgerEvent]) -> list[TrialProposed]:
    """Proposals with a result, which may be that of an equal proposal: a duplicate has no TrialEnded of its own."""
    results = ended_trials(events)
    proposals = [event for event in events if isinstance(event, TrialProposed)]
    known = {trial_key(event.values, event.epochs) for event in proposals if event.trial_id in results}
    return [event for event in proposals if trial_key(event.values, event.epochs) in known]
