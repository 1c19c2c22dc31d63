"""Runs tasks on Dask workers, one at a time each, and reports epochs and results as they come."""

import contextlib
import logging
import os
import queue
import random
import signal
import time
import traceback
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from multiprocessing import resource_tracker
from typing import Any

import dask
import distributed
from dask import sizeof
from distributed.deploy.local import LocalCluster

from bench.errors import SearchError

TOPIC = "bench-epochs"
START_SECONDS = 60
CLOSE_SECONDS = 3
DASK_SETTINGS = {
    "distributed.worker.memory.target": False,
    "distributed.worker.memory.spill": False,
    "distributed.worker.memory.pause": False,
    "distributed.worker.memory.terminate": 0.95,
    # A worker's death ends its task, which is retried here, where the trial can be blamed.
    "distributed.scheduler.allowed-failures": 0,
    "distributed.nanny.pre-spawn-environ": {
        "TF_CPP_MIN_LOG_LEVEL": "3",
        "OMP_NUM_THREADS": "1",
        "MKL_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
    },
}


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
    worker_died: bool


class Engine:
    """A pool of one-thread worker processes on this machine."""

    def __init__(self, workers: int) -> None:
        """Start `workers` processes.

        Raises:
            SearchError: they did not start.
        """
        self.workers = workers
        self._events: queue.SimpleQueue[Epoch | Done | Failed] = queue.SimpleQueue()
        self._busy: dict[str, str] = {}  # key of a task to the address of its worker
        self._seen = time.monotonic()
        self._settings = dask.config.set(DASK_SETTINGS)
        # What it says of connections that end is known here, and no news to the user.
        logging.getLogger("distributed").setLevel(logging.CRITICAL)
        try:
            with _deaf_to_interrupts():
                self._cluster = LocalCluster(
                    n_workers=workers,
                    threads_per_worker=1,
                    processes=True,
                    host="127.0.0.1",
                    dashboard_address=None,
                    # Any free port; Dask's own choice is a fixed one, and complains where another run has it.
                    scheduler_kwargs={"dashboard_address": "127.0.0.1:0"},
                    silence_logs="CRITICAL",
                )
                self._client = distributed.Client(self._cluster, set_as_default=False)
                self._client.wait_for_workers(workers, timeout=START_SECONDS)
        except (OSError, TimeoutError, RuntimeError) as error:
            raise SearchError(f"{workers} worker processes did not start within {START_SECONDS} s: {error}") from error
        self._client.subscribe_topic(TOPIC, self._take_epoch)

    def prepare(self, function: Callable[[], None]) -> None:
        """Let every worker call `function` before its first task, in the background."""
        self._preparations = [
            self._client.submit(function, key=f"prepare-{address}", workers=[address], pure=False)
            for address in self._addresses()
        ]

    def check(self) -> None:
        """Find out that nothing can happen any more.

        Raises:
            SearchError: there has been no worker for a minute.
        """
        if self._addresses():
            self._seen = time.monotonic()
        elif time.monotonic() - self._seen > START_SECONDS:
            raise SearchError("all worker processes died and none came back. The same command goes on")

    def submit(self, key: str, function: Callable[..., Any], *arguments: Any) -> None:
        """Give a task to an idle worker; `function` gets `arguments` and a callable to report epochs."""
        address = self._idle()[0]
        self._busy[key] = address
        with warnings.catch_warnings():
            # Models and states are megabytes, and each goes to one worker once.
            warnings.filterwarnings("ignore", message="Sending large graph")
            future = self._client.submit(
                _run, key, function, arguments, key=f"{key}-{time.monotonic_ns()}", workers=[address], pure=False
            )
        future.add_done_callback(lambda ended: self._take_end(key, ended))

    def idle(self) -> int:
        """How many workers have nothing to do."""
        return len(self._idle())

    def next_event(self, timeout: float) -> Epoch | Done | Failed | None:
        """The next thing that happened, None where nothing did within `timeout` seconds."""
        try:
            event = self._events.get(timeout=timeout)
        except queue.Empty:
            return None
        if isinstance(event, Done | Failed):
            del self._busy[event.key]
        return event

    def close(self) -> None:
        """End the workers at once, even in the middle of a task."""
        for close in (
            lambda: self._client.close(timeout=CLOSE_SECONDS),
            self._kill,
            lambda: self._cluster.close(timeout=CLOSE_SECONDS),
        ):
            with contextlib.suppress(TimeoutError, OSError):
                close()
        self._settings.__exit__(None, None, None)

    def _kill(self) -> None:
        """Asked to stop, a worker would first wait for its task, and it has nothing to keep."""
        for nanny in self._cluster.workers.values():
            nanny.close_gracefully()  # without starting another worker
            if nanny.pid is not None:
                os.kill(nanny.pid, signal.SIGKILL)

    def _idle(self) -> list[str]:
        return [address for address in self._addresses() if address not in self._busy.values()]

    def _addresses(self) -> list[str]:
        scheduler: Any = self._cluster.scheduler
        return sorted(scheduler.workers)

    def _take_epoch(self, event: tuple[float, dict[str, Any]]) -> None:
        # The scheduler adds the worker's address to what the worker sent.
        self._events.put(Epoch(**{name: event[1][name] for name in Epoch.__slots__}))

    def _take_end(self, key: str, ended: distributed.Future[Any]) -> None:
        error = ended.exception()
        if error is not None:
            reason = "its worker process died" if isinstance(error, distributed.KilledWorker) else str(error)
            self._events.put(Failed(key=key, reason=reason, worker_died=True))
            return
        outcome, value = ended.result()
        if outcome == "returned":
            self._events.put(Done(key=key, value=value))
        else:
            self._events.put(Failed(key=key, reason=value, worker_died=False))


def _run(key: str, function: Callable[..., Any], arguments: tuple[Any, ...]) -> tuple[str, Any]:
    """In the worker: an exception of a candidate is a result, so that only a death is an error to Dask."""

    def report(epochs: int, seconds: float, validation_accuracy: float | None) -> None:
        event = {"key": key, "epochs": epochs, "seconds": seconds, "validation_accuracy": validation_accuracy}
        distributed.get_worker().log_event(TOPIC, event)

    try:
        _leave_random_stream_alone()
        return "returned", function(*arguments, report)
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


@contextlib.contextmanager
def _deaf_to_interrupts() -> Iterator[None]:
    """Threads and processes that are started meanwhile never get Ctrl-C, which a terminal sends to all of them.

    Also not workers that such a thread starts later, in the place of one that died. This process gets it afterwards.
    """
    if not hasattr(signal, "pthread_sigmask"):  # Windows
        yield
        return
    # Started later, it would make the starting thread hear again.
    resource_tracker.ensure_running()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
