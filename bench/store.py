"""Where runs are kept: an append-only ledger while one is going on, then a record and its predictions, written once."""

import io
import json
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import filelock
import msgspec
import numpy as np

from bench.errors import BenchError, RecordError
from bench.files import append_line, lock_folder, write_atomic
from bench.predictions import Predictions
from bench.record import READABLE_SCHEMAS, DatasetFacts, Environment, RefitRecord, RunRecord, TrialRecord
from bench.spec import RunSpec, Value

EVENT_FIELDS = {
    "session": {"environment", "dataset", "time"},
    "asked": {"time", "trial_id", "values"},
    "told": {"time", "trial"},
    "refit": {"time", "refit"},
}


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerEvent:
    """One line of trials.jsonl; only the fields that belong to `event` are set."""

    event: Literal["session", "asked", "told", "refit"]
    environment: Environment | None = None  # session
    dataset: DatasetFacts | None = None  # session
    time: str  # ISO 8601 UTC
    trial_id: str | None = None  # asked
    values: Mapping[str, Value] | None = None  # asked: what the oracle proposed
    trial: TrialRecord | None = None  # told
    refit: RefitRecord | None = None  # refit

    def __post_init__(self) -> None:
        found = {name for name in self.__slots__ if name != "event" and getattr(self, name) is not None}
        if found != EVENT_FIELDS[self.event]:
            raise RecordError(
                f"event {self.event!r} has the fields {', '.join(sorted(found)) or 'none'}, "
                f"expected {', '.join(sorted(EVENT_FIELDS[self.event]))}"
            )


def _decode(kind: Any, content: bytes, where: str) -> Any:
    try:
        return msgspec.json.decode(content, type=kind)
    except (msgspec.MsgspecError, ValueError, BenchError) as error:
        raise RecordError(f"{where}: {error}") from error


def _encode(value: object, where: Path, *, indent: int | None = None) -> bytes:
    separators = (",", ":") if indent is None else None
    fields = msgspec.to_builtins(value)
    if isinstance(value, LedgerEvent):
        fields = {name: field for name, field in fields.items() if field is not None}
    try:
        # Not msgspec's own encoder: it writes NaN as null, which cannot be read back.
        text = json.dumps(fields, allow_nan=False, ensure_ascii=False, indent=indent, separators=separators)
    except ValueError as error:
        raise RecordError(f"{where}: a number to be kept in it is not finite: {fields}") from error
    return text.encode() + b"\n"


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise RecordError(f"{path}: {error.strerror or error}") from error


@dataclass(frozen=True, slots=True, kw_only=True)
class _Schema:
    """What of a record may be read whatever its schema is."""

    schema: Any = None


@dataclass(frozen=True, slots=True, kw_only=True)
class _TestReading:
    """One line of test_readings.jsonl."""

    time: str  # ISO 8601 UTC
    run: str  # folder name


