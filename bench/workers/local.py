"""Worker processes on this machine."""

import logging
import os
import signal
from collections.abc import Callable
from contextlib import ExitStack, suppress
from typing import Any

import dask
import distributed
from distributed.deploy.local import LocalCluster
from distributed.scheduler import KilledWorker
from distributed.system import MEMORY_LIMIT

from bench.compat import run_checks
from bench.compat.dask import WorkerDeathLog
from bench.errors import SearchError
from bench.signals import shield_children_from_sigint
from bench.workers.fork_server import WORKER_VARIABLES, StartMethod, other_threads_when_forked
from bench.workers.pool import CLOSE_SECONDS, START_SECONDS

MAX_DEATHS_AT_START = 3
DASK_SETTINGS = {
    "distributed.worker.memory.target": False,
    "distributed.worker.memory.spill": False,
    "distributed.worker.memory.pause": False,
    # Fraction of a worker's share of the memory; below 1, so that Dask terminates the worker before the kernel does.
    "distributed.worker.memory.terminate": 0.85,
    # The profiler samples stacks 100 times per second; those of Keras take megabytes per trial.
    "distributed.worker.profile.enabled": False,
    # The polling loop retries tasks of dead workers, so that a crash is attributed to its trial.
    "distributed.scheduler.allowed-failures": 0,
    "distributed.nanny.pre-spawn-environ": WORKER_VARIABLES,
}


class LocalPool:
    """Worker processes of a local Dask cluster; dead processes are replaced."""

    def __init__(
        self,
        workers: int,
        prepare: Callable[[], object] | None = None,
        start_method: StartMethod = "spawn",
        shared_bytes: int = 0,
    ) -> None:
        """Start the worker processes.

        Args:
            workers: number of processes.
            prepare: called once in each worker before its first task, in the background.
            start_method: of the processes; "forkserver" only inside `fork_server`.
            shared_bytes: size of files that all processes map, which count in the memory of each of them.

        Raises:
            SearchError: the processes did not start.
        """
        run_checks("dask")
        self._prepare = prepare
        self._preparations: dict[str, distributed.Future[Any]] = {}  # by address
        self._prepared: set[str] = set()
        self._deaths_at_start = 0
        self._process_ids: dict[str, int] = {}  # by address
        self._dead: set[str] = set()  # the scheduler may list them for another moment
        # Of the process from which the workers were forked, by name; asked before anything is done in them.
        self.other_threads: tuple[str, ...] = ()
        logger = logging.getLogger("distributed")
        with ExitStack() as stack:
            # Dask logs every lost connection, even to workers that are killed on purpose.
            stack.callback(logger.setLevel, logger.level)
            logger.setLevel(logging.CRITICAL)
            settings = {**DASK_SETTINGS, "distributed.worker.multiprocessing-method": start_method}
            stack.enter_context(dask.config.set(settings))
            self._deaths = WorkerDeathLog()
            stack.callback(self._deaths.close)
            try:
                with shield_children_from_sigint():
                    self._cluster = _cluster(workers, shared_bytes)
                    stack.callback(_quietly, self._cluster.close, timeout=CLOSE_SECONDS)
                    stack.callback(self._kill)
                    self.client = distributed.Client(self._cluster, set_as_default=False)
                    stack.callback(_quietly, self.client.close, timeout=CLOSE_SECONDS)
                    self.client.wait_for_workers(workers, timeout=START_SECONDS)
            except (OSError, RuntimeError) as error:
                raise SearchError(
                    f"{workers} worker processes did not start within {START_SECONDS} s: {error}"
                ) from error
            self._deaths.subscribe(self.client)
            if start_method == "forkserver":
                self.other_threads = self.client.run(other_threads_when_forked, workers=self._alive()[:1]).popitem()[1]
            self.addresses()
            self._to_close = stack.pop_all()

    def addresses(self) -> list[str]:
        """Addresses of the living and prepared workers.

        Raises:
            SearchError: workers cannot be prepared.
        """
        alive = self._alive()
        if self._prepare is None:
            return alive
        for address in alive:
            if address not in self._preparations:
                key = f"prepare-{address}-{self._process_ids[address]}"
                self._preparations[address] = self.client.submit(self._prepare, key=key, workers=[address], pure=False)
        for address, preparation in self._preparations.items():
            if address in self._prepared | self._dead or not preparation.done():
                continue
            if (error := preparation.exception()) is None:
                self._prepared.add(address)
            else:
                self._dead.add(address)
                self._check_preparation(address, error)
        return [address for address in alive if address in self._prepared]

    def preparing(self) -> bool:
        """Whether a worker is alive but not yet prepared."""
        return self._prepare is not None and not self._prepared >= set(self._alive())

    def cause_of_death(self, address: str) -> str:
        """Why the worker with this address died; waits a moment for the report of its parent process."""
        return self._deaths.reason(address, self._process_ids.get(address))

    def terminate(self, address: str) -> None:
        """Kill a worker process; Dask starts another in its place."""
        if address in self.addresses():
            self._dead.add(address)
            _kill_process(self._process_ids[address])

    def messages(self) -> list[str]:
        """None: local workers are never rejected."""
        return []

    def close(self) -> None:
        """Kill all workers: a regular shutdown would wait for running tasks, whose results are not needed."""
        self._to_close.close()

    def _alive(self) -> list[str]:
        scheduler: Any = self._cluster.scheduler
        workers = scheduler.workers
        alive = [worker for address in sorted(workers) if (worker := workers.get(address)) is not None]
        for worker in alive:
            if self._process_ids.get(worker.address) != worker.pid:  # new, possibly at the address of a dead one
                self._process_ids[worker.address] = worker.pid
                self._preparations.pop(worker.address, None)
                self._prepared.discard(worker.address)
                self._dead.discard(worker.address)
        return [worker.address for worker in alive if worker.address not in self._dead]

    def _check_preparation(self, address: str, error: BaseException) -> None:
        """Tolerate a few deaths, which may be accidental; an exception would occur in every worker."""
        reason = str(error)
        if isinstance(error, KilledWorker):
            reason = self.cause_of_death(address)
            self._deaths_at_start += 1
            if self._deaths_at_start < MAX_DEATHS_AT_START:
                return
        raise SearchError(f"worker processes started but cannot be prepared for training: {reason}")

    def _kill(self) -> None:
        for nanny in self._cluster.workers.values():
            nanny.close_gracefully()  # so that it starts no replacement
            if (process := nanny.pid) is not None:
                _kill_process(process)


