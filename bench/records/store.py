"""Run folders: spec and append-only ledger, then predictions and record."""

import os
import re
import stat
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from bench.errors import RecordError
from bench.records.encoding import encode, read_bytes, read_json, read_lines
from bench.records.files import append_line, is_locked, lock_folder, write_atomic
from bench.records.ledger import LedgerEvent, ended_trials
from bench.records.plain import PlainKeras
from bench.records.predictions import Predictions
from bench.records.record import READABLE_SCHEMAS, RunRecord
from bench.records.reproductions import Reproduction
from bench.records.spec import RunSpec
from bench.records.upgrades import upgrade_event, upgrade_record, upgrade_spec

REPEAT = re.compile(r"-repeat\d+$")  # at the end of the run id of a rerun


class _Versioned(msgspec.Struct):
    schema: Any = None


class RunFolder:
    """The folder of one run: spec.json, trials.jsonl, models, predictions.npz and record.json."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.spec_file = path / "spec.json"
        self.ledger = path / "trials.jsonl"  # append-only events
        self.predictions_file = path / "predictions.npz"  # written before the record
        self.record_file = path / "record.json"  # exists only if the run is finished
        self.reproductions_file = path / "reproductions.jsonl"  # exists only if the run has been reproduced
        self.plain_file = path / "plain_keras.json"  # absent if the model has no such code
        self.states_dir = path / "states"  # of trials that may be promoted; exists during a search only
        self.models_dir = path / "models"  # ignored by git, so it exists only on machines that trained the run

    @property
    def run_id(self) -> str:
        """The name of the folder; that of a record of an older schema may differ."""
        return self.path.name

    @property
    def dataset(self) -> str:
        """The name of the dataset."""
        return self.path.parent.name

    @property
    def results(self) -> Path:
        """The results folder that it is in."""
        return self.path.parents[2]

    @property
    def finished(self) -> bool:
        """Whether the record has been written."""
        return self.record_file.exists()

    @property
    def published(self) -> bool:
        """Whether the run is finished but its models are not on this machine, so that it can be reproduced."""
        return self.finished and not self.models_dir.is_dir()

    @property
    def in_use(self) -> bool:
        """Whether a process is working on the run; an unfinished run that is not in use was interrupted."""
        return is_locked(self.path)

    def model_file(self, number: int) -> Path:
        """The Keras model of a refit."""
        return self.models_dir / f"refit-{number}.keras"

    def state_file(self, trial_id: str) -> Path:
        """Weights and optimizer state of a trial that may be promoted."""
        return self.states_dir / f"{trial_id}.npz"

    def lock(self) -> AbstractContextManager[None]:
        """Lock the run for this process inside the block.

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
        with self._remedy():
            spec: RunSpec = read_json(RunSpec, self.spec_file, upgrade_spec)
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
        with self._remedy():
            return read_lines(LedgerEvent, self.ledger, upgrade_event)

    def write_predictions(self, predictions: Predictions) -> None:
        """Write the predictions; call it before `write_record`, so that no record lacks them."""
        predictions.write(self.predictions_file)

    def write_record(self, record: RunRecord) -> None:
        """Write the record, the last step of a run."""
        write_atomic(self.record_file, encode(record, self.record_file, indent=1))

    def schema(self) -> Any:
        """The schema of the record as it was written; `read_record` upgrades older ones.

        Raises:
            RecordError: the file is missing or damaged.
        """
        with self._remedy():
            return read_json(_Versioned, self.record_file).schema

    def read_record(self) -> RunRecord:
        """The record of the finished run.

        Raises:
            RecordError: the file is missing, damaged, or of an unknown schema.
        """
        if (schema := self.schema()) not in READABLE_SCHEMAS:
            raise RecordError(
                f"{self.record_file}: found schema {schema!r}, expected {READABLE_SCHEMAS[0]} to "
                f"{READABLE_SCHEMAS[-1]}: upgrade this package, or restore the file"
            )
        with self._remedy():
            record: RunRecord = read_json(RunRecord, self.record_file, upgrade_record)
            return record

    @contextmanager
    def _remedy(self) -> Iterator[None]:
        """Add to the message of a RecordError, which ends with "restore the file", the other remedy."""
        try:
            yield
        except RecordError as error:
            raise RecordError(f"{error}, or `python -m bench runs delete {self.run_id}`") from error

    def read_predictions(self, record: RunRecord) -> Predictions:
        """The predictions that belong to `record`.

        Raises:
            RecordError: the file is missing or damaged, or belongs to another record.
        """
        with self._remedy():
            predictions = Predictions.read(self.predictions_file)
        if predictions.digest() != record.predictions_sha256:
            raise RecordError(
                f"{self.predictions_file}: {self.record_file.name} expects digest {record.predictions_sha256[:16]}, "
                f"found {predictions.digest()[:16]}: restore both files from the same run"
            )
        return predictions

    def append_reproduction(self, reproduction: Reproduction) -> None:
        """Log a reproduction of this published run."""
        append_line(self.reproductions_file, encode(reproduction, self.reproductions_file))

    def reproductions(self) -> tuple[Reproduction, ...]:
        """All reproductions of this published run, oldest first.

        Raises:
            RecordError: the file cannot be read, or a line is damaged.
        """
        # A torn last line is appended again when its run is resumed.
        return tuple(read_lines(Reproduction, self.reproductions_file))

    def write_plain(self, plain: PlainKeras) -> None:
        """Write the model as plain Keras code."""
        write_atomic(self.plain_file, encode(plain, self.plain_file, indent=1))

    def read_plain(self) -> PlainKeras | None:
        """The model as plain Keras code; None if it has none.

        Raises:
            RecordError: the file is damaged.
        """
        if not self.plain_file.exists():
            return None
        plain: PlainKeras = read_json(PlainKeras, self.plain_file)
        return plain

    def check(self) -> None:
        """Check every file of a finished run, including those not needed for the report.

        Raises:
            RecordError: a file is missing or damaged, or two files belong to different runs.
        """
        record = self.read_record()
        self.read_predictions(record)
        self.reproductions()
        self.read_plain()
        if not read_bytes(self.ledger).endswith(b"\n"):
            raise RecordError(f"{self.ledger}: the last line is cut off although the run is finished: restore the file")
        if self.read_spec() != record.spec:
            raise RecordError(f"{self.spec_file}: differs from the spec in {self.record_file.name}: restore the file")
        logged = ended_trials(self.events())
        for trial in record.trials:
            if trial.duplicate_of is None and logged.get(trial.trial_id) != trial:
                raise RecordError(
                    f"{self.ledger}: trial {trial.trial_id} differs from {self.record_file.name}: restore the file"
                )

    def disk_bytes(self) -> int:
        """Total size of the folder's files in bytes; an active run may delete some of them meanwhile."""
        return sum(_file_bytes(Path(folder, name)) for folder, _, names in os.walk(self.path) for name in names)


def _file_bytes(path: Path) -> int:
    try:
        status = path.stat()
    except FileNotFoundError:
        return 0
    return status.st_size if stat.S_ISREG(status.st_mode) else 0


def now() -> str:
    """The current time in the format of records: ISO 8601, UTC, milliseconds."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def run_folder(results: Path, spec: RunSpec, repeat: int = 1) -> RunFolder:
    """The folder of `spec` under `results`; `repeat` counts from 1, and each rerun gets the next number."""
    suffix = "" if repeat == 1 else f"-repeat{repeat}"
    return RunFolder(results / "records" / spec.dataset / f"{spec.name}{suffix}")


def without_digest(run_id: str) -> str:
    """The model, and the tuner of a search, in the name of a run folder."""
    return REPEAT.sub("", run_id).rpartition("-")[0]


def all_folders(results: Path) -> Iterator[RunFolder]:
    """All runs in `results`, finished or not, sorted by path."""
    # A folder that lacks one of the two files is still listed, so that the loss is noticed.
    files = [file for name in ("spec.json", "record.json") for file in (results / "records").glob(f"*/*/{name}")]
    for path in sorted({file.parent for file in files}):
        yield RunFolder(path)
