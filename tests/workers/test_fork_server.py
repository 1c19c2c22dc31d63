"""The fork server: workers share its imports, it is the same code as that of the caller, and it always ends."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import psutil  # type: ignore[import-untyped]  # distributed depends on it
import pytest

import worker_tasks as tasks
from bench.compat.processes import fork_server_process
from bench.machine import variables
from bench.workers.executor import Executor, TaskCompleted
from bench.workers.fork_server import WORKER_VARIABLES, fork_server
from bench.workers.local import LocalPool
from processes import SOURCE

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="workers are forked on Linux only"),
]


@pytest.fixture(scope="module")
def executor() -> Iterator[Executor]:
    with fork_server() as method, closing(LocalPool(2, start_method=method)) as pool:
        yield Executor(pool)


def ask(executor: Executor) -> tasks.Process:
    """What an idle worker knows about itself."""
    until = time.monotonic() + 120
    while time.monotonic() < until:
        if executor.idle():
            executor.submit("process", tasks.process)
        event = executor.next_event(10)
        if isinstance(event, TaskCompleted):  # it fails if the worker has just died
            assert isinstance(event.value, tasks.Process)
            return event.value
    raise TimeoutError


def test_workers_share_the_imports_of_the_server(executor: Executor) -> None:
    process = ask(executor)
    assert process.parent == fork_server_process()
    assert {"tensorflow", "keras_tuner", "bench.training.fit"} <= process.modules


def test_server_has_a_single_thread(executor: Executor) -> None:
    assert ask(executor).other_threads == ()


def test_libraries_were_imported_with_the_variables_of_workers(executor: Executor) -> None:
    assert ask(executor).variables.items() >= {**WORKER_VARIABLES, "PYTHONHASHSEED": "6640"}.items()


def test_dead_worker_is_replaced_by_a_fork(executor: Executor) -> None:
    dead = ask(executor)
    os.kill(dead.number, signal.SIGKILL)
    until = time.monotonic() + 30
    while executor.idle() < 2 or dead.number == (process := ask(executor)).number:
        executor.next_event(0.1)
        assert time.monotonic() < until
    assert process.parent == dead.parent


def test_second_block_spawns_since_python_has_one_fork_server(executor: Executor) -> None:
    server = fork_server_process()
    with fork_server() as method:
        assert method == "spawn"
    assert fork_server_process() == server


def test_variables_of_the_caller_are_restored(executor: Executor) -> None:
    assert "PYTHONSAFEPATH" not in os.environ


def test_processes_are_spawned_if_the_server_has_threads(tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(THREAD)
    done = subprocess.run(
        [sys.executable, "-c", OPEN],
        env=variables(PYTHONPATH=os.pathsep.join([str(tmp_path), *filter(None, sys.path)])),
        capture_output=True,
        text=True,
        check=True,
    )
    tuner, message, *rest = done.stdout.splitlines()
    assert tuner == "SpawnProcess"
    assert message.startswith("Starting the worker processes again, without forking, which takes longer: ")
    assert message.endswith(" threads in the process to be forked: telemetry")
    assert rest == ["spawn", "()"]


# Python imports this module when it starts, as it does those of libraries that observe every process.
THREAD = """
import threading
threading.Thread(target=threading.Event().wait, name="telemetry", daemon=True).start()
"""
OPEN = """
from contextlib import closing
from bench.execution.tuner_process import _serve
from bench.workers.fork_server import fork_server
from bench.workers.local import open_pool
from bench.workers.process import start_process
import worker_tasks
with fork_server() as method:
    process, connection = start_process(method, _serve)
    print(type(process).__name__)
    pool, method = open_pool(1, worker_tasks.prepare_slowly, method, print)
    with closing(pool):
        print(method)
        print(pool.other_threads)
"""


LEAVE_AT_ONCE = """
import time
from bench.compat.processes import fork_server_process
from bench.workers.fork_server import fork_server
with fork_server():
    print(fork_server_process(), flush=True)
    left = time.monotonic()
assert time.monotonic() - left < 0.5
assert fork_server_process() is None
"""


def test_server_that_is_still_importing_ends_at_once() -> None:
    done = subprocess.run([sys.executable, "-c", LEAVE_AT_ONCE], capture_output=True, text=True, check=True)
    assert done.stderr == ""
    with pytest.raises(ProcessLookupError):
        os.kill(int(done.stdout), 0)


KILLED = """
import os, signal, time
from bench.compat.processes import fork_server_process
from bench.workers.fork_server import fork_server
with fork_server():
    print(fork_server_process(), flush=True)
    time.sleep(1)
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_server_that_is_still_importing_ends_with_a_killed_main_process() -> None:
    done = subprocess.run([sys.executable, "-c", KILLED], stdout=subprocess.PIPE, text=True, check=False)
    assert done.returncode == -signal.SIGKILL
    until = time.monotonic() + 1  # the imports take several seconds
    while _is_running(int(done.stdout)):
        assert time.monotonic() < until
        time.sleep(0.02)


def _is_running(process: int) -> bool:
    """Whether it exists and is not a zombie, which waits to be reaped."""
    try:
        return bool(psutil.Process(process).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


SHADOWED = """
import sys
from contextlib import closing
from bench.workers.executor import Executor
from bench.workers.fork_server import fork_server
from bench.workers.local import LocalPool
import worker_tasks
if __name__ == "__main__":
    with fork_server() as method, closing(LocalPool(1, start_method=method)) as pool:
        executor = Executor(pool)
        while not executor.idle():
            executor.next_event(0.1)
        executor.submit("process", worker_tasks.process)
        print(executor.next_event(60).value.package)
"""


def test_server_imports_the_package_of_the_caller_and_not_that_of_the_current_folder(tmp_path: Path) -> None:
    import bench

    (tmp_path / "bench").mkdir()
    (tmp_path / "bench" / "__init__.py").write_text("raise ImportError('the wrong package')")
    script = tmp_path / "scripts" / "script.py"
    script.parent.mkdir()
    script.write_text(SHADOWED)
    path = os.pathsep.join([str(SOURCE), str(Path(tasks.__file__).parent)])
    done = subprocess.run(
        [sys.executable, str(script)],
        cwd=tmp_path,
        env=variables(PYTHONPATH=path),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout == f"{bench.__file__}\n", done.stderr
