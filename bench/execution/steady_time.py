"""The remaining time as it is shown: one that is far from what was shown before is approached gradually."""

import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import replace

from bench.execution.events import Event, Progress, Report

MAX_FACTOR = 2.0  # by which an update may change it, beyond the time that has passed
FULL_SECONDS = 10.0  # since the last update for MAX_FACTOR; less after a shorter time
MIN_SECONDS = 10.0  # that may grow by the factor if less was left


class SteadyTime:
    """The remaining time of one run, in seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """Read the time from `clock`."""
        self._clock = clock
        self._end: float | None = None  # when the run ends according to what was shown
        self._updated = 0.0

    def update(self, estimate: float | None) -> float | None:
        """What to show for an estimate; None if nothing is known."""
        if estimate is None:
            return None
        now, shown = self._clock(), estimate
        if self._end is not None:
            factor = MAX_FACTOR ** min(1.0, (now - self._updated) / FULL_SECONDS)
            expected = max(0.0, self._end - now)
            shown = min(max(estimate, expected / factor), max(expected, MIN_SECONDS) * factor)
        self._end, self._updated = now + shown, now
        return shown


def steady(report: Report) -> Report:
    """Report events with a remaining time that changes gradually."""
    times: defaultdict[str, SteadyTime] = defaultdict(SteadyTime)

    def take(event: Event) -> None:
        if isinstance(event, Progress):
            event = replace(event, seconds_left=times[event.key].update(event.seconds_left))
        report(event)

    return take
