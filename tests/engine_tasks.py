"""What test_engine.py gives workers to do; a module of its own, since workers import it by name."""

import os
import random
import signal
import time

from bench.workers.tasks import Report


def prepare() -> None:
    time.sleep(3)


def prepare_in_vain() -> None:
    raise ImportError("no such library")


def die_before_any_task() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def double(number: int, report: Report) -> int:
    return 2 * number


def three_epochs(report: Report) -> None:
    for epoch in range(1, 4):
        report(epoch, 0.5, 0.25 * epoch)


def fail(report: Report) -> None:
    raise ValueError("no such\nluck")


def die(report: Report) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def pid(report: Report) -> int:
    return os.getpid()


def sleep(report: Report) -> None:
    time.sleep(600)


def is_random_stream_our_own(values: list[list[float]], report: Report) -> bool:
    """Whether two seconds of Dask's work beside this task leave Python's random stream alone."""
    random.seed(1)
    before = random.getstate()
    until = time.monotonic() + 2
    while time.monotonic() < until:
        report(1, 0.1, 0.5)
        time.sleep(0.01)
    return random.getstate() == before
