"""The current speed of the machine, by which time limits are scaled, so that other processes do not fail a test."""

import statistics
import time

QUIET_SECONDS = 0.23  # of `_work` on the idle machine for which limits were set, two cores of an AMD EPYC 9004


def slowness() -> float:
    """The current time of `_work` relative to QUIET_SECONDS; at least 1."""
    return max(1.0, statistics.median(_work() for _ in range(5)) / QUIET_SECONDS)


def _work() -> float:
    started, total = time.process_time(), 0
    for number in range(5_000_000):
        total += number
    return time.process_time() - started
