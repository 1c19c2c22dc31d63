"""The executor and local workers: results, failures, deaths of workers, and a fast shutdown."""

import logging
import os
import signal
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from functools import partial
from types import SimpleNamespace

import dask
import psutil  # type: ignore[import-untyped]  # distributed depends on it
import pytest
from distributed.deploy.local import LocalCluster
from distributed.system import MEMORY_LIMIT

import worker_tasks as tasks
from bench.compat.dask import WorkerDeathLog
from bench.errors import SearchError
from bench.workers.executor import EpochCompleted, Executor, TaskCompleted, TaskFailed
from bench.workers.local import LocalPool

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def executor() -> Iterator[Executor]:
    with closing(LocalPool(2)) as pool:
        yield Executor(pool)


def next_end(executor: Executor, seconds: float = 30) -> TaskCompleted | TaskFailed:
    """The next event that ends a task."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        event = executor.next_event(0.1)
        if isinstance(event, TaskCompleted | TaskFailed):
            return event
    raise TimeoutError


def wait_until_idle(executor: Executor, workers: int = 1, seconds: float = 60) -> None:
    until = time.monotonic() + seconds
    while executor.idle() < workers:
        assert executor.next_event(0.1) is None
        assert time.monotonic() < until


def worker_process(executor: Executor) -> int:
    executor.submit("process id", tasks.process_id)
    completed = next_end(executor)
    assert isinstance(completed, TaskCompleted)
    return int(completed.value)


def test_result_is_reported_under_the_key_of_its_task(executor: Executor) -> None:
    executor.submit("a task", tasks.double, 21)
    assert next_end(executor) == TaskCompleted(key="a task", value=42)


def test_epochs_are_reported_in_order_before_the_result(executor: Executor) -> None:
    executor.submit("trial", tasks.three_epochs)
    events: list[object] = []
    while not events or not isinstance(events[-1], TaskCompleted):
        if (event := executor.next_event(30)) is not None:
            events.append(event)
    assert events == [
        *(EpochCompleted(key="trial", epochs=n, seconds=0.5) for n in (1, 2, 3)),
        TaskCompleted(key="trial", value=None),
    ]


@pytest.mark.parametrize(
    ("task", "reason"),
    [
        (tasks.fail, "ValueError: no such value (in fail, worker_tasks.py:"),
        (tasks.leave, "SystemExit: 3 (in leave, worker_tasks.py:"),
        (tasks.predict_nan, "log-probabilities must be finite"),
        (tasks.load_damaged_model, "model.keras: damaged"),
        (tasks.return_what_cannot_be_read, "its result cannot be read: "),
    ],
)
def test_task_without_a_result_is_reported_with_the_reason(
    task: Callable[..., object], reason: str, executor: Executor
) -> None:
    executor.submit("trial", task)
    failed = next_end(executor)
    assert isinstance(failed, TaskFailed)
    assert (failed.worker_died, failed.fatal) == (False, False)
    assert failed.reason.startswith(reason)


def test_task_that_dask_cannot_run_is_reported_with_the_reason(executor: Executor) -> None:
    executor.submit("trial", tasks.double, tasks.UnreadableArgument())
    failed = next_end(executor)
    assert isinstance(failed, TaskFailed)
    assert failed.reason.startswith("Dask could not run it: RuntimeError: Error during deserialization of the task")


def test_error_of_the_workers_setup_is_fatal_and_names_the_worker(executor: Executor) -> None:
    executor.submit("trial", tasks.lack_data)
    failed = next_end(executor)
    assert isinstance(failed, TaskFailed)
    assert (failed.worker_died, failed.fatal) == (False, True)
    assert failed.reason.startswith("tcp://127.0.0.1:")
    assert failed.reason.endswith(": no such dataset")


def test_each_worker_has_one_task_at_a_time(executor: Executor) -> None:
    assert executor.idle() == 2
    executor.submit("first", tasks.double, 1)
    assert executor.idle() == 1
    executor.submit("second", tasks.double, 2)
    assert executor.idle() == 0
    assert {next_end(executor).key, next_end(executor).key} == {"first", "second"}
    assert executor.idle() == 2


def test_dask_leaves_the_global_random_stream_of_a_task_alone(executor: Executor) -> None:
    # Dask estimates the size of the argument from a sample; Keras draws the seeds of weights from the global stream.
    values = [[0.5] * 100 for _ in range(100)]
    for _ in range(3):
        executor.submit("trial", tasks.global_random_stream_is_unchanged, values)
        assert next_end(executor) == TaskCompleted(key="trial", value=True)


def test_dead_worker_is_reported_and_replaced(executor: Executor) -> None:
    executor.submit("trial", tasks.die)
    failed = next_end(executor)
    assert isinstance(failed, TaskFailed)
    assert failed.lost_seconds > 0
    assert replace(failed, lost_seconds=0.0) == TaskFailed(
        key="trial",
        reason="its worker process was killed by signal 9, possibly by the kernel because memory ran out",
        worker_died=True,
    )
    wait_until_idle(executor, workers=2)
    for number in (1, 2):
        executor.submit(f"after {number}", tasks.double, number)
    assert {next_end(executor).key, next_end(executor).key} == {"after 1", "after 2"}


def test_task_fails_if_the_last_idle_worker_died_before_it_was_submitted() -> None:
    with closing(LocalPool(1)) as pool:
        executor = Executor(pool)
        process = worker_process(executor)
        assert executor.idle() == 1
        os.kill(process, signal.SIGKILL)
        while pool.addresses():  # until the death is noticed; the replacement takes longer
            time.sleep(0.005)
        executor.submit("trial", tasks.double, 1)
        failed = next_end(executor)
        assert isinstance(failed, TaskFailed)
        assert (failed.key, failed.worker_died) == ("trial", True)
        wait_until_idle(executor)


@pytest.fixture
def killed(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The processes that this process kills, each of which seems to have died just before."""
    processes: list[int] = []

    def kill(process: int, number: int) -> None:
        os.kill(process, number)
        processes.append(process)
        raise ProcessLookupError

    monkeypatch.setattr("bench.workers.local.os", SimpleNamespace(kill=kill))
    return processes


