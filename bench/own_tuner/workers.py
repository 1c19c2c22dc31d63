"""The workers of a search: processes on this machine, or on the user's cluster."""

from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from bench.execution.events import Message, Report
from bench.execution.preconditions import rejection
from bench.machine import Environment
from bench.report.text.numbers import counted
from bench.signals import defer_signals
from bench.workers import tasks as worker
from bench.workers.fork_server import StartMethod
from bench.workers.tasks import WorkerInfo

if TYPE_CHECKING:
    from bench.workers.executor import Executor

TO_RESUME = "repeat the call to continue"


@contextmanager
def local_workers(number: int, start_method: StartMethod, shared_bytes: int, report: Report) -> "Iterator[Executor]":
    """Processes on this machine, killed at the end of the block; they map `shared_bytes` of files into memory.

    Raises:
        SearchError: they did not start.
    """
    with defer_signals():
        from bench.workers.executor import Executor
        from bench.workers.local import open_pool

    report(Message(text=f"Starting {number} worker process{'es' if number > 1 else ''}"))
    pool, _ = open_pool(
        number, worker.prepare_worker, start_method, lambda text: report(Message(text=text)), shared_bytes
    )
    with closing(pool):
        yield Executor(pool, to_resume=TO_RESUME)


@contextmanager
def cluster_workers(scheduler: str, payload: Path, local: Environment, report: Report) -> "Iterator[Executor]":
    """The workers of the user's Dask cluster that see the folder `payload`.

    Raises:
        SearchError: there is no scheduler or no usable worker.
    """
    with defer_signals():
        from bench.workers.cluster import ClusterPool
        from bench.workers.executor import Executor

    report(Message(text=f"Checking the workers of the cluster at {scheduler}"))
    pool = ClusterPool(
        scheduler, partial(worker.worker_with_folder, str(payload)), partial(_rejection, local=local, payload=payload)
    )
    with closing(pool):
        executor = Executor(pool, to_resume=TO_RESUME)
        for line in executor.messages():
            report(Message(text=line))
        report(Message(text=f"Using {counted(len(pool.addresses()), 'worker')}"))
        yield executor


def _rejection(info: WorkerInfo, admitted: Sequence[WorkerInfo], *, local: Environment, payload: Path) -> str | None:
    if info.checksum != worker.FOLDER_FOUND:
        return f"it has no folder {payload}: choose a `directory` of the tuner that all workers share"
    return rejection(info, admitted, local=local, sources={}, checksum=worker.FOLDER_FOUND)
