"""The record of one version: timings by process start, and which test images its trained models classify correctly."""

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

# 1: initial.
# 2: `code` covers the timed code only, trained models have their own `source`; starts and models name their commits.
# 3: starts name the library of the reference workload.
SCHEMA_VERSION = 3
SEEDS_PER_RUN = 12
NAME = re.compile(r"(py\d+-)?(?P<library>tf|keras)\d+")  # of an environment: the library that varies, and the Python
MACHINE = ("python", "cpu", "cores", "instruction_sets", "onednn")  # fields that affect speed, besides the libraries
REMEDY = "restore the file, or move it away and measure that version again"


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """A piece of work timed in one process."""

    seconds: float  # median over rounds
    rounds: int
    reference_seconds: float  # of the reference workload, timed before and after


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurement:
    """What one process measured."""

    threads: int  # used by TensorFlow
    reference: str  # library of the reference workload, such as SciPy 1.17.1
    pieces: Mapping[str, Timing]
    facts: Mapping[str, float]  # other measurements by name: megabytes, seconds at the start of an epoch
    configs: Mapping[str, Any]  # settings of layers, initializers and optimizer, by model


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessStart:
    """The recorded measurement of one process; fields as in Measurement."""

    started: str  # ISO 8601, UTC
    git_commit: str | None  # of the checkout that ran, with "+" if it had uncommitted changes
    threads: int
    reference: str
    pieces: Mapping[str, Timing]
    facts: Mapping[str, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelResults:
    """A model trained with several seeds: which test images each refit classifies correctly."""

    model: str
    source: str  # digest of the code of the model and its recipe
    run_ids: tuple[str, ...]
    git_commits: tuple[str | None, ...]  # of the checkouts that trained, without duplicates
    dataset: str
    checksum: str  # of the development images
    seeds: tuple[int, ...]
    n_test: int
    correct: str  # one bit per seed and test image, packed row by row, in base64

    @property
    def conditions(self) -> tuple[str, str, int]:
        """Recipe, training images and number of test images; models are comparable only if these are equal."""
        return self.source, self.checksum, self.n_test

    @property
    def bits(self) -> BoolArray:
        """`correct` as an array, shape (seeds, n_test).

        Raises:
            ValueError: `correct` has another length, or is no base64.
        """
        packed = np.frombuffer(base64.b64decode(self.correct), dtype=np.uint8)
        count = len(self.seeds) * self.n_test
        if len(packed) != -(-count // 8):
            raise ValueError(
                f"{self.model}: {len(packed)} bytes in `correct`, expected {len(self.seeds)} seeds x {self.n_test} bits"
            )
        bits: BoolArray = np.unpackbits(packed, count=count).astype(np.bool_).reshape(len(self.seeds), self.n_test)
        return bits


def pack(correct: BoolArray) -> str:
    """An array of shape (seeds, n_test) in the format of `ModelResults.correct`."""
    return base64.b64encode(np.packbits(correct).tobytes()).decode()


@dataclass(frozen=True, slots=True, kw_only=True)
class VersionRecord:
    """All measurements of one version."""

    schema: int = SCHEMA_VERSION
    name: str  # of its environment, such as tf216 or keras315
    code: str  # digest of the timed code; speed is comparable only if it is equal
    environment: Environment
    configs: Mapping[str, Any]  # as in Measurement; empty if speed was not measured
    starts: tuple[ProcessStart, ...] = ()
    trained: tuple[ModelResults, ...] = ()

    def results_of(self, model: str) -> ModelResults | None:
        """The results of `model`; None if it was not trained."""
        return next((results for results in self.trained if results.model == model), None)


def path_of(results: Path, name: str) -> Path:
    """The record file of an environment."""
    return results / "versions" / f"{name}.json"


def write(results: Path, record: VersionRecord) -> None:
    """Write a record, replacing an older one."""
    write_atomic(path_of(results, record.name), msgspec.json.format(msgspec.json.encode(record), indent=1) + b"\n")


def read(path: Path) -> VersionRecord:
    """Read a record.

    Raises:
        RecordError: it is missing, damaged, or of another schema.
    """
    try:
        record = msgspec.json.decode(path.read_bytes(), type=VersionRecord)
    except (OSError, msgspec.MsgspecError) as error:
        raise RecordError(f"{path}: {error}: {REMEDY}") from error
    if record.schema != SCHEMA_VERSION:
        raise RecordError(f"{path}: schema {record.schema}, this version reads {SCHEMA_VERSION}: {REMEDY}")
    if record.name != path.stem:
        raise RecordError(f"{path}: this is the record of {record.name}: rename the file")
    try:
        _check(record)
    except ValueError as error:
        raise RecordError(f"{path}: {error}: {REMEDY}") from error
    return record


def _check(record: VersionRecord) -> None:
    """Raise ValueError for anything that the page cannot be made from."""
    if NAME.fullmatch(record.name) is None:
        raise ValueError(f"{record.name} is not an environment name such as tf221, keras315 or py312-tf221")
    _sort_key(record)  # raises if a version cannot be parsed
    for results in record.trained:
        if len(results.seeds) < 2 or len(set(results.seeds)) < len(results.seeds):
            raise ValueError(f"{results.model}: expected at least two distinct seeds, got {results.seeds}")
        if results.n_test < 2 or results.bits.size == 0:
            raise ValueError(f"{results.model}: expected at least 2 test images, got {results.n_test}")
    for start in record.starts:
        if datetime.fromisoformat(start.started).tzinfo is None:
            raise ValueError(f"start times need a time zone such as +00:00, got {start.started}")
        for name, timing in start.pieces.items():
            if min(timing.seconds, timing.reference_seconds) <= 0:
                raise ValueError(f"{name}: seconds must be positive, got {timing.seconds}, {timing.reference_seconds}")


def read_all(results: Path) -> tuple[tuple[VersionRecord, ...], tuple[str, ...]]:
    """The records of a results folder, by TensorFlow version, then Keras version; and the errors of unreadable ones."""
    records, problems = [], []
    for path in sorted((results / "versions").glob("*.json")):
        try:
            records.append(read(path))
        except RecordError as error:
            problems.append(str(error))
    return tuple(sorted(records, key=_sort_key)), tuple(problems)


def _sort_key(record: VersionRecord) -> tuple[Version, Version, str]:
    return Version(record.environment.tensorflow), Version(record.environment.keras), record.name
