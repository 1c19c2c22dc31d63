"""What workers wait for while runs go on."""

import time
from collections import defaultdict
from collections.abc import Iterable
from typing import TYPE_CHECKING

from bench.records.record import Usage

if TYPE_CHECKING:
    from bench.execution.active_run import ActiveRun


class Meter:
    """Adds up the seconds of idle workers, for each run by the stage that it is in."""

    def __init__(self, start: float) -> None:
        """Count from now on; the session began at `start` (time.perf_counter)."""
        self._last = time.perf_counter()
        self._start_seconds = self._last - start
        self._idle: dict[tuple[str, str], float] = defaultdict(float)

    def tick(self, idle: int, runs: "Iterable[ActiveRun]") -> None:
        """Since the last tick `idle` workers had nothing to do; `runs` are those that are not finished."""
        now = time.perf_counter()
        for run in runs:
            self._idle[run.folder.path.name, run.stage.name] += idle * (now - self._last)
        self._last = now

    def usage(self, run: "ActiveRun") -> Usage:
        """What was counted for `run`."""
        name = run.folder.path.name
        return Usage(
            start_seconds=self._start_seconds,
            search_idle_seconds=self._idle[name, "search"],
            refit_idle_seconds=self._idle[name, "refit"],
            judge_idle_seconds=self._idle[name, "judge"],
        )
