"""Run tasks on the workers of a pool, and report epochs and results as events."""

import queue
import time
import uuid
import warnings
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import distributed
from distributed.scheduler import KilledWorker

from bench.compat.dask import isolate_dask_sampling
from bench.errors import BenchError, ModelError, RecordError, SearchError
from bench.workers.error_text import error_text
from bench.workers.pool import Pool

NO_WORKER_SECONDS = 60
NOT_READY_SECONDS = 600
PREPARING_POLL_SECONDS = 0.1
MONITOR_SECONDS = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class EpochCompleted:
    """A task has completed an epoch."""

    key: str
    epochs: int  # completed so far, counted from the candidate's first epoch
    seconds: float  # of this epoch


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskCompleted:
    """A task has returned `value`."""

    key: str
    value: Any
    lost_seconds: float = 0.0  # of earlier attempts, whose workers died; set by the polling loop


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskFailed:
    """A task has raised an exception or its worker has died."""

    key: str
    reason: str
    worker_died: bool  # crashed or killed at a timeout; the task may not be at fault
    fatal: bool = False  # the worker's setup is broken, so every task would fail
    lost_seconds: float = 0.0  # on the worker; the polling loop adds those of earlier attempts


Event = EpochCompleted | TaskCompleted | TaskFailed


@dataclass(frozen=True, slots=True, kw_only=True)
class _Attempt:
    """A task running on a worker."""

    key: str
    number: int  # distinguishes attempts of the same task
    address: str
    future: "distributed.Future[Any]"
    started: float  # time.monotonic()
    deadline: float | None  # time.monotonic() at which its worker is killed

    @property
    def seconds(self) -> float:
        """Since it started."""
        return time.monotonic() - self.started


