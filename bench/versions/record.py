"""The record of one version: timings by process start, and which test images its trained models classify correctly."""

import base64
import re
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from packaging.version import Version

from bench.errors import RecordError
from bench.evaluation.arrays import BoolArray
from bench.machine import Environment
from bench.records.choices import PixelRange
from bench.records.files import write_atomic

# 1: initial.
# 2: `code` covers the timed code only, trained models have their own `source`; starts and models name their commits.
# 3: starts name the library of the reference workload; families' models may name their conditions.
SCHEMA_VERSION = 3
SEEDS_PER_RUN = 12
NAME = re.compile(r"(py\d+-)?(tf|keras)\d+")  # of an environment: the library that varies, and the Python
MACHINE = ("python", "cpu", "cores", "instruction_sets", "onednn")  # fields that affect speed, besides the libraries
ROUNDING = ("cpu", "instruction_sets", "onednn")  # those that affect the results of training, as other seeds do
REMEDY = "restore the file, or move it away and measure that version again"


class Timing(msgspec.Struct, frozen=True, kw_only=True):
    """An operation timed in one process."""

    seconds: float  # median over rounds
    rounds: int
    reference_seconds: float  # of the reference workload, timed before and after

    def __post_init__(self) -> None:
        """Check that a ratio can be computed."""
        if min(self.seconds, self.reference_seconds) <= 0:
            raise ValueError(f"seconds must be positive, got {self.seconds}, {self.reference_seconds}")


class ProcessStart(msgspec.Struct, frozen=True, kw_only=True):
    """What one process measured."""

    started: str  # ISO 8601, UTC
    git_commit: str | None  # of the checkout that ran, with "+" if it had uncommitted changes
    threads: int  # used by TensorFlow
    reference: str  # library of the reference workload, such as SciPy 1.17.1
    operations: Mapping[str, Timing] = msgspec.field(name="pieces")  # the name in schemas 1 to 3
    facts: Mapping[str, float]  # other measurements by name: megabytes, seconds at the start of an epoch

    def __post_init__(self) -> None:
        """Check that starts can be ordered."""
        if datetime.fromisoformat(self.started).tzinfo is None:
            raise ValueError(f"start times need a time zone such as +00:00, got {self.started}")


class Conditions(msgspec.Struct, frozen=True, kw_only=True):
    """What the user's own family was trained on, and how."""

    source: str  # as in ModelResults
    dataset: str
    data: str | None  # digest of a dataset given by path
    epochs: int
    pixel_range: PixelRange | None


class ModelResults(msgspec.Struct, frozen=True, kw_only=True):
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
    own: Conditions | None = None  # of the user's own family; None for a reference model

    def __post_init__(self) -> None:
        """Check that a variance can be computed."""
        if len(self.seeds) < 2 or len(set(self.seeds)) < len(self.seeds):
            raise ValueError(f"{self.model}: expected at least two distinct seeds, got {self.seeds}")
        if self.n_test < 2:
            raise ValueError(f"{self.model}: expected at least 2 test images, got {self.n_test}")
        size, bits = len(base64.b64decode(self.correct)), len(self.seeds) * self.n_test
        if size != -(-bits // 8):
            raise ValueError(
                f"{self.model}: {size} bytes in `correct`, expected {len(self.seeds)} seeds x {self.n_test} bits"
            )

    @property
    def conditions(self) -> tuple[str, str, int, Conditions | None]:
        """Recipe, training images and number of test images; models are comparable only if these are equal."""
        return self.source, self.checksum, self.n_test, self.own

    @property
    def bits(self) -> BoolArray:
        """`correct` as an array, shape (seeds, n_test)."""
        shape = len(self.seeds), self.n_test
        packed = np.frombuffer(base64.b64decode(self.correct), dtype=np.uint8)
        bits: BoolArray = np.unpackbits(packed, count=shape[0] * shape[1]).astype(np.bool_).reshape(shape)
        return bits


def pack(correct: BoolArray) -> str:
    """An array of shape (seeds, n_test) in the format of `ModelResults.correct`."""
    return base64.b64encode(np.packbits(correct).tobytes()).decode()


class VersionRecord(msgspec.Struct, frozen=True, kw_only=True):
    """All measurements of one version."""

    schema: int = SCHEMA_VERSION
    name: str  # of its environment, such as tf216 or keras315
    code: str  # digest of the timed code; speed is comparable only if it is equal
    environment: Environment
    configs: Mapping[str, Any]  # settings of layers and optimizer by operation; empty if speed was not measured
    starts: tuple[ProcessStart, ...] = ()
    trained: tuple[ModelResults, ...] = ()

    def __post_init__(self) -> None:
        """Check that the page can be made from it."""
        if self.schema != SCHEMA_VERSION:
            raise ValueError(f"schema {self.schema}, this version reads {SCHEMA_VERSION}")
        if NAME.fullmatch(self.name) is None:
            raise ValueError(f"{self.name} is not an environment name such as tf221, keras315 or py312-tf221")
        _ = self.sort_key  # raises if a version cannot be parsed

    @property
    def sort_key(self) -> tuple[Version, Version, str]:
        """TensorFlow version, Keras version, name."""
        return Version(self.environment.tensorflow), Version(self.environment.keras), self.name

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
    if record.name != path.stem:
        raise RecordError(f"{path}: this is the record of {record.name}: rename the file")
    return record


def read_all(results: Path) -> tuple[tuple[VersionRecord, ...], tuple[str, ...]]:
    """The records of a results folder, oldest version first, and the errors of unreadable ones."""
    records, problems = [], []
    for path in sorted((results / "versions").glob("*.json")):
        try:
            records.append(read(path))
        except RecordError as error:
            problems.append(str(error))
    return tuple(sorted(records, key=lambda record: record.sort_key)), tuple(problems)
