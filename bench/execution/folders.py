"""Choose the run folder of a spec: a new, an unfinished or a complete one."""

import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from bench.errors import RecordError
from bench.records.ledger import sessions
from bench.records.record import RunRecord
from bench.records.spec import RunSpec, SearchSpec
from bench.records.store import RunFolder, all_folders, run_folder


@dataclass(frozen=True, slots=True, kw_only=True)
class Assignment:
    """A spec and its run folder."""

    spec: RunSpec
    folder: RunFolder
    published: RunFolder | None = None  # the run that it reproduces
    note: str | None = None  # for the user


def assign(results: Path, spec: RunSpec, *, again: bool) -> Assignment:
    """Choose the folder of `spec`; `again` always chooses a new one.

    Raises:
        RecordError: a run with this spec is damaged.
    """
    number = _latest_number(results, spec)
    latest, new = run_folder(results, spec, number), run_folder(results, spec, number + 1)
    if again:
        return Assignment(spec=spec, folder=new)
    if number and not latest.published:
        return Assignment(spec=spec, folder=latest) if latest.finished else resume_in(latest)
    matches = _finished_matches(results, spec)
    for folder, record in matches:
        if not folder.published and spec.source in record.sources and _has_results_of(spec, folder, record):
            return Assignment(spec=spec, folder=folder)
    published = _published(spec, matches)
    if published is not None:
        published.check()
    note = None
    if published is None and (changed := next((folder for folder, _ in matches if folder.published), None)):
        note = f"The code of {spec.model!r} differs from that of the published run {changed.run_id}: starting a new run"
    return Assignment(spec=spec, folder=new, published=published, note=note)


def resume_in(folder: RunFolder) -> Assignment:
    """The assignment of an unfinished run.

    Raises:
        RecordError: its spec or its ledger is damaged.
    """
    spec = folder.read_spec()
    started = sessions(folder.events())
    if not started:  # killed before the ledger named the run to reproduce
        published = _published(spec, _finished_matches(folder.results, spec))
    else:
        reproduces = started[0].reproduces
        published = None if reproduces is None else RunFolder(folder.path.with_name(reproduces))
    if published is not None and not published.finished:
        published = None  # deleted in the meantime
    if published is not None:
        published.check()  # before training: the results could not be compared with a damaged run
    return Assignment(spec=spec, folder=folder, published=published)


@contextmanager
def locked(folder: RunFolder) -> Iterator[None]:
    """Lock a run for this process; afterwards remove the folder of a run that did not start.

    Raises:
        StoreError: another process is working on the run.
    """
    with folder.lock():
        try:
            yield
        finally:
            if not folder.spec_file.exists():
                shutil.rmtree(folder.path, ignore_errors=True)
                with suppress(OSError):  # not empty
                    folder.path.parent.rmdir()
                    folder.path.parent.parent.rmdir()


def _latest_number(results: Path, spec: RunSpec) -> int:
    """The highest repeat number of a run named after `spec`, 0 if there is none."""
    number = 0
    while (folder := run_folder(results, spec, number + 1)).spec_file.exists() or folder.finished:
        number += 1
    return number


def _published(spec: RunSpec, matches: Sequence[tuple[RunFolder, RunRecord]]) -> RunFolder | None:
    """The published run that `spec` reproduces: no reproduction, preferably of the same precision, then the newest."""
    candidates = [
        (not _differs(record.spec, spec, "source"), record.finished, folder)
        for folder, record in matches
        if folder.published and record.reproduces is None and spec.source in record.sources
    ]
    return max(candidates, key=lambda candidate: candidate[:2])[2] if candidates else None


def _finished_matches(results: Path, spec: RunSpec) -> list[tuple[RunFolder, RunRecord]]:
    """Finished runs, of any schema, whose specs differ from `spec` at most in code and search precision."""
    matches = []
    for folder in all_folders(results):
        if folder.dataset != spec.dataset or not folder.finished:
            continue
        try:
            other = folder.read_spec()
        except RecordError:  # reported by commands that list runs
            continue
        if not _differs(other, spec, "source", "precision"):
            matches.append((folder, folder.read_record()))
    return matches


def _differs(spec: RunSpec, other: RunSpec, *ignored: str) -> bool:
    return bool(spec.differences(other).keys() - set(ignored))


def _has_results_of(spec: RunSpec, folder: RunFolder, record: RunRecord) -> bool:
    """Whether a run has the precision of `spec`, or was reproduced bit for bit with it."""
    if not isinstance(spec, SearchSpec) or not _differs(record.spec, spec, "source"):
        return True
    return any(entry.identical and entry.search_precision == spec.precision for entry in folder.reproductions())
