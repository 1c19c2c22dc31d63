"""Run folders: spec and append-only ledger, then predictions and record."""

import io
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import filelock
import numpy as np

from bench.errors import RecordError
from bench.records.encoding import convert, encode, parse, read_bytes
from bench.records.files import append_line, lock_folder, write_atomic
from bench.records.ledger import LedgerEvent, TrialEnded
from bench.records.migrations import upgrade_event, upgrade_record, upgrade_spec
from bench.records.predictions import Predictions
from bench.records.record import READABLE_SCHEMAS, RunRecord
from bench.records.reproductions import Reproduction, append_reproduction, read_reproductions
from bench.records.spec import RunSpec


class RunFolder:
    """The folder of one run: spec.json, trials.jsonl, models, predictions.npz and record.json."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    def spec_file(self) -> Path:
        """The specification."""
        return self.path / "spec.json"

    @property
    def ledger(self) -> Path:
        """The append-only file of events."""
        return self.path / "trials.jsonl"

    @property
    def record_file(self) -> Path:
        """The record; exists only if the run is finished."""
        return self.path / "record.json"

    @property
    def predictions_file(self) -> Path:
        """The predictions, written before the record."""
        return self.path / "predictions.npz"

    @property
    def reproductions_file(self) -> Path:
        """The log of reproductions; exists only if the run has been reproduced."""
        return self.path / "reproductions.jsonl"

    @property
    def models_dir(self) -> Path:
        """Models of the refits; ignored by git, so it exists only on machines that trained the run."""
        return self.path / "models"

    @property
    def finished(self) -> bool:
        """Whether the record has been written."""
        return self.record_file.exists()

    @property
    def published(self) -> bool:
        """Whether the run is finished but its models are not on this machine, so that it can be reproduced."""
        return self.finished and not self.models_dir.is_dir()

    def model_file(self, number: int) -> Path:
        """The Keras model of a refit."""
        return self.models_dir / f"refit-{number}.keras"

    def state_file(self, trial_id: str) -> Path:
        """Weights and optimizer state of a trial that may be promoted."""
        return self.path / "states" / f"{trial_id}.npz"

    def lock(self) -> filelock.FileLock:
        """Lock the run for this process, as long as the returned lock is referenced.

        Raises:
            StoreError: another process is using the run.
        """
        return lock_folder(self.path)

    def write_spec(self, spec: RunSpec) -> None:
        """Write the specification unless it exists."""
        if not self.spec_file.exists():
            write_atomic(self.spec_file, encode(spec, self.spec_file, indent=1))

    def read_spec(self) -> RunSpec:
        """The specification.

        Raises:
            RecordError: the file is missing or damaged.
        """
        where = str(self.spec_file)
        with self._remedy():
            spec: RunSpec = _upgraded(RunSpec, upgrade_spec, parse(read_bytes(self.spec_file), where), where)
            return spec

    def append(self, event: LedgerEvent) -> None:
        """Append an event to the ledger; it is on disk when this returns.

        Raises:
            StoreError: the line could not be written; the ledger is unchanged.
            RecordError: the event contains a number that is not finite; the ledger is unchanged.
        """
        append_line(self.ledger, encode(event, self.ledger))

    def events(self) -> list[LedgerEvent]:
        """All events in order; a last line torn by a kill is skipped, and overwritten by `append`.

        Raises:
            RecordError: the file cannot be read, or a line other than a torn last one is damaged.
        """
        if not self.ledger.exists():
            return []
        # The torn line is not removed, since another process may be writing it at this moment.
        lines = read_bytes(self.ledger).split(b"\n")[:-1]
        with self._remedy():
            return [self._event(line, f"{self.ledger}:{number}") for number, line in enumerate(lines, 1)]

    def _event(self, line: bytes, where: str) -> LedgerEvent:
        event: LedgerEvent = _upgraded(LedgerEvent, upgrade_event, parse(line, where), where)
        return event

    def write_predictions(self, predictions: Predictions) -> None:
        """Write the predictions; call it before `write_record`, so that no record lacks them."""
        buffer = io.BytesIO()
        np.savez_compressed(buffer, **{name: getattr(predictions, name) for name in Predictions.__slots__})
        write_atomic(self.predictions_file, buffer.getvalue())

    def write_record(self, record: RunRecord) -> None:
        """Write the record, the last step of a run."""
        write_atomic(self.record_file, encode(record, self.record_file, indent=1))

    def read_record(self) -> RunRecord:
        """The record of the finished run.

        Raises:
            RecordError: the file is missing, damaged, or of an unknown schema.
        """
        where = str(self.record_file)
        with self._remedy():
            fields = parse(read_bytes(self.record_file), where)
            schema = fields.get("schema") if isinstance(fields, dict) else None
            if schema in READABLE_SCHEMAS:
                record: RunRecord = _upgraded(RunRecord, upgrade_record, fields, where)
                return record
        raise RecordError(
            f"{where}: found schema {schema!r}, expected {READABLE_SCHEMAS[0]} to {READABLE_SCHEMAS[-1]}: "
            "upgrade this package, or restore the file"
        )

    @contextmanager
    def _remedy(self) -> Iterator[None]:
        """Add what to do to the message of a RecordError."""
        try:
            yield
        except RecordError as error:
            remedy = f"restore the file, or `python -m bench runs delete {self.path.name}`"
            raise RecordError(f"{error}: {remedy}") from error

    def read_predictions(self, record: RunRecord) -> Predictions:
        """The predictions that belong to `record`.

        Raises:
            RecordError: the file is missing or damaged, or belongs to another record.
        """
        with self._remedy():
            # In memory, since NumPy does not close a damaged file.
            content = io.BytesIO(read_bytes(self.predictions_file))
            try:
                with np.load(content, allow_pickle=False) as arrays:
                    predictions = Predictions(**{name: arrays[name] for name in Predictions.__slots__})
            except Exception as error:  # NumPy and zipfile raise many types for a damaged file
                raise RecordError(f"{self.predictions_file}: cannot be read: {error}") from error
        if predictions.digest() != record.predictions_sha256:
            raise RecordError(
                f"{self.predictions_file}: {self.record_file.name} expects digest {record.predictions_sha256[:16]}, "
                f"found {predictions.digest()[:16]}: restore both files from the same run"
            )
        return predictions

    def append_reproduction(self, reproduction: Reproduction) -> None:
        """Log a reproduction of this published run."""
        append_reproduction(self.reproductions_file, reproduction)

    def reproductions(self) -> tuple[Reproduction, ...]:
        """All reproductions of this published run, oldest first.

        Raises:
            RecordError: the file cannot be read, or a line is damaged.
        """
        return read_reproductions(self.reproductions_file)

    def check(self) -> None:
        """Check every file of a finished run, including those not needed for the report.

        Raises:
            RecordError: a file is missing or damaged, or two files belong to different runs.
        """
        record = self.read_record()
        self.read_predictions(record)
        self.reproductions()
        if self.ledger.exists() and not read_bytes(self.ledger).endswith(b"\n"):
            raise RecordError(f"{self.ledger}: the last line is cut off although the run is finished: restore the file")
        if self.read_spec() != record.spec:
            raise RecordError(f"{self.spec_file}: differs from the spec in {self.record_file.name}: restore the file")
        logged = {event.trial.trial_id: event.trial for event in self.events() if isinstance(event, TrialEnded)}
        for trial in record.search.trials if record.search is not None else ():
            if trial.duplicate_of is None and logged.get(trial.trial_id) != trial:
                raise RecordError(
                    f"{self.ledger}: trial {trial.trial_id} differs from {self.record_file.name}: restore the file"
                )

    def disk_bytes(self) -> int:
        """Total size of the folder's files in bytes."""
        return sum(_file_bytes(file) for file in self.path.rglob("*"))


