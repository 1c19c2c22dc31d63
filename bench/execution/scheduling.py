"""Who trains what next: tasks of several runs on the same workers, until every run has its record."""

import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, TypeGuard

from bench.errors import SearchError
from bench.execution.events import Event, Finished, Message, RunFailed
from bench.execution.meter import Meter
from bench.workers.executor import Done, Engine, Epoch, Failed

if TYPE_CHECKING:
    from bench.execution.active_run import ActiveRun
    from bench.execution.eta import ProgressTracker
    from bench.execution.stages import Stage, Task

POLL_SECONDS = 0.5
# Search first: the refits of one family fill the gaps that the search of the next leaves.
PRIORITY = ("search", "refit", "judge")
MAX_ATTEMPTS = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class RunningTask:
    """A task that a worker has."""

    run: "ActiveRun"
    stage: "Stage"
    task: "Task"
    attempts: int = 1

    @property
    def key(self) -> str:
        return f"{self.run.folder.path.name}/{self.task.name}"

    def is_to_be_retried_after(self, end: Done | Failed) -> TypeGuard[Failed]:
        """Whether it was not the task's own fault, for all that is known."""
        return isinstance(end, Failed) and end.worker_died and self.attempts < MAX_ATTEMPTS


def work(runs: Sequence["ActiveRun"], engine: Engine, tally: "ProgressTracker", start: float) -> Iterator[Event]:
    """Carry out `runs` on the workers of `engine`, in a session that began at `start` (time.perf_counter).

    Raises:
        SearchError: workers cannot do what they are asked, or there are none any more.
    """
    meter = Meter(start)
    under_way: dict[str, RunningTask] = {}
    retries: deque[RunningTask] = deque()
    left = list(runs)
    for begun in runs:
        yield from _advance_run(begun, left, tally, meter)
    while left:
        while engine.idle() and (item := retries.popleft() if retries else _next(left)) is not None:
            under_way[item.key] = item
            engine.submit(item.key, item.task.function, *item.task.arguments, timeout=item.task.timeout)
        for begun in left:
            begun.stop_in_time()
        for begun in [each for each in left if each.stage.done]:  # stopped, with nothing under way
            yield from _advance_run(begun, left, tally, meter)
        idle = engine.idle()
        event = engine.next_event(POLL_SECONDS)
        meter.tick(idle, left)
        yield from (Message(text=line) for line in engine.news())
        if event is None:
            continue
        if isinstance(event, Failed) and event.fatal:
            raise SearchError(f"{under_way[event.key].task.name} cannot be carried out on {event.reason}")
        if isinstance(event, Epoch):
            item = under_way[event.key]
            tally.take_epoch(item.run, item.task, event)
            yield tally.progress(item.run)
        elif (item := under_way.pop(event.key)).is_to_be_retried_after(event):
            retries.append(replace(item, attempts=item.attempts + 1))
            yield Message(text=f"{item.task.name} of {item.run.spec.family}: {event.reason}; trying it once more")
        else:
            yield from _advance_run(item.run, left, tally, meter, partial(_take, item, event, start, tally))


def _take(item: RunningTask, end: Done | Failed, start: float, tally: "ProgressTracker") -> None:
    item.stage.take(item.task.name, end, time.perf_counter() - start)
    tally.take_end(item.run, item.task)


def _advance_run(
    run: "ActiveRun",
    left: list["ActiveRun"],
    tally: "ProgressTracker",
    meter: Meter,
    take: Callable[[], None] = lambda: None,
) -> Iterator[Event]:
    """Let `run` take a result, and go to the next stage; it leaves `left` with its record, or where it cannot end."""
    try:
        take()
        run.advance()
    except SearchError as error:
        if run in left:
            left.remove(run)
            yield RunFailed(folder=run.folder, reason=str(error))
        return
    yield tally.progress(run)
    if run.judged:
        run.write_record(meter.usage(run))
        left.remove(run)
        yield Finished(folder=run.folder, trained=True)


def _next(runs: Sequence["ActiveRun"]) -> RunningTask | None:
    for stage in PRIORITY:
        for begun in runs:
            if begun.stage.name == stage and (task := begun.stage.next_task()) is not None:
                return RunningTask(run=begun, stage=begun.stage, task=task)
    return None
