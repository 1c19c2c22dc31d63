"""A job that runs one task for each of several candidates."""

from collections.abc import Callable, Collection, Sequence
from functools import partial
from typing import Any

from bench.execution.options import Options
from bench.execution.scheduling import Job, Task, TaskEnd
from bench.records.spec import TrialSpec
from bench.workers.executor import TaskFailed


class CandidateJob(Job):
    """Runs `task(candidate, dataset)` for each candidate, on all workers."""

    def __init__(self, title: str, task: Callable[..., Any], candidates: Sequence[TrialSpec], options: Options) -> None:
        self.key = self.title = title
        self.results: dict[int, Any] = {}  # by number of the candidate
        self.errors: dict[int, str] = {}
        self._task = task
        self._candidates = candidates
        self._options = options

    @property
    def done(self) -> bool:
        """Whether every candidate has a result or an error."""
        return len(self.results) + len(self.errors) == len(self._candidates)

    def next_task(self, in_flight: Collection[str]) -> Task | None:
        """The next candidate that is neither done nor in flight."""
        for number, candidate in enumerate(self._candidates):
            name = f"candidate {number}"
            if name not in in_flight and number not in self.results and number not in self.errors:
                start = partial(partial, self._task, candidate, self._options.dataset)
                timeout = self._options.trial_timeout
                return Task(name=name, start=start, on_end=partial(self._on_end, number), timeout=timeout)
        return None

    def _on_end(self, number: int, end: TaskEnd, _epoch_seconds: Sequence[float]) -> None:
        if isinstance(end, TaskFailed):
            self.errors[number] = end.reason
        else:
            self.results[number] = end.value