class RunFolder:
    """The folder of one run: spec.json, trials.jsonl, then record.json and predictions.npz; models beside them."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    def ledger(self) -> Path:
        """The append-only file of what happened."""
        return self.path / "trials.jsonl"

    @property
    def record_file(self) -> Path:
        """Exists exactly when the run is finished."""
        return self.path / "record.json"

    @property
    def predictions_file(self) -> Path:
        """Written before the record."""
        return self.path / "predictions.npz"

    @property
    def finished(self) -> bool:
        """Whether the record has been written."""
        return self.record_file.exists()

    def model_file(self, seed_number: int) -> Path:
        """Where the refit of that number keeps its Keras model."""
        return self.path / "models" / f"refit-{seed_number}.keras"

    def state_file(self, trial_id: str) -> Path:
        """Where weights and optimizer state wait for a promotion."""
        return self.path / "states" / f"{trial_id}.npz"

    def lock(self) -> filelock.FileLock:
        """A lock that this process holds while it works on the run; freed by the system when the process dies.

        It holds as long as somebody keeps the object that is returned.

        Raises:
            StoreError: another process works on the run.
        """
        return lock_folder(self.path)

    def write_spec(self, spec: RunSpec) -> None:
        """Keep what was asked, once."""
        if not self.spec_file.exists():
            write_atomic(self.spec_file, _encode(spec, self.spec_file, indent=1))

    @property
    def spec_file(self) -> Path:
        """What was asked."""
        return self.path / "spec.json"

    def read_spec(self) -> RunSpec:
        """What was asked.

        Raises:
            RecordError: the file is missing or damaged.
        """
        spec: RunSpec = _decode(RunSpec, _read(self.spec_file), str(self.spec_file))
        return spec

    def append(self, event: LedgerEvent) -> None:
        """Add one line to the ledger; it is on disk when this returns.

        Raises:
            StoreError: the line could not be written; the ledger is as it was.
            RecordError: the event holds a number that is not finite; the ledger is as it was.
        """
        append_line(self.ledger, _encode(event, self.ledger))

    def events(self) -> list[LedgerEvent]:
        """All lines of the ledger in order; a torn last line, left by a kill, is left out and overwritten by `append`.

        Raises:
            RecordError: the file cannot be read, or a line other than a torn last one is damaged.
        """
        if not self.ledger.exists():
            return []
        # Cutting the torn line off here would harm a run that is being written while somebody looks at it.
        lines = _read(self.ledger).split(b"\n")[:-1]
        return [_decode(LedgerEvent, line, f"{self.ledger}:{number}") for number, line in enumerate(lines, 1)]

    def write_predictions(self, predictions: Predictions) -> None:
        """Keep the predictions; written before the record, so that a record never lacks them."""
        buffer = io.BytesIO()
        np.savez_compressed(buffer, **{name: getattr(predictions, name) for name in Predictions.__slots__})
        write_atomic(self.predictions_file, buffer.getvalue())

    def write_record(self, record: RunRecord) -> None:
        """The last act of a run."""
        write_atomic(self.record_file, _encode(record, self.record_file, indent=1))

    def read_record(self) -> RunRecord:
        """The finished run.

        Raises:
            RecordError: the file is missing, damaged, or of an unknown schema.
        """
        content = _read(self.record_file)
        schema = self._decode_record(_Schema, content).schema
        if schema not in READABLE_SCHEMAS:
            raise RecordError(
                f"{self.record_file}: schema {schema!r}, this version reads "
                f"{READABLE_SCHEMAS[0]} to {READABLE_SCHEMAS[-1]}: update the suite, or restore the file"
            )
        record: RunRecord = self._decode_record(RunRecord, content)
        return record

    def _decode_record(self, kind: Any, content: bytes) -> Any:
        try:
            return _decode(kind, content, str(self.record_file))
        except RecordError as error:
            remedy = f"restore the file, or `python -m bench runs delete {self.path.name}`"
            raise RecordError(f"{error}: {remedy}") from error

    def check(self) -> None:
        """Read whatever a finished run has kept, what no table is made from included.

        Raises:
            RecordError: a file is missing or damaged, or two of them are of different runs.
        """
        record = self.read_record()
        self.read_predictions(record)
        if self.ledger.exists() and not _read(self.ledger).endswith(b"\n"):
            raise RecordError(f"{self.ledger}: its last line is cut off, and the run is finished: restore it")
        if self.read_spec() != record.spec:
            raise RecordError(f"{self.spec_file}: asks for another run than {self.record_file.name}: restore it")
        told = {event.trial.trial_id: event.trial for event in self.events() if event.trial is not None}
        for trial in record.trials:
            if trial.repeats is None and told.get(trial.trial_id) != trial:
                raise RecordError(f"{self.ledger}: has another trial {trial.trial_id} than {self.record_file.name}")

    def read_predictions(self, record: RunRecord) -> Predictions:
        """The predictions that `record` was written with.

        Raises:
            RecordError: the file is missing or damaged, or is not the one the record names.
        """
        # Read here: NumPy leaves the file open where it is damaged.
        try:
            content = io.BytesIO(_read(self.predictions_file))
        except RecordError as error:
            remedy = f"restore the file, or `python -m bench runs delete {self.path.name}`"
            raise RecordError(f"{error}: {remedy}") from error
        try:
            with np.load(content, allow_pickle=False) as arrays:
                predictions = Predictions(**{name: arrays[name] for name in Predictions.__slots__})
        except Exception as error:  # NumPy and zipfile raise many kinds for a damaged file
            raise RecordError(f"{self.predictions_file}: cannot be read: {error}") from error
        if predictions.digest() != record.predictions_sha256:
            raise RecordError(
                f"{self.predictions_file}: digest {predictions.digest()[:16]}, "
                f"{self.record_file.name} expects {record.predictions_sha256[:16]}: restore both from one run"
            )
        return predictions

    def disk_bytes(self) -> int:
        """Bytes that the folder's files use."""
        return sum(_file_bytes(file) for file in self.path.rglob("*"))


def _file_bytes(path: Path) -> int:
    try:
        found = path.stat()
    except FileNotFoundError:  # a run that is going on removes states and temporary files
        return 0
    return found.st_size if stat.S_ISREG(found.st_mode) else 0


def now() -> str:
    """The time as records keep it: ISO 8601, UTC, to the millisecond."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def run_folder(results: Path, spec: RunSpec, repeat: int = 1) -> RunFolder:
    """The folder of `spec` under `results`; `repeat` counts deliberate repetitions from 1."""
    suffix = "" if repeat == 1 else f"-repeat{repeat}"
    return RunFolder(results / "records" / spec.dataset / f"{spec.name}{suffix}")


def all_folders(results: Path) -> Iterator[RunFolder]:
    """Every run under `results`, finished or not, in the order of their paths."""
    # A folder that lost one of the two files is still told of, so that the loss is seen.
    files = [file for name in ("spec.json", "record.json") for file in (results / "records").glob(f"*/*/{name}")]
    for path in sorted({file.parent for file in files}):
        yield RunFolder(path)


def note_test_reading(results: Path, dataset: str, run_id: str, time: str) -> None:
    """Add one line to the ledger of how often the sealed test part of `dataset` was read for this results folder."""
    path = _test_readings(results, dataset)
    append_line(path, _encode(_TestReading(time=time, run=run_id), path))


def count_test_readings(results: Path, dataset: str) -> int:
    """How often the sealed test part of `dataset` was read for this results folder.

    Raises:
        RecordError: the ledger of readings cannot be read, or a line of it is damaged.
    """
    path = _test_readings(results, dataset)
    # A torn last line is a reading that was not begun: the line is on disk before the test part is read.
    lines = _read(path).split(b"\n")[:-1] if path.exists() else []
    for number, line in enumerate(lines, 1):
        _decode(_TestReading, line, f"{path}:{number}")
    return len(lines)


def _test_readings(results: Path, dataset: str) -> Path:
    return results / "records" / dataset / "test_readings.jsonl"