def _cluster(workers: int, shared_bytes: int) -> LocalCluster:
    return LocalCluster(
        n_workers=workers,
        threads_per_worker=1,
        processes=True,
        memory_limit=(MEMORY_LIMIT - shared_bytes) // workers + shared_bytes,
        host="127.0.0.1",
        dashboard_address=None,
        # Any free port: Dask's default port is fixed, and it warns if another run uses it.
        scheduler_kwargs={"dashboard_address": "127.0.0.1:0"},
        silence_logs="CRITICAL",
    )


def _kill_process(process: int) -> None:
    with suppress(ProcessLookupError):  # it may just have died
        os.kill(process, signal.SIGKILL)


def _quietly(close: Callable[..., object], **options: float) -> None:
    with suppress(OSError):
        close(**options)


def open_pool(
    workers: int,
    prepare: Callable[[], object],
    start_method: StartMethod,
    report: Callable[[str], None],
    shared_bytes: int = 0,
) -> tuple[LocalPool, StartMethod]:
    """Start worker processes by `start_method`, or by "spawn" if forking is not safe.

    Args:
        workers: number of processes.
        prepare: called once in each worker before its first task, in the background.
        start_method: "forkserver" only inside `fork_server`.
        report: called with the reason why the processes are not forked.
        shared_bytes: as for LocalPool.

    Returns:
        The pool, and how its processes were started.

    Raises:
        SearchError: the processes did not start.
    """
    pool = LocalPool(workers, prepare, start_method, shared_bytes)
    if not pool.other_threads:
        return pool, start_method
    pool.close()
    report(
        "Starting the worker processes again, without forking, which takes longer: a library or a debugger has started "
        f"threads in the process to be forked: {', '.join(pool.other_threads)}"
    )
    return LocalPool(workers, prepare, "spawn", shared_bytes), "spawn"
