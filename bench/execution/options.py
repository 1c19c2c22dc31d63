"""Execution options, which do not affect results unless a trial exceeds its timeout."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.data.catalog import DatasetLocation
from bench.data.samples import Reading
from bench.records.ledger import SessionOptions
from bench.records.limits import MAX_WORKERS
from bench.records.spec import RunSpec, SearchSpec, require, require_address, require_seconds
from search_spaces import FamilyLocation


def family_files(families: Sequence[FamilyLocation]) -> tuple[tuple[str, str], ...]:
    """The files of families that were given by path: name, absolute path."""
    return tuple((family.name, family.file) for family in families if family.file is not None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """Where results and data are, and which workers train."""

    results: Path
    dataset: DatasetLocation
    workers: int  # processes on this machine; ignored when `scheduler` is set
    scheduler: str | None = None  # address of the user's Dask cluster
    trial_timeout: float | None = None  # seconds; a trial that takes longer is retried once, then recorded as failed
    again: bool = False  # rerun a run that is complete
    family_files: tuple[tuple[str, str], ...] = ()  # families that were given by path: name, absolute path

    def __post_init__(self) -> None:
        require("workers", self.workers, 1, MAX_WORKERS)
        require_address("--scheduler", self.scheduler)
        require_seconds("--trial-timeout", self.trial_timeout)

    def family(self, spec: SearchSpec) -> FamilyLocation:
        """Where the family of a search is."""
        return FamilyLocation(name=spec.family, definition=spec.definition, file=self.family_file(spec))

    def family_file(self, spec: RunSpec) -> str | None:
        """Absolute path of the file of a family that was given by path."""
        is_definition = isinstance(spec, SearchSpec) and spec.definition is not None
        return dict(self.family_files).get(spec.model) if is_definition else None

    def for_ledger(self) -> SessionOptions:
        """The options that `bench resume` needs."""
        path, data_dir = self.dataset.path, self.dataset.data_dir
        return SessionOptions(
            workers=self.workers,
            scheduler=self.scheduler,
            data_dir=None if data_dir is None else str(data_dir),
            trial_timeout=self.trial_timeout,
            dataset_path=None if path is None else str(path),
            dataset_digest=self.dataset.digest,
            image_size=self.dataset.reading.image_size,
            class_names=self.dataset.reading.class_names,
            family_files=self.family_files,
        )

    @classmethod
    def from_ledger(cls, results: Path, dataset: str, session: SessionOptions) -> "Options":
        """The options of an earlier session of a run on `dataset`."""
        location = DatasetLocation(
            name=dataset,
            path=None if session.dataset_path is None else Path(session.dataset_path),
            data_dir=None if session.data_dir is None else Path(session.data_dir),
            reading=Reading(image_size=session.image_size, class_names=session.class_names),
            digest=session.dataset_digest,
        )
        return cls(
            results=results,
            dataset=location,
            workers=session.workers,
            scheduler=session.scheduler,
            trial_timeout=session.trial_timeout,
            family_files=session.family_files,
        )
