"""How fast the machine is just now: a limit in seconds is to hold the code, not its neighbours."""

import statistics
import time

QUIET_SECONDS = 0.23  # of `_work` on the machine for which limits were set, two cores of an AMD EPYC 9004, when quiet


def slowness() -> float:
    """How many times as long as there a piece of work takes here and now; at least 1."""
    return max(1.0, statistics.median(_work() for _ in range(5)) / QUIET_SECONDS)


def _work() -> float:
    begun, total = time.process_time(), 0
    for number in range(5_000_000):
        total += number
    return time.process_time() - begun
