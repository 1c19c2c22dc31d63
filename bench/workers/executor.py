"""Runs tasks on the workers of a pool, one at a time each, and reports epochs and results as they come."""

import queue
import random
import time
import traceback
import uuid
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import distributed
from dask import sizeof

from bench.errors import BenchError, SearchError
from bench.workers.pools import Pool

NO_WORKER_SECONDS = 60
NONE_READY_SECONDS = 600
READY_SECONDS = 0.1  # between two looks whether a worker that prepares itself is ready
LOOK_SECONDS = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Epoch:
    """A task has finished an epoch."""

    key: str
    epochs: int  # done, counted from the candidate's first
    seconds: float  # of this epoch
    validation_accuracy: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """A task has returned `value`."""

    key: str
    value: Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Failed:
    """A task has raised, or its worker has died."""

    key: str
    reason: str
    worker_died: bool  # or was ended; perhaps not the task's own fault
    fatal: bool = False  # not the candidate's fault, and no other task would fare better


Event = Epoch | Done | Failed


@dataclass(frozen=True, slots=True, kw_only=True)
class _Attempt:
    """A task that a worker has."""

    key: str
    number: int  # tells it from an earlier attempt at the same task
    address: str
    future: "distributed.Future[Any]"
    until: float | None  # monotonic time at which its worker is ended


class Engine:
    """Gives each worker one task at a time, so that a death blames one task."""

    def __init__(self, pool: Pool) -> None:
        """Use the workers of `pool`."""
        self._pool = pool
        self._events: queue.SimpleQueue[tuple[int, Event]] = queue.SimpleQueue()
        self._attempts: dict[str, _Attempt] = {}  # by key
        self._counted: list[str] = []  # addresses of workers that had nothing to do, when last asked
        self._started = 0
        self._seen = self._looked = time.monotonic()
        self._topic = f"bench-epochs-{uuid.uuid4()}"  # the scheduler may serve others, too
        pool.client.subscribe_topic(self._topic, self._take_epoch)

    def submit(self, key: str, function: Callable[..., Any], *arguments: Any, timeout: float | None = None) -> None:
        """Give a task to an idle worker.

        Where the last one of those that `idle` counted has died since, the task ends as if it had died with it.

        Args:
            key: its name.
            function: gets `arguments` and a callable to report epochs.
            arguments: sent to the worker.
            timeout: seconds after which its worker is ended.
        """
        self._started += 1
        number, address = self._started, (self._idle() or self._counted)[0]
        with warnings.catch_warnings():
            # Models and states are megabytes, and each goes to one worker once.
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
            until=None if timeout is None else time.monotonic() + timeout,
        )
        future.add_done_callback(lambda ended: self._take_end(key, number, ended))

    def idle(self) -> int:
        """How many workers have nothing to do."""
        self._counted = self._idle()
        return len(self._counted)

    def next_event(self, timeout: float) -> Event | None:
        """The next thing that happened, None where nothing did within `timeout` seconds.

        Raises:
            SearchError: there has been no worker for too long.
        """
        if self._pool.preparing():
            timeout = min(timeout, READY_SECONDS)
        if (now := time.monotonic()) - self._looked >= LOOK_SECONDS:
            self._looked = now
            if (failed := self._look_after_workers()) is not None:
                return failed
        try:
            number, event = self._events.get(timeout=timeout)
        except queue.Empty:
            return None
        attempt = self._attempts.get(event.key)
        if attempt is None or attempt.number != number:  # of an attempt that was given up
            return None
        if isinstance(event, Failed) and event.worker_died:
            return self._give_up(attempt, self._pool.why_died(attempt.address))
        if isinstance(event, Done | Failed):
            del self._attempts[event.key]
        return event

    def news(self) -> list[str]:
        """What the user should know of workers, said once."""
        return self._pool.news()

    def _look_after_workers(self) -> Failed | None:
        """End what takes too long; miss the workers that are gone, whose tasks would be waited for for ever."""
        addresses, now = self._pool.addresses(), time.monotonic()
        if addresses:
            self._seen = now
        elif now - self._seen > (NONE_READY_SECONDS if self._pool.preparing() else NO_WORKER_SECONDS):
            raise SearchError("all worker processes died and none came back. The same command goes on")
        for attempt in list(self._attempts.values()):
            if attempt.until is not None and now > attempt.until:
                self._pool.end(attempt.address)
                return self._give_up(attempt, "it took longer than --trial-timeout allows, and its worker was ended")
            if attempt.address not in addresses and not attempt.future.done():
                return self._give_up(attempt, self._pool.why_died(attempt.address))
        return None

    def _give_up(self, attempt: _Attempt, reason: str) -> Failed:
        del self._attempts[attempt.key]
        attempt.future.cancel()
        return Failed(key=attempt.key, reason=reason, worker_died=True)

    def _idle(self) -> list[str]:
        busy = {attempt.address for attempt in self._attempts.values()}
        return [address for address in self._pool.addresses() if address not in busy]

    def _take_epoch(self, event: tuple[float, dict[str, Any]]) -> None:
        # The scheduler adds the worker's address to what the worker sent.
        sent = event[1]
        self._events.put((sent["attempt"], Epoch(**{name: sent[name] for name in Epoch.__slots__})))

    def _take_end(self, key: str, number: int, ended: "distributed.Future[Any]") -> None:
        if ended.cancelled():
            return
        error = ended.exception()
        if error is not None:
            self._events.put((number, Failed(key=key, reason=str(error), worker_died=True)))
            return
        outcome, value = ended.result()
        event = (
            Done(key=key, value=value)
            if outcome == "returned"
            else Failed(key=key, reason=value, worker_died=False, fatal=outcome == "fatal")
        )
        self._events.put((number, event))


def _run(
    topic: str, key: str, number: int, function: Callable[..., Any], arguments: tuple[Any, ...]
) -> tuple[str, Any]:
    """In the worker: an exception of a candidate is a result, so that only a death is an error to Dask."""

    def report(epochs: int, seconds: float, validation_accuracy: float | None) -> None:
        event = {
            "key": key,
            "attempt": number,
            "epochs": epochs,
            "seconds": seconds,
            "validation_accuracy": validation_accuracy,
        }
        distributed.get_worker().log_event(topic, event)

    try:
        _leave_random_stream_alone()
        return "returned", function(*arguments, report)
    except BenchError as error:
        return "fatal", f"{distributed.get_worker().address}: {error}"
    except Exception as error:  # noqa: BLE001 - a family is the user's code and may raise anything
        return "raised", describe(error)


def _leave_random_stream_alone() -> None:
    """Let Dask draw its samples from a stream of its own.

    Its thread measures lists by samples that it draws from Python's global stream, at any moment: also between seeding
    and building a model, when Keras draws the seeds of the weights from there.
    """
    vars(sizeof)["random"] = random.Random()  # noqa: S311 - no secrets here


def describe(error: Exception, longest: int = 600) -> str:
    """An exception in one line: its type, its message, and where it was raised."""
    frame = traceback.extract_tb(error.__traceback__)[-1]
    message = " ".join(str(error).split())
    if len(message) > longest:
        message = message[:longest] + " ..."
    file = frame.filename.replace("\\", "/").rsplit("/", 1)[-1]
    return f"{type(error).__name__}: {message} (in {frame.name}, {file}:{frame.lineno})"
