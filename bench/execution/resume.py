"""Which interrupted runs can be resumed, with which options, and why others cannot."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from bench.data import catalog
from bench.data.catalog import DatasetLocation
from bench.data.dataset import Notify, quiet
from bench.errors import BenchError, SpecError
from bench.execution.models import locate_families, model_source
from bench.execution.options import Options
from bench.execution.preconditions import check_environment
from bench.machine import environment, usable_cores
from bench.records.ledger import SessionOptions, sessions
from bench.records.spec import SearchSpec
from bench.records.store import RunFolder, all_folders


def unfinished(results: Path) -> tuple[RunFolder, ...]:
    """All unfinished runs in a results folder."""
    return tuple(folder for folder in all_folders(results) if not folder.finished)


def resumable(results: Path, run_ids: Sequence[str]) -> tuple[dict[Options, list[RunFolder]], dict[str, str]]:
    """The runs to resume, by the options of their last session; those that cannot be resumed, by id, and why.

    Args:
        results: the results folder.
        run_ids: runs to resume; all unfinished runs if empty.

    Raises:
        SpecError: a run id is unknown or the run is complete.
    """
    folders = {folder.run_id: folder for folder in unfinished(results)}
    finished = {folder.run_id for folder in all_folders(results)} - folders.keys()
    for run_id in run_ids:
        if run_id not in folders:
            state = "is already complete" if run_id in finished else f"does not exist in {results}"
            raise SpecError(f"run {run_id!r} {state}; unfinished runs: {', '.join(folders) or 'none'}")
    groups: dict[Options, list[RunFolder]] = {}
    blocked = {}
    for folder in [folders[run_id] for run_id in dict.fromkeys(run_ids)] or folders.values():
        if (reason := resume_blocker(folder)) is None:
            groups.setdefault(last_options(folder), []).append(folder)
        else:
            blocked[folder.run_id] = reason
    return groups, blocked


def last_options(folder: RunFolder) -> Options:
    """The options of a run's last session, or the defaults.

    Raises:
        RecordError: the spec or the ledger is damaged.
    """
    earlier = [session.options for session in sessions(folder.events()) if session.options is not None]
    session = earlier[-1] if earlier else SessionOptions(workers=usable_cores())
    return Options.from_ledger(folder.results, folder.read_spec().dataset, session)


def run_dataset(
    folder: RunFolder, dataset: str | None = None, data_dir: Path | None = None, notify: Notify = quiet
) -> DatasetLocation:
    """Where the dataset of a run is: where the user says, else where the run found it.

    Args:
        folder: of the run.
        dataset: name or path of the dataset; None if it has not moved. Images are read as the run read them.
        data_dir: folder with the files of a dataset that is known by name.
        notify: called with a one-line message before steps longer than a second.

    Raises:
        SpecError: there is no such dataset, or it is not that of the run.
        DataError: the files at the path are not a valid dataset.
        RecordError: the run is damaged.
    """
    found = last_options(folder).dataset
    if dataset is not None:
        located = catalog.locate(dataset, data_dir, found.reading, notify)
        if located.path is None and located.name != found.name:
            raise SpecError(f"the run {folder.run_id} was trained on {found.name}, got --dataset {dataset}")
        return replace(located, name=found.name)  # the files may have been renamed
    if data_dir is not None and found.digest is not None:
        raise SpecError(
            f"--data-dir is for datasets given by name, but the run {folder.run_id} was trained on images at a path: "
            "remove it, or pass --dataset PATH if they have moved"
        )
    # A published run may come from another machine.
    known = found.data_dir if found.data_dir is not None and found.data_dir.is_dir() else None
    return replace(found, data_dir=data_dir or known)


def run_family_files(folder: RunFolder, family: str | None = None) -> tuple[tuple[str, str], ...]:
    """The files of families that were given by path, of the last session of a run: name, absolute path.

    Args:
        folder: the run.
        family: where the family of the run is now, e.g. my.py:build_model; None if it has not moved.

    Raises:
        SpecError: `family` is not found, or is not that of the run.
        RecordError: the spec or the ledger is damaged.
    """
    if family is None:
        return last_options(folder).family_files
    spec = folder.read_spec()
    (located,) = locate_families([family])
    if not isinstance(spec, SearchSpec) or spec.definition != located.definition:
        defined = spec.definition if isinstance(spec, SearchSpec) else None
        raise SpecError(f"the run {folder.run_id} was trained with {defined or spec.model}, got --family {family}")
    return () if located.file is None else ((spec.family, located.file),)


def resume_blocker(folder: RunFolder) -> str | None:
    """Why an unfinished run cannot be resumed here; None if it can."""
    if folder.in_use:
        return "another process is working on it"
    try:
        spec = folder.read_spec()
        options = last_options(folder)
        options.dataset.definition()
        if model_source(spec, options) != spec.source:
            return f"the code of {spec.model!r} has changed since it was started"
        if options.scheduler is None:
            check_environment(folder, environment())
    except BenchError as error:
        return str(error)
    return None
