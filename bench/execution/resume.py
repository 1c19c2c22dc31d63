"""Which interrupted runs can be resumed, with which options, and why others cannot."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import search_spaces
from bench.baselines import catalog as baselines
from bench.errors import BenchError, SpecError
from bench.execution.options import Options
from bench.machine import usable_cores
from bench.records.ledger import SessionOptions, SessionStarted
from bench.records.spec import PROTOCOL_VERSION, ReferenceSpec, RunSpec
from bench.records.store import RunFolder, all_folders


@dataclass(frozen=True, slots=True, kw_only=True)
class Blocked:
    """A run that cannot be resumed."""

    folder: RunFolder
    reason: str


def unfinished(results: Path) -> tuple[RunFolder, ...]:
    """All unfinished runs in a results folder."""
    return tuple(folder for folder in all_folders(results) if not folder.finished)


def resumable(results: Path, run_ids: Sequence[str]) -> tuple[dict[Options, list[RunFolder]], tuple[Blocked, ...]]:
    """The runs to resume, grouped by the options of their last session, and those that cannot be resumed.

    Args:
        results: the results folder.
        run_ids: runs to resume; all unfinished runs if empty.

    Raises:
        SpecError: a run id is unknown or the run is complete.
    """
    folders = {folder.path.name: folder for folder in unfinished(results)}
    finished = {folder.path.name for folder in all_folders(results)} - folders.keys()
    for run_id in run_ids:
        if run_id not in folders:
            state = "is already complete" if run_id in finished else f"does not exist in {results}"
            raise SpecError(f"run {run_id!r} {state}; unfinished runs: {', '.join(folders) or 'none'}")
    groups: dict[Options, list[RunFolder]] = {}
    blocked = []
    for folder in [folders[run_id] for run_id in run_ids] or folders.values():
        if (reason := resume_blocker(folder)) is None:
            groups.setdefault(last_options(folder), []).append(folder)
        else:
            blocked.append(Blocked(folder=folder, reason=reason))
    return groups, tuple(blocked)


def last_options(folder: RunFolder) -> Options:
    """The options of a run's last session, or the defaults.

    Raises:
        RecordError: the spec or the ledger is damaged.
    """
    sessions = [event.options for event in folder.events() if isinstance(event, SessionStarted)]
    options = next((options for options in reversed(sessions) if options is not None), None)
    session = SessionOptions(workers=usable_cores()) if options is None else options
    return Options.from_ledger(folder.path.parents[2], folder.read_spec().dataset, session)


def resume_blocker(folder: RunFolder) -> str | None:
    """Why an unfinished run cannot be resumed here; None if it can."""
    try:
        spec = folder.read_spec()
        if spec.protocol != PROTOCOL_VERSION:
            return f"it uses protocol {spec.protocol}, but the current protocol is {PROTOCOL_VERSION}"
        last_options(folder).dataset.definition()
        source = model_source(spec)
    except BenchError as error:
        return str(error)
    return None if source == spec.source else f"the code of {spec.model!r} has changed since it was started"


def model_source(spec: RunSpec) -> str:
    """The current code digest of a spec's model.

    Raises:
        SpecError: the family or reference model is unknown, or its code cannot be read.
    """
    if isinstance(spec, ReferenceSpec):
        if spec.model not in baselines.NAMES:
            raise SpecError(f"there is no reference model {spec.model!r}: valid names are {', '.join(baselines.NAMES)}")
        return baselines.source(spec.model)
    return family_source(spec.family)


def family_source(family: str) -> str:
    """The code digest of a family.

    Raises:
        SpecError: the family is unknown, or its code cannot be read.
    """
    if family not in search_spaces.names():
        raise SpecError(f"there is no family {family!r}: valid names are {', '.join(search_spaces.names())}")
    try:
        return search_spaces.source_digest(family)
    except SyntaxError as error:
        raise SpecError(f"the file of family {family!r} is not valid Python: {error}") from error
    except ValueError as error:  # defined more than once, or not readable as Python
        raise SpecError(f"family {family!r} cannot be loaded: {error}") from error
