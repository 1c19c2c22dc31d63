"""The workers of a call: processes on this machine, or on the user's cluster."""

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from bench.command import command
from bench.evaluation.text import counted
from bench.execution.events import Message, Report
from bench.machine import Environment, usable_cores
from bench.signals import defer_signals
from bench.workers import tasks as worker
from bench.workers.fork_server import StartMethod

if TYPE_CHECKING:
    from bench.execution.scheduling import Job
    from bench.workers.cluster import Check
    from bench.workers.executor import Executor


def resume_hint(results: Path, *run: str) -> str:
    """How to continue all runs in a results folder, or the one with this id."""
    return f"Completed trials and refits are saved: continue with `{command(results, 'resume', *run)}`"


@dataclass(frozen=True, slots=True, kw_only=True)
class Workers:
    """Workers that are ready to train."""

    executor: "Executor"
    number: int
    environment: Environment  # in which they train
    start_method: StartMethod  # that works for other processes on this machine


def run_locally(job: "Job", workers: int, report: Report, prepare: Callable[[], object] | None = None) -> None:
    """Execute a job in processes on this machine, each of which calls `prepare` first.

    Raises:
        SearchError: they did not start, cannot run the tasks, or have died.
    """
    with defer_signals():
        from bench.execution.scheduling import work
        from bench.workers.executor import Executor
        from bench.workers.local import LocalPool

    with closing(LocalPool(workers, prepare)) as pool:
        work([job], Executor(pool), report)


@contextmanager
def local_workers(
    number: int,
    local: Environment,
    *,
    start_method: StartMethod,
    shared_bytes: int,
    report: Report,
    hint: str,
) -> Iterator[Workers]:
    """Processes on this machine, killed at the end of the block.

    Args:
        number: of processes.
        local: environment of this process.
        start_method: "forkserver" only inside `fork_server`.
        shared_bytes: size of files that all of them map into memory.
        report: called with messages.
        hint: how to continue if all processes have died.

    Raises:
        SearchError: they did not start.
    """
    with defer_signals():
        from bench.workers.executor import Executor
        from bench.workers.local import open_pool

    cores = usable_cores()
    shared = f" on {cores} cores" if number > cores else ""
    report(Message(text=f"Starting {counted(number, 'worker process')}{shared}"))
    pool, start_method = open_pool(
        number, worker.prepare_worker, start_method, lambda text: report(Message(text=text)), shared_bytes
    )
    with closing(pool):
        executor = Executor(pool, hint=hint)
        yield Workers(executor=executor, number=number, environment=local, start_method=start_method)


@contextmanager
def cluster_workers(
    scheduler: str,
    worker_info: Callable[[], worker.WorkerInfo],
    check: "Check",
    *,
    start_method: StartMethod,
    report: Report,
    hint: str,
) -> Iterator[Workers]:
    """The usable workers of the user's Dask cluster.

    Args:
        scheduler: its address.
        worker_info: called once in each worker.
        check: why a worker is rejected; None if it is admitted.
        start_method: of other processes on this machine.
        report: called with messages.
        hint: how to continue if all workers have died, or the connection is lost.

    Raises:
        SearchError: there is no scheduler or no usable worker.
    """
    with defer_signals():
        from bench.workers.cluster import ClusterPool
        from bench.workers.executor import Executor

    report(Message(text=f"Checking the workers of the cluster at {scheduler}"))
    pool = ClusterPool(scheduler, worker_info, check, hint=hint)
    with closing(pool):
        executor = Executor(pool, hint=hint)
        for line in executor.messages():
            report(Message(text=line))
        number = len(pool.addresses())
        report(Message(text=f"Using {counted(number, 'worker')}"))
        trained_on = pool.admitted[0].environment
        yield Workers(executor=executor, number=number, environment=trained_on, start_method=start_method)
