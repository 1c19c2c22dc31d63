"""What was measured with one version: speed by process start, and the answers of trained models to each test image."""

import base64
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray
from packaging.version import Version

from bench.errors import RecordError
from bench.machine import Environment
from bench.records.files import write_atomic

BoolArray = NDArray[np.bool_]

# 1: first.
# 2: `code` is that of what is timed only, trainings have their own `source`; starts and trainings name their commits.
# 3: starts name the library of the reference workload.
SCHEMA_VERSION = 3
SEEDS_A_RUN = 12
NAME = re.compile(r"(py\d+-)?(?P<library>tf|keras)\d+")  # of an environment: what varies in it, and in which Python
MACHINE = ("python", "cpu", "cores", "instruction_sets", "onednn")  # what speed depends on beside the libraries
MEND = "restore the file, or move it away and measure that version again"


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """One piece of work in one process."""

    seconds: float  # median of its rounds
    rounds: int
    reference_seconds: float  # of the reference workload, just before and after it


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """One process, in which every piece was measured."""

    started: str  # ISO 8601 UTC
    git_commit: str | None  # of the checkout that ran, with "+" where it had uncommitted changes
    threads: int  # that TensorFlow computes with, as it says itself
    reference: str  # library of the reference workload, such as SciPy 1.17.1
    pieces: Mapping[str, Piece]
    facts: Mapping[str, float]  # what is no time: megabytes, idle seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class Trained:
    """A model trained under several seeds: whether it is right at each test image."""

    model: str
    source: str  # digest of the code of the model and its recipe; others cannot be compared
    run_ids: tuple[str, ...]  # of the runs that it comes from
    git_commits: tuple[str | None, ...]  # of the checkouts that trained, each once
    dataset: str
    checksum: str  # of the development part
    seeds: tuple[int, ...]
    n_test: int
    correct: str  # one bit for each seed and test image, packed row by row, in base64

    @property
    def asked(self) -> tuple[str, str, int]:
        """What was learnt from what and asked; answers to something else cannot be compared."""
        return self.source, self.checksum, self.n_test

    @property
    def bits(self) -> BoolArray:
        """Shape (seeds, n_test)."""
        packed = np.frombuffer(base64.b64decode(self.correct), dtype=np.uint8)
        count = len(self.seeds) * self.n_test
        if len(packed) != -(-count // 8):
            raise ValueError(
                f"{self.model}: {len(packed)} bytes of answers, {len(self.seeds)} seeds x {self.n_test} images expected"
            )
        found: BoolArray = np.unpackbits(packed, count=count).astype(np.bool_).reshape(len(self.seeds), self.n_test)
        return found


def pack(correct: BoolArray) -> str:
    """Bits, shape (seeds, n_test), as `Trained.correct` keeps them."""
    return base64.b64encode(np.packbits(correct).tobytes()).decode()


@dataclass(frozen=True, slots=True, kw_only=True)
class VersionRecord:
    """Everything that is known of one version."""

    schema: int = SCHEMA_VERSION
    name: str  # of its environment, such as tf216 or keras315
    code: str  # digest of what is timed; speed under other digests cannot be compared
    environment: Environment
    configs: Mapping[str, Any]  # of each model: what its layers, initializers and optimizer are set to
    starts: tuple[Start, ...] = ()
    trained: tuple[Trained, ...] = ()

    def find(self, model: str) -> Trained | None:
        """What was trained of that model."""
        return next((one for one in self.trained if one.model == model), None)


def path_of(results: Path, name: str) -> Path:
    """Where the record of that environment is kept."""
    return results / "versions" / f"{name}.json"


def write(results: Path, record: VersionRecord) -> None:
    """Keep a record, in the place of an older one."""
    write_atomic(path_of(results, record.name), msgspec.json.format(msgspec.json.encode(record), indent=1) + b"\n")


def read(path: Path) -> VersionRecord:
    """One record.

    Raises:
        RecordError: it is missing, damaged, or of another schema.
    """
    try:
        record = msgspec.json.decode(path.read_bytes(), type=VersionRecord)
    except (OSError, msgspec.MsgspecError) as error:
        raise RecordError(f"{path}: {error}: {MEND}") from error
    if record.schema != SCHEMA_VERSION:
        raise RecordError(f"{path}: schema {record.schema}, this version reads {SCHEMA_VERSION}: {MEND}")
    if record.name != path.stem:
        raise RecordError(f"{path}: is the record of {record.name}: give the file its name")
    try:
        _check(record)
    except ValueError as error:
        raise RecordError(f"{path}: {error}: {MEND}") from error
    return record


def _check(record: VersionRecord) -> None:
    """Raise ValueError for what the page cannot be made from."""
    if NAME.fullmatch(record.name) is None:
        raise ValueError(f"{record.name} is no environment's name, such as tf221, keras315 or py312-tf221")
    _age(record)  # the versions can be sorted
    for one in record.trained:
        if len(one.seeds) < 2 or len(set(one.seeds)) < len(one.seeds):
            raise ValueError(f"{one.model}: two or more seeds expected, all different, got {one.seeds}")
        if one.n_test < 2 or one.bits.size == 0:
            raise ValueError(f"{one.model}: {one.n_test} test images, 2 or more expected")
    for start in record.starts:
        if datetime.fromisoformat(start.started).tzinfo is None:
            raise ValueError(f"the time of a start takes a zone, such as +00:00, got {start.started}")
        for name, piece in start.pieces.items():
            if min(piece.seconds, piece.reference_seconds) <= 0:
                raise ValueError(f"{name}: seconds must be above 0, got {piece.seconds} and {piece.reference_seconds}")


def read_all(results: Path) -> tuple[tuple[VersionRecord, ...], tuple[str, ...]]:
    """The records of a results folder, oldest TensorFlow first, then oldest Keras; and what is wrong with others."""
    found, problems = [], []
    for path in sorted((results / "versions").glob("*.json")):
        try:
            found.append(read(path))
        except RecordError as error:
            problems.append(str(error))
    return tuple(sorted(found, key=_age)), tuple(problems)


def _age(record: VersionRecord) -> tuple[Version, Version, str]:
    return Version(record.environment.tensorflow), Version(record.environment.keras), record.name
