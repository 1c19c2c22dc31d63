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
    """A function for a worker to call; it also receives a callback that reports epochs."""

    function: Callable[..., Any]
    arguments: tuple[Any, ...]
    timeout: float | None = None  # seconds after which its worker is stopped


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """A unit of work for a worker, retried once if the worker dies."""

    name: str  # unique within its run
    start: Callable[[], Call]  # called for each attempt; writes what must be on disk first
    take: Callable[[TaskEnd, float], None]  # stores the outcome, given the seconds since the session started
    initial_epoch: int = 0


class Stage(Protocol):
    """A part of a run; it ends before the next stage starts."""

    @property
    def name(self) -> StageName:
        """Shown in messages; decides the priority."""

    def is_done(self, in_flight: Collection[str]) -> bool:
        """Whether the stage is complete, given the names of tasks in flight."""

    def next_task(self, in_flight: Collection[str]) -> Task | None:
        """The next task to start, or None; changes nothing."""