def _upgraded(kind: Any, upgrade: Callable[[Any], Any], fields: Any, where: str) -> Any:
    """Convert plain values of any schema to an object of type `kind`."""
    try:
        fields = upgrade(fields)
    except (KeyError, TypeError, AttributeError) as error:
        raise RecordError(f"{where}: does not match any known schema: {type(error).__name__}: {error}") from error
    return convert(kind, fields, where)


def _file_bytes(path: Path) -> int:
    try:
        status = path.stat()
    except FileNotFoundError:  # deleted by an active run
        return 0
    return status.st_size if stat.S_ISREG(status.st_mode) else 0


def now() -> str:
    """The current time in the format of records: ISO 8601, UTC, milliseconds."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def run_folder(results: Path, spec: RunSpec, repeat: int = 1) -> RunFolder:
    """The folder of `spec` under `results`; `repeat` counts from 1, and each rerun gets the next number."""
    suffix = "" if repeat == 1 else f"-repeat{repeat}"
    return RunFolder(results / "records" / spec.dataset / f"{spec.name}{suffix}")


def all_folders(results: Path) -> Iterator[RunFolder]:
    """All runs in `results`, finished or not, sorted by path."""
    # A folder that lacks one of the two files is still listed, so that the loss is noticed.
    files = [file for name in ("spec.json", "record.json") for file in (results / "records").glob(f"*/*/{name}")]
    for path in sorted({file.parent for file in files}):
        yield RunFolder(path)
