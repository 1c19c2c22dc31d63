"""Where runs are kept: an append-only ledger while one is going on, then a record and its predictions, written once."""

import hashlib
import io
import json
import os
import shutil
import stat
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import filelock
import msgspec
import numpy as np
from numpy.typing import NDArray

from bench.errors import BenchError, RecordError, StoreError
from bench.record import SCHEMA_VERSION, DatasetFacts, Environment, RefitRecord, RunRecord, TrialRecord
from bench.spec import RunSpec, Value

MIN_FREE_BYTES = 50 * 2**20
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

    def __post_init__(self) -> None:
        if self.log_probabilities.ndim != 3:
            raise RecordError(f"log_probabilities must be (seeds, n_test, classes), got {self.log_probabilities.shape}")
        seeds, n_test, _ = self.log_probabilities.shape
        found = self.seeds.shape, self.labels.shape, self.wrong_images.shape[:1]
        if found != ((seeds,), (n_test,), self.wrong_indices.shape):
            raise RecordError(
                f"log_probabilities are {self.log_probabilities.shape}, but seeds are {self.seeds.shape}, labels "
                f"{self.labels.shape}, wrong_indices {self.wrong_indices.shape}, wrong_images {self.wrong_images.shape}"
            )
        # The largest of several NaN counts as class 0: it would be scored as if it were an answer.
        if np.isnan(self.log_probabilities).any():
            raise RecordError("log_probabilities hold NaN: a refit diverged and says nothing of the test part")

    def digest(self) -> str:
        """SHA-256 over the arrays, their shapes and types."""
        found = hashlib.sha256()
        for name in self.__slots__:
            array = np.ascontiguousarray(getattr(self, name))
            found.update(f"{name} {array.dtype} {array.shape}".encode())
            found.update(array.tobytes())
        return found.hexdigest()


@contextmanager
def _writing(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise StoreError(
            f"cannot write {path}: {error.strerror or error}. Free space or choose another folder with --results"
        ) from error


def write_atomic(path: Path, content: bytes) -> None:
    """Put `content` at `path` whole or not at all, on disk when this returns.

    Raises:
        StoreError: the file cannot be written; a file that was there before is untouched.
    """
    with _writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".tmp", dir=path.parent)
        temporary = Path(name)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            temporary.chmod(0o644)
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)
        _fsync_folder(path.parent)


def _fsync_folder(folder: Path) -> None:
    if os.name == "nt":
        return  # Windows opens no folders
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _append_line(path: Path, line: bytes) -> None:
    with _writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        # Unbuffered: a buffer that could not be written would be written again when the file is closed.
        with path.open("ab+", buffering=0) as file:
            whole = _whole_bytes(file)
            # What a kill left of a line, long ago or just now, must not glue itself to the next one.
            file.truncate(whole)
            try:
                left = memoryview(line)
                while left:
                    left = left[file.write(left) :]
                os.fsync(file.fileno())
            except OSError:
                file.truncate(whole)
                raise
        if whole == 0:
            _fsync_folder(path.parent)


def _whole_bytes(file: io.FileIO) -> int:
    """Bytes up to the end of the last whole line."""
    size = file.seek(0, os.SEEK_END)
    file.seek(max(0, size - 1))
    if file.read(1) in (b"", b"\n"):
        return size
    file.seek(0)
    return file.readall().rfind(b"\n") + 1


def check_writable(results: Path) -> None:
    """Find out before hours are spent whether `results` can be written and has room.

    Raises:
        StoreError: it cannot be made, cannot be written, or has less than 50 MiB free.
    """
    with _writing(results):
        results.mkdir(parents=True, exist_ok=True)
        # Its name is its own: another process may be looking, too.
        with tempfile.TemporaryFile(prefix=".write-probe", dir=results) as probe:
            probe.write(b"ok")
            probe.flush()
            os.fsync(probe.fileno())
        free = shutil.disk_usage(results).free
    if free < MIN_FREE_BYTES:
        raise StoreError(
            f"{results} has {free / 2**20:.1f} MiB free, at least {MIN_FREE_BYTES // 2**20} MiB are needed: "
            "free space or choose another folder with --results"
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
        lock = filelock.FileLock(self.path / ".lock")
        with _writing(self.path):
            self.path.mkdir(parents=True, exist_ok=True)
            try:
                lock.acquire(timeout=0)
            except filelock.Timeout as error:
                raise StoreError(
                    f"another process is working on {self.path}: wait for it, or end it and run again"
                ) from error
        return lock

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
        _append_line(self.ledger, _encode(event, self.ledger))

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
        # Read here: NumPy leaves the file open where it is damaged.
        content = io.BytesIO(_read(self.predictions_file))
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
    line = json.dumps({"time": time, "run": run_id}, separators=(",", ":"))
    _append_line(_test_readings(results, dataset), line.encode() + b"\n")


def count_test_readings(results: Path, dataset: str) -> int:
    """How often the sealed test part of `dataset` was read for this results folder."""
    path = _test_readings(results, dataset)
    return _read(path).count(b"\n") if path.exists() else 0


def _test_readings(results: Path, dataset: str) -> Path:
    return results / "records" / dataset / "test_readings.jsonl"
