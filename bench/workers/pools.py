"""Where worker processes come from: this machine, or a Dask cluster that the user runs."""

import logging
import os
import re
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Protocol

import dask
import distributed
from distributed.deploy.local import LocalCluster
from distributed.scheduler import KilledWorker

from bench.errors import SearchError
from bench.signals import shield_children_from_sigint

START_SECONDS = 60
ANSWER_SECONDS = 600  # for importing TensorFlow, on a busy machine
CONNECT_SECONDS = 10
CLOSE_SECONDS = 3
DEATH_NEWS_SECONDS = 1.0
MAX_DEATHS_AT_START = 3
OUT_OF_MEMORY = "worker-restart-memory"  # Dask's topic
DASK_SETTINGS = {
    "distributed.worker.memory.target": False,
    "distributed.worker.memory.spill": False,
    "distributed.worker.memory.pause": False,
    # Of a worker's share; the rest is for this process, and to end the worker before the system does.
    "distributed.worker.memory.terminate": 0.85,
    # It looks at the task's stack a hundred times a second, and what it keeps of Keras' are megabytes a trial.
    "distributed.worker.profile.enabled": False,
    # A worker's death ends its task, which is retried by the pipeline, where the trial can be blamed.
    "distributed.scheduler.allowed-failures": 0,
    "distributed.nanny.pre-spawn-environ": {
        "TF_CPP_MIN_LOG_LEVEL": "3",
        "OMP_NUM_THREADS": "1",
        "MKL_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
    },
}


class Pool(Protocol):
    """Worker processes with one thread each, and what the engine needs to know of them."""

    client: distributed.Client

    def addresses(self) -> list[str]:
        """Workers that may be given tasks.

        Raises:
            SearchError: there will never be any.
        """

    def preparing(self) -> bool:
        """Whether workers are there that may not be given tasks yet."""

    def why_died(self, address: str) -> str:
        """What is known of the death of the worker that had this address."""

    def end(self, address: str) -> None:
        """End a worker process at once, even in the middle of a task; another takes its place."""

    def news(self) -> list[str]:
        """What the user should know of workers, said once."""

    def close(self) -> None:
        """End what this process has given to workers, even in the middle of a task."""


class LocalPool:
    """One process for each core that is to be used, started here; those that die are replaced."""

    def __init__(self, workers: int, prepare: Callable[[], object] | None = None) -> None:
        """Start processes.

        Args:
            workers: how many.
            prepare: called in each of them, in the background, before it may be given tasks.

        Raises:
            SearchError: they did not start.
        """
        self._prepare = prepare
        self._preparations: dict[str, distributed.Future[Any]] = {}  # by address
        self._prepared: set[str] = set()
        self._deaths_at_start = 0
        self._settings = dask.config.set(DASK_SETTINGS)
        # What it says of connections that end is known here, and no news to the user.
        logging.getLogger("distributed").setLevel(logging.CRITICAL)
        self._deaths = _Deaths()
        self._processes: dict[str, int] = {}  # address to process id
        self._ended: set[str] = set()  # the scheduler takes a moment to miss them
        try:
            with shield_children_from_sigint():
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
                self.client = distributed.Client(self._cluster, set_as_default=False)
                self.client.wait_for_workers(workers, timeout=START_SECONDS)
        except (OSError, TimeoutError, RuntimeError) as error:
            raise SearchError(f"{workers} worker processes did not start within {START_SECONDS} s: {error}") from error
        self._deaths.listen(self.client)
        self.addresses()

    def addresses(self) -> list[str]:
        """All that are alive and prepared."""
        alive = self._alive()
        if self._prepare is None:
            return alive
        for address in alive:
            if address not in self._preparations:
                self._preparations[address] = self.client.submit(
                    self._prepare, key=f"prepare-{address}", workers=[address], pure=False
                )
        for address, preparation in self._preparations.items():
            if address not in self._prepared and preparation.done():
                self._prepared.add(address)
                self._look_at(address, preparation.exception())
        return [address for address in alive if address in self._prepared]

    def preparing(self) -> bool:
        """Whether one is alive that is not prepared."""
        return self._prepare is not None and not self._prepared >= set(self._alive())

    def _alive(self) -> list[str]:
        scheduler: Any = self._cluster.scheduler
        found = sorted(scheduler.workers)
        if not self._processes.keys() >= set(found):
            self._processes |= {nanny.worker_address: nanny.pid for nanny in self._cluster.workers.values()}
        return [address for address in found if address not in self._ended]

    def _look_at(self, address: str, error: BaseException | None) -> None:
        """A death may be chance, and another worker comes; an error comes again with every worker."""
        if error is None:
            return
        reason = str(error)
        if isinstance(error, KilledWorker):
            reason = self.why_died(address)
            self._deaths_at_start += 1
            if self._deaths_at_start < MAX_DEATHS_AT_START:
                return
        raise SearchError(f"worker processes start, but cannot import what training needs: {reason}")

    def why_died(self, address: str) -> str:
        """As its nanny tells it, which may be a moment later than the scheduler."""
        return self._deaths.tell(address, self._processes.get(address))

    def end(self, address: str) -> None:
        """Its nanny starts another."""
        if address in self.addresses():
            self._ended.add(address)
            os.kill(self._processes[address], signal.SIGKILL)

    def news(self) -> list[str]:
        """Nothing: these workers are as they were started."""
        return []

    def close(self) -> None:
        """End every worker. Asked to stop, it would first wait for its task, and it has nothing to keep."""
        for close in (
            lambda: self.client.close(timeout=CLOSE_SECONDS),
            self._kill,
            lambda: self._cluster.close(timeout=CLOSE_SECONDS),
        ):
            with suppress(TimeoutError, OSError):
                close()
        self._deaths.close()
        self._settings.__exit__(None, None, None)

    def _kill(self) -> None:
        for nanny in self._cluster.workers.values():
            nanny.close_gracefully()  # without starting another worker
            if nanny.pid is not None:
                os.kill(nanny.pid, signal.SIGKILL)


