"""Where runs are kept: an append-only ledger while one is going on, then a record and its predictions, written once."""

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import filelock
import msgspec
import numpy as np
from numpy.typing import NDArray

from bench.errors import RecordError, StoreError
from bench.record import SCHEMA_VERSION, DatasetFacts, Environment, RefitRecord, RunRecord, TrialRecord
from bench.spec import RunSpec, Value

MIN_FREE_BYTES = 50 * 2**20


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerEvent:
    """One line of trials.jsonl; only the fields that belong to `event` are set."""

    event: Literal["session", "asked", "told", "refit"]
    environment: Environment | None = None  # session
    dataset: DatasetFacts | None = None  # session
    time: str | None = None  # session: when it started, ISO 8601 UTC
    trial_id: str | None = None  # asked
    values: Mapping[str, Value] | None = None  # asked: what the oracle proposed
    trial: TrialRecord | None = None  # told
    refit: RefitRecord | None = None  # refit


@dataclass(frozen=True, slots=True, kw_only=True)
class Predictions:
    """What the refits said of the sealed test part; every published metric is computed from this and nothing else.

    float16 log-probabilities keep the log loss of confident mistakes, which float16 probabilities would ruin.
    """

    log_probabilities: NDArray[np.float16]  # (seeds, n_test, classes), natural logarithm
    labels: NDArray[np.int64]  # (n_test,)
    seeds: NDArray[np.int64]  # (seeds,)
    wrong_indices: NDArray[np.int64]  # (m,) test images that all seeds together get most confidently wrong
    wrong_images: NDArray[np.uint8]  # (m, height, width, channels)

    def digest(self) -> str:
        """SHA-256 over the arrays, their shapes and types."""
        found = hashlib.sha256()
        for name in self.__slots__:
            array = np.ascontiguousarray(getattr(self, name))
            found.update(f"{name} {array.dtype} {array.shape}".encode())
            found.update(array.tobytes())
        return found.hexdigest()


def write_atomic(path: Path, content: bytes) -> None:
    """Put `content` at `path` whole or not at all, on disk when this returns.

    Raises:
        StoreError: the file cannot be written; a file that was there before is untouched.
    """
    temporary = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        temporary = Path(name)
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.chmod(0o644)
        temporary.replace(path)
        _fsync_folder(path.parent)
    except OSError as error:
        if temporary is not None:
            temporary.unlink(missing_ok=True)
        raise StoreError(f"cannot write {path}: {error.strerror or error}. Free space or choose another folder") from error


def _fsync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def check_writable(results: Path) -> None:
    """Find out before hours are spent whether `results` can be written and has room.

    Raises:
        StoreError: it cannot be made, cannot be written, or has less than 50 MiB free.
    """
    probe = results / ".write-probe"
    write_atomic(probe, b"ok")
    probe.unlink()
    free = shutil.disk_usage(results).free
    if free < MIN_FREE_BYTES:
        raise StoreError(
            f"{results} has {free / 2**20:.1f} MiB free, at least {MIN_FREE_BYTES // 2**20} MiB are needed: "
            "free space or choose another folder with --results"
        )


