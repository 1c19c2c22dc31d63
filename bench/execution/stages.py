"""The parts of a run: a stage offers tasks for workers and keeps their outcomes."""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from bench.workers.executor import TaskCompleted, TaskFailed

StageName = Literal["search", "refit", "evaluation"]
TaskEnd = TaskCompleted | TaskFailed
RESUME_HINT = "Continue with `python -m bench resume`"


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """A function for a worker; it also gets a callable that reports epochs."""

    function: Callable[..., Any]
    arguments: tuple[Any, ...]
    timeout: float | None = None  # seconds after which its worker is stopped


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """Something for a worker to do, once or, if the worker dies, twice."""

    name: str  # unique within its run
    start: Callable[[], Call]  # called for each attempt; writes what has to be on disk before it
    take: Callable[[TaskEnd, float], None]  # keeps the outcome, given the seconds since the session started
    initial_epoch: int = 0


class Stage(Protocol):
    """A part of a run that is over before the next one starts."""

    @property
    def name(self) -> StageName:
        """For messages and priorities."""

    def is_done(self, in_flight: Collection[str]) -> bool:
        """Whether nothing is left to do, given the names of tasks in flight."""

    def next_task(self, in_flight: Collection[str]) -> Task | None:
        """The task to start next, None if there is none at the moment; changes nothing."""
