"""Runs on a Dask cluster that the user started: real scheduler and worker processes on the loopback interface."""

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

import distributed
import pytest

import worker_tasks as tasks
from bench.compat.dask import cluster_workers
from bench.errors import SearchError
from bench.workers.cluster import REFRESH_SECONDS, ClusterPool
from bench.workers.executor import Executor, TaskCompleted, TaskFailed
from bench.workers.tasks import WorkerInfo
from builders import make_environment
from command_line import call, started, variables
from processes import SOURCE
from tuner_scripts import run_script
from whole_runs import TINY, Finished, assert_equal_runs, finished

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("here")]

SHORT = ("--trials", "2", "--epochs", "1", "--refit-seeds", "1")
SECONDS = 60
ANY_PORT = ("--host", "127.0.0.1", "--port", "0", "--dashboard-address", "127.0.0.1:0")
WITHOUT_NANNY = ("--nthreads", "1", "--no-nanny")  # a process less to start, which would restart the worker
TESTS = Path(tasks.__file__).parent


@contextmanager
def dask(*arguments: str, cwd: Path, env: Mapping[str, str] | None = None) -> Iterator[Path]:
    """A `dask` command that runs during the block; yields the file with its output."""
    log = cwd / f"dask-{time.monotonic_ns()}.txt"
    with log.open("wb") as file:
        process = subprocess.Popen(
            [sys.executable, "-m", "dask", *arguments],
            cwd=cwd,
            env=env or variables(),
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        yield log
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def wait_for(pattern: str, log: Path) -> str:
    """The match of `pattern`, or its group, as soon as the log has one."""
    until = time.monotonic() + SECONDS
    while (match := re.search(pattern, log.read_text())) is None:
        assert time.monotonic() < until, f"no {pattern!r}:\n{log.read_text()}"
        time.sleep(0.1)
    return match[1] if match.groups() else match[0]


def address_in(log: Path) -> str:
    return wait_for(r"Scheduler at: +(tcp://\S+)", log)


@pytest.fixture(scope="module")
def scheduler(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a scheduler, which can load the tasks of tests; every test starts workers of its own."""
    with dask("scheduler", *ANY_PORT, cwd=tmp_path_factory.mktemp("scheduler"), env=variables(TESTS)) as log:
        yield address_in(log)


@contextmanager
def worker(scheduler: str, cwd: Path, *options: str, env: Mapping[str, str] | None = None) -> Iterator[Path]:
    with dask("worker", scheduler, *(options or ("--nthreads", "1")), "--no-dashboard", cwd=cwd, env=env) as log:
        wait_for("Registered to", log)
        yield log


def test_run_on_a_cluster_equals_a_local_one_even_if_a_worker_is_killed(
    scheduler: str, tiny: Finished, tmp_path: Path
) -> None:
    with (
        worker(scheduler, tmp_path),
        worker(scheduler, tmp_path),
        started(*TINY, "--scheduler", scheduler, cwd=tmp_path) as running,
    ):
        running.wait_until(lambda: re.search(r"trials [1-9]", running.text), "result of a trial")
        with distributed.Client(scheduler, set_as_default=False) as client:
            os.kill(next(iter(client.run(os.getpid).values())), signal.SIGKILL)
        assert running.end() == 0, running.text
    assert "Using 2 workers" in running.text
    assert_equal_runs(finished(tmp_path / "results", "tiny"), tiny)


def test_worker_with_two_threads_is_refused_with_the_right_command(scheduler: str, tmp_path: Path) -> None:
    with worker(scheduler, tmp_path, "--nthreads", "2", "--no-nanny"):
        stderr = call(*TINY, "--scheduler", scheduler, cwd=tmp_path, code=2).stderr
    assert re.search(
        rf"Worker tcp://\S+ rejected: it has 2 threads, expected 1: start it with `dask worker {scheduler} "
        "--nthreads 1`",
        stderr,
    )


def edited_packages(folder: Path, file: str, old: str, new: str) -> Path:
    """A copy of the packages with one replacement in one file."""
    for name in ("bench", "search_spaces"):
        shutil.copytree(SOURCE / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    text = (folder / file).read_text()
    assert old in text
    (folder / file).write_text(text.replace(old, new))
    return folder


# Why a worker is rejected, and the edit of its packages that causes it.
DIFFERENT_FROM_THIS_PROCESS = {
    r"its code digest of 'tiny' is ": ("search_spaces/_recipe.py", "BATCH_SIZE = 128", "BATCH_SIZE = 64"),
    r".*digits\.py must define exactly one DatasetDefinition": (
        "bench/data/sets/digits.py",
        "= DatasetDefinition(",
        "= dict(",
    ),
}
# A separate test, since the edited worker may be admitted first.
DIFFERENT_FROM_EACH_OTHER = {
    r"its CPU is .*, that of the first worker is ": ("bench/machine.py", "cpu=cpu_model(text)", "cpu='Other'")
}


@pytest.mark.parametrize(
    "edits",
    [
        pytest.param(DIFFERENT_FROM_THIS_PROCESS, id="this process"),
        pytest.param(DIFFERENT_FROM_EACH_OTHER, id="each other", marks=pytest.mark.long),
    ],
)
def test_workers_that_differ_are_refused_and_the_others_are_used(
    edits: Mapping[str, tuple[str, str, str]], scheduler: str, tmp_path: Path
) -> None:
    with ExitStack() as stack:
        stack.enter_context(worker(scheduler, tmp_path, *WITHOUT_NANNY))
        for number, edit in enumerate(edits.values()):
            copy = edited_packages(tmp_path / f"packages{number}", *edit)
            stack.enter_context(worker(scheduler, tmp_path, *WITHOUT_NANNY, env=variables(copy)))
        stderr = call(*TINY, *SHORT, "--scheduler", scheduler, cwd=tmp_path).stderr
    assert "Using 1 worker\n" in stderr
    for reason in edits:
        assert re.search(rf"Worker tcp://\S+ rejected: {reason}", stderr), stderr


def test_address_without_a_scheduler_is_an_error_with_a_hint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bench.workers.cluster.CONNECT_SECONDS", 1)
    stderr = call(*TINY, "--scheduler", "tcp://127.0.0.1:1", cwd=tmp_path, code=2).stderr
    assert "error: cannot connect to a Dask scheduler at 'tcp://127.0.0.1:1'" in stderr
    assert "start one with `dask scheduler`" in stderr


def workers_of(scheduler: str) -> ClusterPool:
    """The workers of a scheduler, whatever they are."""
    info = partial(WorkerInfo, environment=make_environment(), sources={}, checksum="")
    return ClusterPool(scheduler, info, lambda _new, _admitted: None, hint="Resume it")


def next_failure(executor: Executor) -> TaskFailed:
    until = time.monotonic() + SECONDS
    while not isinstance(event := executor.next_event(0.1), TaskFailed):
        assert time.monotonic() < until
    return event


def test_lost_scheduler_fails_its_tasks_and_is_an_error_unless_it_comes_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bench.workers.cluster.CONNECT_SECONDS", 2)
    with ExitStack() as stack:
        own = stack.enter_context(ExitStack())
        scheduler = address_in(own.enter_context(dask("scheduler", *ANY_PORT, cwd=tmp_path)))
        stack.enter_context(worker(scheduler, tmp_path, env=variables(TESTS)))
        executor = Executor(stack.enter_context(closing(workers_of(scheduler))))
        executor.submit("trial", tasks.sleep)
        own.close()
        failed = next_failure(executor)
        assert (failed.reason, failed.worker_died) == ("the connection to the scheduler was lost", True)
        assert executor.idle() == 0  # so that it is not retried yet
        message = (
            rf"the connection to the scheduler at {scheduler} was lost: check whether it is still running\. Resume"
        )
        with pytest.raises(SearchError, match=message):
            next_failure(executor)


def test_scheduler_is_asked_for_its_workers_twice_per_second_and_when_one_dies(
    scheduler: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[distributed.Client] = []

    def counted(client: distributed.Client) -> Mapping[str, Any]:
        asked.append(client)
        return cluster_workers(client)

    monkeypatch.setattr("bench.workers.cluster.cluster_workers", counted)
    with worker(scheduler, tmp_path, env=variables(TESTS)), closing(workers_of(scheduler)) as pool:
        executor, start = Executor(pool), time.monotonic()
        asked.clear()
        for _ in range(100):
            assert executor.idle() == 1
            assert not pool.preparing()
        assert len(asked) <= 1 + (time.monotonic() - start) / REFRESH_SECONDS
        executor.submit("trial", tasks.die)
        assert next_failure(executor).worker_died
        asked.clear()
        pool.addresses()
        assert len(asked) == 1  # at once, so that the task is not retried on a dead worker


def test_worker_that_is_restarted_at_the_same_address_gets_tasks_again(scheduler: str, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    options = ("--nthreads", "1", "--worker-port", str(port))
    with worker(scheduler, tmp_path, *options, env=variables(TESTS)), closing(workers_of(scheduler)) as pool:
        executor, addresses = Executor(pool), pool.addresses()
        executor.submit("too long", tasks.sleep, timeout=1)
        assert "the trial timeout" in next_failure(executor).reason
        assert executor.idle() == 0
        until = time.monotonic() + SECONDS
        while not executor.idle():
            executor.next_event(0.1)
            assert time.monotonic() < until
        assert pool.addresses() == addresses
        executor.submit("in time", tasks.double, 21)
        while (event := executor.next_event(0.1)) is None:
            assert time.monotonic() < until
        assert event == TaskCompleted(key="in time", value=42)


SEARCH = """
def scores(**where):
    tuner = keras_tuner.Hyperband(
        build_model, "val_accuracy", max_epochs=2, factor=2, seed=1, project_name="_".join(where)
    )
    result = bench.search(tuner, **data, progress=False, **where)
    assert tuner.get_best_models()
    return result.executions.drop(columns="seconds")

frame = scores(scheduler="ADDRESS")
assert frame.equals(scores(workers=2))
assert set(frame["status"]) == {"COMPLETED"}
"""


@pytest.mark.long
def test_script_searches_on_the_cluster_with_the_same_results(scheduler: str, tmp_path: Path) -> None:
    with worker(scheduler, tmp_path), worker(scheduler, tmp_path):
        run_script(SEARCH.replace("ADDRESS", scheduler), tmp_path)