def _decode(kind: Any, content: bytes, where: str) -> Any:
    try:
        return msgspec.json.decode(content, type=kind)
    except (msgspec.DecodeError, msgspec.ValidationError, ValueError) as error:
        raise RecordError(f"{where}: {error}") from error


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

        Raises:
            StoreError: another process works on the run.
        """
        lock = filelock.FileLock(self.path / ".lock")
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            lock.acquire(timeout=0)
        except filelock.Timeout as error:
            raise StoreError(f"another process is working on {self.path}: wait for it, or end it and run again") from error
        except OSError as error:
            raise StoreError(f"cannot write {self.path}: {error.strerror or error}") from error
        return lock

    def write_spec(self, spec: RunSpec) -> None:
        """Keep what was asked, once."""
        if not self.spec_file.exists():
            write_atomic(self.spec_file, _pretty(spec))

    @property
    def spec_file(self) -> Path:
        """What was asked."""
        return self.path / "spec.json"

    def read_spec(self) -> RunSpec:
        """What was asked.

        Raises:
            RecordError: the file is missing or damaged.
        """
        try:
            content = self.spec_file.read_bytes()
        except OSError as error:
            raise RecordError(f"{self.spec_file}: {error.strerror}") from error
        spec: RunSpec = _decode(RunSpec, content, str(self.spec_file))
        return spec

    def append(self, event: LedgerEvent) -> None:
        """Add one line to the ledger; it is on disk when this returns.

        Raises:
            StoreError: the line could not be written; the ledger is as it was.
        """
        fields = {name: value for name, value in msgspec.to_builtins(event).items() if value is not None}
        line = json.dumps(fields, separators=(",", ":")).encode() + b"\n"
        self.path.mkdir(parents=True, exist_ok=True)
        with self.ledger.open("ab") as file:
            before = file.tell()
            try:
                file.write(line)
                file.flush()
                os.fsync(file.fileno())
            except OSError as error:
                # What was written of the line must not glue itself to the next one.
                os.truncate(self.ledger, before)
                raise StoreError(f"cannot write {self.ledger}: {error.strerror}. Free space, then run again") from error

    def events(self) -> list[LedgerEvent]:
        """All lines of the ledger in order; a torn last line, left by a kill, is cut off.

        Raises:
            RecordError: a line other than a torn last one is damaged.
        """
        if not self.ledger.exists():
            return []
        content = self.ledger.read_bytes()
        whole = content.rfind(b"\n") + 1
        if whole < len(content):
            os.truncate(self.ledger, whole)
        lines = content[:whole].splitlines()
        return [_decode(LedgerEvent, line, f"{self.ledger}:{number}") for number, line in enumerate(lines, 1)]

    def write_predictions(self, predictions: Predictions) -> None:
        """Keep the predictions; written before the record, so that a record never lacks them."""
        from io import BytesIO

        buffer = BytesIO()
        np.savez_compressed(buffer, **{name: getattr(predictions, name) for name in Predictions.__slots__})
        write_atomic(self.predictions_file, buffer.getvalue())

    def write_record(self, record: RunRecord) -> None:
        """The last act of a run."""
        write_atomic(self.record_file, _pretty(record))

    def read_record(self) -> RunRecord:
        """The finished run.

        Raises:
            RecordError: the file is missing, damaged, or of an unknown schema.
        """
        try:
            content = self.record_file.read_bytes()
        except OSError as error:
            raise RecordError(f"{self.record_file}: {error.strerror}") from error
        raw = _decode(dict[str, Any], content, str(self.record_file))
        if raw.get("schema") != SCHEMA_VERSION:
            raise RecordError(
                f"{self.record_file}: schema {raw.get('schema')!r}, this version reads {SCHEMA_VERSION}: "
                "update the suite, or restore the file"
            )
        record: RunRecord = _decode(RunRecord, content, str(self.record_file))
        return record

    def read_predictions(self, record: RunRecord) -> Predictions:
        """The predictions that `record` was written with.

        Raises:
            RecordError: the file is missing or damaged, or is not the one the record names.
        """
        try:
            with np.load(self.predictions_file, allow_pickle=False) as arrays:
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
        return sum(file.stat().st_size for file in self.path.rglob("*") if file.is_file())


def _pretty(value: object) -> bytes:
    return msgspec.json.format(msgspec.json.encode(value), indent=1) + b"\n"


def run_folder(results: Path, spec: RunSpec, repeat: int = 1) -> RunFolder:
    """The folder of `spec` under `results`; `repeat` counts deliberate repetitions from 1."""
    suffix = "" if repeat == 1 else f"-repeat{repeat}"
    return RunFolder(results / "records" / spec.dataset / f"{spec.name}{suffix}")


def all_folders(results: Path) -> Iterator[RunFolder]:
    """Every run under `results`, finished or not, in the order of their paths."""
    for path in sorted((results / "records").glob("*/*/spec.json")):
        yield RunFolder(path.parent)


def note_test_reading(results: Path, dataset: str, run_id: str, time: str) -> None:
    """Add one line to the ledger of how often the sealed test part of `dataset` was read for this results folder."""
    path = results / "records" / dataset / "test_readings.jsonl"
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab") as file:
        file.write(json.dumps({"time": time, "run": run_id}).encode() + b"\n")
        file.flush()
        os.fsync(file.fileno())


def count_test_readings(results: Path, dataset: str) -> int:
    """How often the sealed test part of `dataset` was read for this results folder."""
    path = results / "records" / dataset / "test_readings.jsonl"
    return len(path.read_bytes().splitlines()) if path.exists() else 0