class Executor:
    """Runs one task per worker at a time, so that a crash can be blamed on one task."""

    def __init__(self, pool: Pool, *, hint: str = "") -> None:
        """Run tasks on the workers of `pool`; `hint` is a sentence on how to continue if all have died."""
        self._pool = pool
        self._hint = hint
        self._events: queue.SimpleQueue[tuple[int, Event]] = queue.SimpleQueue()
        self._undelivered: deque[TaskFailed] = deque()
        self._attempts: dict[str, _Attempt] = {}  # by key
        self._submitted = 0
        self._last_worker = self._last_check = time.monotonic()
        self._topic = f"bench-epochs-{uuid.uuid4()}"  # other programs may use the same scheduler
        pool.client.subscribe_topic(self._topic, self._on_epoch)

    def idle(self) -> int:
        """Number of workers that are ready and have no task."""
        return len(self._idle_addresses())

    def submit(self, key: str, function: Callable[..., Any], *arguments: Any, timeout: float | None = None) -> None:
        """Give a task to an idle worker.

        If all idle workers have died in the meantime, the task fails as if it had been running on one of them.

        Args:
            key: identifies the task in events.
            function: called in the worker with `arguments` and a callback that reports epochs.
            arguments: sent to the worker.
            timeout: seconds after which the worker is killed; None for no limit.
        """
        addresses = self._idle_addresses()
        if not addresses:
            reason = "its worker process died before the task started"
            self._undelivered.append(TaskFailed(key=key, reason=reason, worker_died=True))
            return
        self._submitted += 1
        number, address = self._submitted, addresses[0]
        with warnings.catch_warnings():
            # Models and optimizer states are megabytes, and each is sent once.
            warnings.filterwarnings("ignore", message="Sending large graph")
            future = self._pool.client.submit(
                _run,
                self._topic,
                key,
                number,
                function,
                arguments,
                key=f"{key}-{uuid.uuid4()}",
                workers=[address],
                pure=False,
            )
        self._attempts[key] = _Attempt(
            key=key,
            number=number,
            address=address,
            future=future,
            started=time.monotonic(),
            deadline=None if timeout is None else time.monotonic() + timeout,
        )
        future.add_done_callback(lambda ended: self._on_end(key, number, ended))

    def next_event(self, seconds: float) -> Event | None:
        """The next event, or None if there is none within `seconds`.

        Raises:
            SearchError: no worker has been available for too long.
        """
        if self._undelivered:
            return self._undelivered.popleft()
        if self._pool.preparing():
            seconds = min(seconds, PREPARING_POLL_SECONDS)
        if (now := time.monotonic()) - self._last_check >= MONITOR_SECONDS:
            self._last_check = now
            if (failed := self._check_workers()) is not None:
                return failed
        try:
            number, event = self._events.get(timeout=seconds)
        except queue.Empty:
            return None
        attempt = self._attempts.get(event.key)
        if attempt is None or attempt.number != number:  # from an abandoned attempt
            return None
        if isinstance(event, TaskFailed) and event.worker_died:
            return self._abandon(attempt, event.reason or self._pool.cause_of_death(attempt.address))
        if not isinstance(event, EpochCompleted):
            del self._attempts[event.key]
        return replace(event, lost_seconds=attempt.seconds) if isinstance(event, TaskFailed) else event

    def messages(self) -> list[str]:
        """Messages about workers since the last call."""
        return self._pool.messages()

    def _check_workers(self) -> TaskFailed | None:
        """Kill a worker whose task exceeds its timeout; fail the task of a worker that has died."""
        addresses, now = self._pool.addresses(), time.monotonic()
        if addresses:
            self._last_worker = now
        elif now - self._last_worker > (NOT_READY_SECONDS if self._pool.preparing() else NO_WORKER_SECONDS):
            raise SearchError(". ".join(filter(None, ("all worker processes died and none was replaced", self._hint))))
        # A task that is done has ended, even if this process was too busy to take notice.
        for attempt in [attempt for attempt in self._attempts.values() if not attempt.future.done()]:
            if attempt.deadline is not None and now > attempt.deadline:
                self._pool.terminate(attempt.address)
                return self._abandon(attempt, "it took longer than the trial timeout, so its worker process was killed")
            if attempt.address not in addresses:
                return self._abandon(attempt, self._pool.cause_of_death(attempt.address))
        return None

    def _abandon(self, attempt: _Attempt, reason: str) -> TaskFailed:
        del self._attempts[attempt.key]
        attempt.future.cancel()
        return TaskFailed(key=attempt.key, reason=reason, worker_died=True, lost_seconds=attempt.seconds)

    def _idle_addresses(self) -> list[str]:
        busy = {attempt.address for attempt in self._attempts.values()}
        return [address for address in self._pool.addresses() if address not in busy]

    def _on_epoch(self, event: tuple[float, dict[str, Any]]) -> None:
        # The scheduler adds the worker's address to the fields that the worker sent.
        fields = event[1]
        self._events.put(
            (fields["attempt"], EpochCompleted(**{name: fields[name] for name in EpochCompleted.__slots__}))
        )

    def _on_end(self, key: str, number: int, ended: "distributed.Future[Any]") -> None:
        event: Event
        if ended.cancelled():
            event = TaskFailed(key=key, reason="the connection to the scheduler was lost", worker_died=True)
        elif (error := ended.exception()) is not None:
            text = " ".join(f"Dask could not run it: {type(error).__name__}: {error}".split())
            # The pool knows why a worker died.
            event = TaskFailed(key=key, reason="" if isinstance(error, KilledWorker) else text, worker_died=True)
        else:
            try:
                event = ended.result()
            except Exception as unreadable:  # noqa: BLE001 - a result may have classes of the user's own
                event = TaskFailed(key=key, reason=f"its result cannot be read: {unreadable}", worker_died=False)
        self._events.put((number, event))


def _run(
    topic: str, key: str, number: int, function: Callable[..., Any], arguments: tuple[Any, ...]
) -> TaskCompleted | TaskFailed:
    """Run a task in the worker; exceptions are returned, so that Dask sees an error only if the worker dies."""

    def report(epochs: int, seconds: float) -> None:
        fields = {"key": key, "attempt": number, "epochs": epochs, "seconds": seconds}
        distributed.get_worker().log_event(topic, fields)

    try:
        isolate_dask_sampling()
        return TaskCompleted(key=key, value=function(*arguments, report))
    except (RecordError, ModelError) as error:  # of one model, such as predictions that are NaN
        return TaskFailed(key=key, reason=str(error), worker_died=False)
    except BenchError as error:
        reason = f"{distributed.get_worker().address}: {error}"
        return TaskFailed(key=key, reason=reason, worker_died=False, fatal=True)
    except (Exception, SystemExit) as error:  # noqa: BLE001 - a family is the user's code and may raise anything
        return TaskFailed(key=key, reason=error_text(error), worker_died=False)
