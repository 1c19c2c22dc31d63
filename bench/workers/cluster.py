"""Workers on the user's Dask cluster."""

import math
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, suppress
from typing import Any

import distributed

from bench.compat import run_checks
from bench.compat.dask import WorkerDeathLog, cluster_workers
from bench.errors import SearchError
from bench.workers.pool import CLOSE_SECONDS, START_SECONDS
from bench.workers.tasks import WorkerInfo

CONNECT_SECONDS = 10
ANSWER_SECONDS = 600  # a worker first imports TensorFlow, possibly on a busy machine
POLL_SECONDS = 0.1
REFRESH_SECONDS = 0.5  # the answer has megabytes if there are hundreds of workers

# Returns why a worker is rejected, given the workers admitted before it; None if it is admitted.
Check = Callable[[WorkerInfo, Sequence[WorkerInfo]], str | None]


class ClusterPool:
    """The usable workers of a Dask scheduler; more may join at any time."""

    def __init__(self, scheduler: str, worker_info: Callable[[], WorkerInfo], check: Check, *, hint: str = "") -> None:
        """Connect, and wait until workers have been checked.

        Args:
            scheduler: address, such as tcp://127.0.0.1:8786.
            worker_info: called once in each worker.
            check: returns why a worker is rejected, given its information and that of the workers admitted so far.
            hint: a sentence on how to continue if the connection is lost.

        Raises:
            SearchError: there is no scheduler, no worker, or no usable worker.
        """
        self._scheduler = scheduler
        self._worker_info = worker_info
        self._check = check
        self._hint = hint
        self._last_known: Mapping[str, Any] = {}  # what the scheduler reports about its workers, by address
        self._refreshed = -math.inf  # time.monotonic() of that report
        self._directories: dict[str, str] = {}  # by address; a later worker process there has another one
        self._futures: dict[str, distributed.Future[WorkerInfo]] = {}  # by address
        self._verdicts: dict[str, str | None] = {}  # by address: why it was rejected; None if admitted
        self._admitted: list[WorkerInfo] = []
        self._messages: list[str] = []
        run_checks("dask")
        with ExitStack() as stack:
            self._deaths = WorkerDeathLog()
            stack.callback(self._deaths.close)
            try:
                self.client = distributed.Client(scheduler, timeout=CONNECT_SECONDS, set_as_default=False)
            except (OSError, ValueError) as error:
                raise SearchError(
                    f"cannot connect to a Dask scheduler at {scheduler!r} ({error}): start one with `dask scheduler`, "
                    "which prints its address"
                ) from error
            stack.callback(self.client.close, timeout=CLOSE_SECONDS)
            self._deaths.subscribe(self.client)
            self._wait()
            stack.pop_all()

    @property
    def admitted(self) -> tuple[WorkerInfo, ...]:
        """Information on every admitted worker, in order of admission; at least one."""
        return tuple(self._admitted)

    def addresses(self) -> list[str]:
        """Addresses of the connected and admitted workers; new workers are checked.

        Raises:
            SearchError: the connection to the scheduler was lost.
        """
        present = self._present()
        for address, facts in present.items():
            if self._directories.get(address) != facts["local_directory"]:  # new, possibly a restarted worker
                self._directories[address] = facts["local_directory"]
                self._verdicts.pop(address, None)
                self._futures.pop(address, None)
            if address not in self._verdicts:
                self._check_worker(address, facts["nthreads"])
        return sorted(address for address in present if self._verdicts.get(address, "unchecked") is None)

    def preparing(self) -> bool:
        """Whether a connected worker has not been checked yet."""
        return any(address not in self._verdicts for address in self._present())

    def cause_of_death(self, address: str) -> str:
        """Why the worker with this address died; known only if it ran out of memory."""
        self._refreshed = -math.inf  # so that its task is not retried on it
        return self._deaths.reason(address, None)

    def terminate(self, address: str) -> None:
        """Restart a worker; a worker without a nanny keeps running but gets no more tasks."""
        # It takes too long, or the connection is lost; it has no nanny; it has just died.
        with suppress(OSError, ValueError, KeyError):
            self.client.restart_workers([address], timeout=CLOSE_SECONDS, raise_for_error=False)
        self._verdicts[address] = "terminated"

    def messages(self) -> list[str]:
        """Which workers were rejected since the last call, and why."""
        messages, self._messages = self._messages, []
        return messages

    def close(self) -> None:
        """Stop the tasks of this process; the cluster itself keeps running."""
        with suppress(OSError):
            # Without a connection there is nobody to ask.
            processing = self.client.processing() if self.client.status == "running" else {}
            for address, keys in processing.items():
                if any(key in self.client.futures for key in keys):
                    self.terminate(address)
        with suppress(OSError):
            self.client.close(timeout=CLOSE_SECONDS)
        self._deaths.close()

    def _present(self) -> Mapping[str, Any]:
        """What the scheduler reports about its workers, by address; nothing while the client tries to reconnect."""
        if self.client.status in ("closing", "closed"):
            lost = f"the connection to the scheduler at {self._scheduler} was lost: check whether it is still running"
            raise SearchError(". ".join(filter(None, (lost, self._hint))))
        if self.client.status != "running":
            return {}
        if time.monotonic() - self._refreshed >= REFRESH_SECONDS:
            with suppress(OSError):  # the next call may succeed
                self._last_known = cluster_workers(self.client)
            self._refreshed = time.monotonic()
        return self._last_known

    def _check_worker(self, address: str, threads: int) -> None:
        """Request information from a new worker, or check the result."""
        command = f"start it with `dask worker {self._scheduler} --nthreads 1`"
        if threads != 1:
            self._reject(address, f"it has {threads} threads, expected 1: {command}")
        elif address not in self._futures:
            self._futures[address] = self.client.submit(
                self._worker_info, key=f"worker-info-{address}-{time.monotonic_ns()}", workers=[address], pure=False
            )
        elif (future := self._futures[address]).done():
            error = future.exception()
            reason = str(error) if error is not None else self._check(future.result(), self.admitted)
            if reason is None:
                self._verdicts[address] = None
                self._admitted.append(future.result())
            else:
                self._reject(address, f"{reason}: fix that, then {command}")

    def _reject(self, address: str, reason: str) -> None:
        self._verdicts[address] = reason
        self._messages.append(f"Worker {address} rejected: {reason}")

    def _wait(self) -> None:
        """Wait until all workers have been checked; after START_SECONDS, one admitted worker is enough."""
        started = time.monotonic()
        while (waited := time.monotonic() - started) < ANSWER_SECONDS:
            present = self._present()
            if self.addresses() and (waited > START_SECONDS or len(self._verdicts) >= len(present)):
                return
            if present and all(self._verdicts.get(address) is not None for address in present):
                raise SearchError("\n".join(self.messages()))
            if not present and waited > START_SECONDS:
                raise SearchError(
                    f"the scheduler at {self._scheduler} has had no worker for {START_SECONDS} s: "
                    f"start one with `dask worker {self._scheduler} --nthreads 1`"
                )
            time.sleep(POLL_SECONDS)
        raise SearchError(
            f"the workers at {self._scheduler} did not respond within {ANSWER_SECONDS} s: check their output and "
            "whether they are busy with other tasks"
        )