class RemotePool:
    """Workers of a scheduler that the user started, as far as they are fit for this run; more may come at any time."""

    def __init__(self, scheduler: str, worker_info: Callable[[], Any], refuse: Callable[[Any], str | None]) -> None:
        """Connect, and wait for the first workers.

        Args:
            scheduler: address, such as tcp://127.0.0.1:8786.
            worker_info: called once in each worker; says what this worker is.
            refuse: given that, why the worker is not to be used; None where it is.

        Raises:
            SearchError: no scheduler, no worker, or none that may be used.
        """
        self._scheduler = scheduler
        self._introduce = worker_info
        self._refuse = refuse
        self._known: dict[str, Any] = {}  # what the scheduler last said of its workers, by address
        self._introductions: dict[str, distributed.Future[Any]] = {}
        self._verdicts: dict[str, str | None] = {}
        self._news: list[str] = []
        self._deaths = _Deaths()
        try:
            self.client = distributed.Client(scheduler, timeout=CONNECT_SECONDS, set_as_default=False)
        except (OSError, TimeoutError, ValueError) as error:
            raise SearchError(
                f"no Dask scheduler answers at {scheduler!r} ({error}): start one with `dask scheduler`, "
                "it says its address"
            ) from error
        self._deaths.listen(self.client)
        try:
            self._wait()
        except SearchError:
            self.client.close(timeout=CLOSE_SECONDS)
            raise

    def addresses(self) -> list[str]:
        """Those that have introduced themselves and were not refused; newcomers are asked to."""
        present = self._present()
        for address, facts in present.items():
            if address not in self._verdicts:
                self._meet(address, int(facts["nthreads"]))
        return sorted(address for address in present if self._verdicts.get(address, "waiting") is None)

    def preparing(self) -> bool:
        """Whether one is there that has not introduced itself."""
        return any(address not in self._verdicts for address in self._present())

    def why_died(self, address: str) -> str:
        """Its machine may be another one: only memory is told of."""
        return self._deaths.tell(address, None)

    def end(self, address: str) -> None:
        """Its nanny starts another."""
        with suppress(TimeoutError, ValueError):  # one without a nanny goes on, and is given nothing more
            self.client.restart_workers([address], timeout=CLOSE_SECONDS, raise_for_error=False)
        self._verdicts[address] = "was ended"

    def news(self) -> list[str]:
        """Which workers are not used, and why."""
        news, self._news = self._news, []
        return news

    def close(self) -> None:
        """The cluster is the user's and goes on, without our tasks."""
        with suppress(TimeoutError, OSError):
            for address, keys in self.client.processing().items():
                if any(key in self.client.futures for key in keys):
                    self.end(address)
        with suppress(TimeoutError, OSError):
            self.client.close(timeout=CLOSE_SECONDS)
        self._deaths.close()

    def _present(self) -> dict[str, Any]:
        # Not by `scheduler_info`, whose answer the client empties of workers every two seconds, in another thread.
        if (scheduler := self.client.scheduler) is not None:
            with suppress(OSError):  # it may answer the next time
                self._known = self.client.sync(scheduler.identity, n_workers=-1)["workers"]
        return self._known

    def _meet(self, address: str, threads: int) -> None:
        """Ask a newcomer who it is, or take its answer."""
        how = f"start it with `dask worker {self._scheduler} --nthreads 1`"
        if threads != 1:
            self._refused(address, f"it has {threads} threads, expected 1: {how}")
        elif address not in self._introductions:
            self._introductions[address] = self.client.submit(
                self._introduce, key=f"introduction-{address}-{time.monotonic_ns()}", workers=[address], pure=False
            )
        elif self._introductions[address].done():
            introduction = self._introductions[address]
            error = introduction.exception()
            reason = str(error) if error is not None else self._refuse(introduction.result())
            if reason is None:
                self._verdicts[address] = None
            else:
                self._refused(address, f"{reason}: mend that, then {how}")

    def _refused(self, address: str, reason: str) -> None:
        self._verdicts[address] = reason
        self._news.append(f"Worker {address} is not used: {reason}")

    def _wait(self) -> None:
        """Until all workers that are there have answered; after a minute one is enough."""
        begun = time.monotonic()
        while (waited := time.monotonic() - begun) < ANSWER_SECONDS:
            present = self._present()
            if self.addresses() and (waited > START_SECONDS or len(self._verdicts) >= len(present)):
                return
            if present and all(self._verdicts.get(address) is not None for address in present):
                raise SearchError("\n".join(self.news()))
            if not present and waited > START_SECONDS:
                raise SearchError(
                    f"the scheduler at {self._scheduler} has had no worker for {START_SECONDS} s: "
                    f"start one with `dask worker {self._scheduler} --nthreads 1`"
                )
            time.sleep(0.1)
        raise SearchError(
            f"the workers at {self._scheduler} have not answered within {ANSWER_SECONDS} s: "
            "look at what they print, or whether they are busy with other tasks"
        )


