"""Tasks that test_executor.py gives to workers, in a module of their own since workers import it by name."""

import os
import random
import signal
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import bench
from bench.errors import DataError, ModelError, RecordError
from bench.training.outcome import EpochReport
from bench.workers.fork_server import PRELOADED


def prepare_slowly() -> None:
    time.sleep(3)


def prepare_in_vain() -> None:
    raise ImportError("no such library")


def die_while_preparing() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def double(number: int, report: EpochReport) -> int:
    return 2 * number


def three_epochs(report: EpochReport) -> None:
    for epoch in range(1, 4):
        report(epoch, 0.5)


def fail(report: EpochReport) -> None:
    raise ValueError("no such\nvalue")


def leave(report: EpochReport) -> None:
    sys.exit(3)


class TwoArgumentsError(Exception):
    def __init__(self, first: str, second: str) -> None:
        super().__init__(first + second)


def return_what_cannot_be_read(report: EpochReport) -> Exception:
    return TwoArgumentsError("a", "b")


class UnreadableArgument:
    def __reduce__(self) -> tuple[type[int], tuple[str]]:
        return int, ("no number",)


def lack_data(report: EpochReport) -> None:
    raise DataError("no such dataset")


def predict_nan(report: EpochReport) -> None:
    raise RecordError("log-probabilities must be finite")


def load_damaged_model(report: EpochReport) -> None:
    raise ModelError("model.keras: damaged")


def die(report: EpochReport) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def process_id(report: EpochReport) -> int:
    return os.getpid()


@dataclass(frozen=True, slots=True, kw_only=True)
class Process:
    """A worker process."""

    number: int
    parent: int
    modules: frozenset[str]  # imported
    other_threads: tuple[str, ...] | None  # of the fork server; None if it was not forked
    variables: Mapping[str, str]
    package: str  # file of the package `bench`


def process(report: EpochReport) -> Process:
    preloaded = sys.modules.get(PRELOADED)
    return Process(
        number=os.getpid(),
        parent=os.getppid(),
        modules=frozenset(sys.modules),
        other_threads=None if preloaded is None else preloaded.OTHER_THREADS,
        variables=dict(os.environ),
        package=str(bench.__file__),
    )


def sleep(report: EpochReport) -> None:
    time.sleep(600)


def global_random_stream_is_unchanged(values: Sequence[Sequence[float]], report: EpochReport) -> bool:
    """Whether two seconds of Dask's work during this task leave Python's global random stream as it is."""
    random.seed(1)
    before = random.getstate()
    until = time.monotonic() + 2
    while time.monotonic() < until:
        report(1, 0.1)
        time.sleep(0.01)
    return random.getstate() == before


def interval(seconds: float, report: EpochReport) -> tuple[float, float]:
    """Sleep; returns the start and the end."""
    start = time.monotonic()
    time.sleep(seconds)
    return start, time.monotonic()
