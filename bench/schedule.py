"""Who trains what next: tasks of several runs on the same workers, until every run has its record."""

import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, TypeGuard

from bench.errors import SearchError
from bench.events import Event, Finished, GaveUp, Message
from bench.meter import Meter
from bench.search.engine import Done, Engine, Epoch, Failed

if TYPE_CHECKING:
    from bench.begun_run import BegunRun
    from bench.stages import Stage, Task
    from bench.tally import Tally

POLL_SECONDS = 0.5
# Search first: the refits of one family fill the gaps that the search of the next leaves.
PRIORITY = ("search", "refit", "judge")
MOST_ATTEMPTS = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class _UnderWay:
    """A task that a worker has."""

    run: "BegunRun"
    stage: "Stage"
    task: "Task"
    attempts: int = 1

    @property
    def key(self) -> str:
        return f"{self.run.folder.path.name}/{self.task.name}"

    def is_to_be_retried_after(self, end: Done | Failed) -> TypeGuard[Failed]:
        """Whether it was not the task's own fault, for all that is known."""
        return isinstance(end, Failed) and end.worker_died and self.attempts < MOST_ATTEMPTS


def work(runs: Sequence["BegunRun"], engine: Engine, tally: "Tally", start: float) -> Iterator[Event]:
    """Carry out `runs` on the workers of `engine`, in a session that began at `start` (time.perf_counter).

    Raises:
        SearchError: workers cannot do what they are asked, or there are none any more.
    """
    meter = Meter(start)
    under_way: dict[str, _UnderWay] = {}
    retries: deque[_UnderWay] = deque()
    left = list(runs)
    for begun in runs:
        yield from _go_on(begun, left, tally, meter)
    while left:
        while engine.idle() and (item := retries.popleft() if retries else _next(left)) is not None:
            under_way[item.key] = item
            engine.submit(item.key, item.task.function, *item.task.arguments, timeout=item.task.timeout)
        for begun in left:
            begun.stop_in_time()
        for begun in [each for each in left if each.stage.done]:  # stopped, with nothing under way
            yield from _go_on(begun, left, tally, meter)
        idle = engine.idle()
        event = engine.next_event(POLL_SECONDS)
        meter.tick(idle, left)
        yield from (Message(text=line) for line in engine.news())
        if event is None:
            continue
        if isinstance(event, Failed) and event.hopeless:
            raise SearchError(f"{under_way[event.key].task.name} cannot be carried out on {event.reason}")
        if isinstance(event, Epoch):
            item = under_way[event.key]
            tally.take_epoch(item.run, item.task, event)
            yield tally.progress(item.run)
        elif (item := under_way.pop(event.key)).is_to_be_retried_after(event):
            retries.append(replace(item, attempts=item.attempts + 1))
            yield Message(text=f"{item.task.name} of {item.run.spec.family}: {event.reason}; trying it once more")
        else:
            yield from _go_on(item.run, left, tally, meter, partial(_take, item, event, start, tally))


def _take(item: _UnderWay, end: Done | Failed, start: float, tally: "Tally") -> None:
    item.stage.take(item.task.name, end, time.perf_counter() - start)
    tally.take_end(item.run, item.task)


def _go_on(
    run: "BegunRun",
    left: list["BegunRun"],
    tally: "Tally",
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
            yield GaveUp(folder=run.folder, reason=str(error))
        return
    yield tally.progress(run)
    if run.judged:
        run.write_record(meter.usage(run))
        left.remove(run)
        yield Finished(folder=run.folder, trained=True)


def _next(runs: Sequence["BegunRun"]) -> _UnderWay | None:
    for stage in PRIORITY:
        for begun in runs:
            if begun.stage.name == stage and (task := begun.stage.next_task()) is not None:
                return _UnderWay(run=begun, stage=begun.stage, task=task)
    return None