def test_timeout_of_a_task_starts_once_its_worker_is_prepared(killed: list[int]) -> None:
    with closing(LocalPool(1, tasks.prepare_slowly)) as pool:
        executor = Executor(pool)
        assert executor.idle() == 0
        wait_until_idle(executor)
        executor.submit("in time", tasks.double, 1, timeout=2)
        assert next_end(executor) == TaskCompleted(key="in time", value=2)
        executor.submit("too long", tasks.sleep, timeout=1)
        failed = next_end(executor)
        assert isinstance(failed, TaskFailed)
        assert failed.worker_died
        assert 1 < failed.lost_seconds < 3
        assert "the trial timeout" in failed.reason
        assert len(killed) == 1
        # The replacement is prepared too, which takes longer than the timeout.
        assert executor.idle() == 0
        wait_until_idle(executor)
        executor.submit("in time", tasks.double, 2, timeout=2)
        assert next_end(executor) == TaskCompleted(key="in time", value=4)


def test_task_that_ended_in_time_is_not_late_although_its_end_is_noticed_later(executor: Executor) -> None:
    executor.submit("trial", tasks.double, 21, timeout=1)
    time.sleep(2)  # as while a tuner computes its next proposal
    assert next_end(executor) == TaskCompleted(key="trial", value=42)


def test_worker_at_the_address_of_a_killed_one_is_used_and_killed_in_its_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    # By chance, a worker gets the port of one that was killed before; here it always does.
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    monkeypatch.setattr("bench.workers.local.LocalCluster", partial(LocalCluster, worker_port=port))
    with closing(LocalPool(1, tasks.prepare_slowly)) as pool:
        executor = Executor(pool)
        for _ in range(2):
            wait_until_idle(executor)
            assert pool.addresses() == [f"tcp://127.0.0.1:{port}"]
            executor.submit("too long", tasks.sleep, timeout=1)
            failed = next_end(executor)
            assert isinstance(failed, TaskFailed)
            assert "the trial timeout" in failed.reason
            assert executor.idle() == 0
        wait_until_idle(executor)
        executor.submit("in time", tasks.double, 1)
        assert next_end(executor) == TaskCompleted(key="in time", value=2)


def test_no_worker_for_too_long_is_an_error_that_says_how_to_continue_only_if_something_is_kept(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("bench.workers.executor.NOT_READY_SECONDS", 0)
    monkeypatch.setattr("bench.workers.executor.MONITOR_SECONDS", 0)
    with closing(LocalPool(1, tasks.prepare_slowly)) as pool:
        with pytest.raises(SearchError, match=r"none was replaced$"):
            Executor(pool).next_event(0.1)
        with pytest.raises(SearchError, match=r"none was replaced\. Repeat the call$"):
            Executor(pool, hint="Repeat the call").next_event(0.1)


@pytest.mark.parametrize(
    ("prepare", "reason"),
    [(tasks.prepare_in_vain, "no such library"), (tasks.die_while_preparing, "its worker process")],
)
def test_workers_that_cannot_be_prepared_are_an_error_with_the_reason(prepare: Callable[[], None], reason: str) -> None:
    with closing(LocalPool(2, prepare)) as pool, pytest.raises(SearchError, match=reason):
        wait_until_idle(Executor(pool))


def test_worker_that_died_while_preparing_is_not_ready_even_while_the_scheduler_lists_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with closing(LocalPool(1, tasks.die_while_preparing)) as pool:
        ((address, preparation),) = pool._preparations.items()
        assert preparation.exception(timeout=60) is not None
        monkeypatch.setattr(pool, "_alive", lambda: [address])
        assert pool.addresses() == []


def test_pool_that_does_not_start_leaves_nothing_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = dict(dask.config.config["distributed"]["worker"])
    logger = logging.getLogger("distributed.nanny")

    def watched() -> list[object]:
        handlers = [each for each in logger.handlers if isinstance(each, WorkerDeathLog)]
        return [logging.getLogger("distributed").level, logger.level, logger.propagate, *handlers]

    # Another pool is open, which has silenced this logger.
    monkeypatch.setattr(logging.getLogger("distributed"), "level", logging.WARNING)
    before = watched()
    processes = psutil.Process().children(recursive=True)
    with pytest.raises(SearchError, match=r"2 worker processes did not start within 60 s"):
        LocalPool(2, start_method="nonsense")  # type: ignore[arg-type]
    assert dask.config.config["distributed"]["worker"] == settings
    assert watched() == before
    assert {*psutil.Process().children(recursive=True)} <= {*processes}


def test_closing_the_pool_kills_running_tasks_at_once(killed: list[int]) -> None:
    pool = LocalPool(2)
    executor = Executor(pool)
    process = worker_process(executor)
    executor.submit("trial", tasks.sleep)
    started = time.monotonic()
    pool.close()
    assert time.monotonic() - started < 5
    assert process in killed
    assert len(killed) == 2
    assert not any(map(psutil.pid_exists, killed))


def test_files_that_all_workers_map_count_once_in_their_memory_limits() -> None:
    with closing(LocalPool(2, shared_bytes=10**9)) as pool:
        workers = pool.client.scheduler_info()["workers"].values()
    assert [worker["memory_limit"] for worker in workers] == [(MEMORY_LIMIT - 10**9) // 2 + 10**9] * 2
