"""Dask: random numbers, the workers of a cluster, and why workers died."""

import logging
import os
import random
import re
import time
from collections.abc import Mapping
from types import MappingProxyType, SimpleNamespace
from typing import TYPE_CHECKING, Any

from bench.compat.expectations import expecting, incompatible

if TYPE_CHECKING:
    import distributed

DASK = ("dask",)
DISTRIBUTED = ("distributed",)

OUT_OF_MEMORY_TOPIC = "worker-restart-memory"
DEATH_MESSAGE = re.compile(r"Worker process (\d+) (.*)")
DEATH_MESSAGE_SECONDS = 1.0
KILLED, TERMINATED = "was killed by signal 9", "was killed by signal 15"


def isolate_dask_sampling() -> None:
    """Give Dask its own random generator; call this in every worker.

    Dask estimates the size of lists from random samples. A thread draws them from Python's global generator, possibly
    between seeding and building a model, when Keras draws the seeds of weights from the same generator.

    Raises:
        CompatibilityError: Dask does not sample from `dask.sizeof.random`.
    """
    with expecting(DASK, "`random` in dask.sizeof to be the module that its samples are drawn from"):
        from dask import sizeof

        if isinstance(vars(sizeof)["random"], _CountedRandom):
            return
        stream = vars(sizeof)["random"] = _CountedRandom()
        sizeof.sizeof(list(range(1000)))
        if stream.samples == 0:
            raise incompatible(DASK, "dask.sizeof to sample a long list by `random.sample`", "no such call")


class _CountedRandom(random.Random):
    samples = 0

    def sample(self, *arguments: Any, **options: Any) -> list[Any]:
        self.samples += 1
        return super().sample(*arguments, **options)


def cluster_workers(client: "distributed.Client") -> Mapping[str, Any]:
    """The scheduler's information on each worker, by address, including "nthreads" and "local_directory".

    A later worker process at the same address has another local directory.

    Client.scheduler_info() cannot be used, since a thread of the client clears its result every two seconds.

    Raises:
        CompatibilityError: the scheduler's response has another format.
        OSError: the scheduler does not respond.
    """
    scheduler = client.scheduler
    if scheduler is None:  # reconnecting
        raise OSError("not connected to the scheduler")
    identity = client.sync(scheduler.identity, n_workers=-1)
    expected = 'a response of Scheduler.identity with "workers", each with "local_directory" and "nthreads"'
    with expecting(DISTRIBUTED, expected):
        return {
            address: MappingProxyType(
                {**facts, "nthreads": int(facts["nthreads"]), "local_directory": str(facts["local_directory"])}
            )
            for address, facts in identity["workers"].items()
        }


class WorkerDeathLog(logging.Handler):
    """Causes of worker deaths, from log messages of Dask's nannies and out-of-memory events of the scheduler."""

    def __init__(self) -> None:
        """Start to listen; `close` restores the logger."""
        super().__init__(logging.INFO)
        self._causes: dict[int, str] = {}  # by process id
        self._out_of_memory: dict[str, int] = {}  # bytes by address
        self._logger = logging.getLogger("distributed.nanny")
        self._before = self._logger.level, self._logger.propagate
        self._logger.setLevel(logging.INFO)
        self._logger.propagate = False
        self._logger.addHandler(self)

    def subscribe(self, client: "distributed.Client") -> None:
        """Receive out-of-memory events, including those of workers on other machines."""
        client.subscribe_topic(OUT_OF_MEMORY_TOPIC, self._take_out_of_memory)

    def emit(self, record: logging.LogRecord) -> None:
        """Store how a process ended."""
        match = DEATH_MESSAGE.search(record.getMessage())
        if match:
            self._causes[int(match[1])] = match[2]

    def reason(self, address: str, process: int | None) -> str:
        """Why the worker at `address` died, if known; waits up to a second for the message."""
        deadline = time.monotonic() + DEATH_MESSAGE_SECONDS
        # A nanny terminates a worker that uses too much memory with signal 15; the event may arrive later.
        while (cause := self._cause(address, process)) in (None, TERMINATED) and time.monotonic() < deadline:
            time.sleep(0.05)
        self._out_of_memory.pop(address, None)  # a later worker may have the same address
        return "its worker process " + (cause or "died")

    def _cause(self, address: str, process: int | None) -> str | None:
        if address in self._out_of_memory:
            used = self._out_of_memory[address] / 2**30
            return f"used {used:.1f} GiB, more than its memory limit, and was terminated"
        cause = self._causes.get(process) if process is not None else None
        return f"{cause}, possibly by the kernel because memory ran out" if cause == KILLED else cause

    def close(self) -> None:
        """Restore the logger."""
        self._logger.removeHandler(self)
        level, self._logger.propagate = self._before
        self._logger.setLevel(level)
        super().close()

    def _take_out_of_memory(self, event: tuple[float, Mapping[str, Any]]) -> None:
        self._out_of_memory[event[1]["worker"]] = event[1]["rss"]


def check_worker_deaths() -> None:
    """Check that WorkerDeathLog parses the messages and events of a nanny.

    Raises:
        CompatibilityError: the message, its logger or the event has changed.
    """
    log = WorkerDeathLog()
    try:
        with expecting(DISTRIBUTED, "a nanny that reports killed workers and workers out of memory"):
            from distributed import nanny

            nanny.logger.info(nanny.WorkerProcess._death_message(None, 17, -9))  # type: ignore[arg-type]  # noqa: SLF001
            reason = log.reason("tcp://killed", 17)
            topic, event = _out_of_memory_event("tcp://full")
        if KILLED not in reason:
            raise incompatible(
                DISTRIBUTED, f"'Worker process 17 {KILLED}' in the log distributed.nanny", "another text"
            )
        if topic != OUT_OF_MEMORY_TOPIC or event["worker"] != "tcp://full" or not event["rss"] > 0:
            raise incompatible(
                DISTRIBUTED, f"an event {OUT_OF_MEMORY_TOPIC!r} with worker and rss", f"{topic!r}: {event}"
            )
    finally:
        log.close()


def _out_of_memory_event(address: str) -> tuple[str, Mapping[str, Any]]:
    """The event that a nanny logs when the worker at `address` exceeds its memory limit, here two bytes."""
    import dask
    from distributed.core import Status
    from distributed.worker_memory import NannyMemoryManager

    events: list[tuple[str, Mapping[str, Any]]] = []
    process = SimpleNamespace(pid=os.getpid(), terminate=lambda: None)
    nanny: Any = SimpleNamespace(
        nthreads=1,
        periodic_callbacks={},
        status=Status.running,
        worker_address=address,
        process=SimpleNamespace(process=process),
        log_event=lambda topic, event: events.append((topic, event)),
    )
    with dask.config.set({"distributed.worker.memory.terminate": 0.5}):
        NannyMemoryManager(nanny, memory_limit=2).memory_monitor(nanny)
    return events[0]