class _Deaths(logging.Handler):
    """What nannies tell of the ends of their workers."""

    def __init__(self) -> None:
        super().__init__(logging.INFO)
        self._by_process: dict[int, str] = {}
        self._out_of_memory: dict[str, int] = {}  # address to bytes
        self._logger = logging.getLogger("distributed.nanny")
        self._before = self._logger.level, self._logger.propagate
        self._logger.setLevel(logging.INFO)
        self._logger.propagate = False
        self._logger.addHandler(self)

    def listen(self, client: distributed.Client) -> None:
        """Hear of memory through the scheduler, too, wherever the worker was."""
        client.subscribe_topic(OUT_OF_MEMORY, self._take_memory)

    def emit(self, record: logging.LogRecord) -> None:
        """Keep how a process ended."""
        found = re.search(r"Worker process (\d+) (.*)", record.getMessage())
        if found:
            self._by_process[int(found[1])] = found[2]

    def tell(self, address: str, process: int | None) -> str:
        """Why the worker at `address` died, as far as it is known."""
        until = time.monotonic() + DEATH_NEWS_SECONDS
        # Nannies end what takes too much memory by signal 15, and the reason may come after that.
        while (how := self._how(address, process)) in (None, "was killed by signal 15") and time.monotonic() < until:
            time.sleep(0.05)
        return "its worker process " + (how or "died")

    def _how(self, address: str, process: int | None) -> str | None:
        if address in self._out_of_memory:
            used = self._out_of_memory[address] / 2**30
            return f"used {used:.1f} GiB, which is more than its share of the memory, and was ended"
        how = self._by_process.get(process) if process is not None else None
        if how == "was killed by signal 9":
            how += ", perhaps by the system for want of memory"
        return how

    def close(self) -> None:
        """Leave the logger as it was."""
        self._logger.removeHandler(self)
        level, self._logger.propagate = self._before
        self._logger.setLevel(level)
        super().close()

    def _take_memory(self, event: tuple[float, dict[str, Any]]) -> None:
        self._out_of_memory[event[1]["worker"]] = event[1]["rss"]
