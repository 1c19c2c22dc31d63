"""Run commands of bench as real processes, as a user does, or in this process."""

import io
import multiprocessing.forkserver
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, nullcontext, redirect_stderr, redirect_stdout, suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from pkgutil import extend_path
from typing import Any

import psutil  # type: ignore[import-untyped]  # distributed depends on it
import pytest

import search_spaces
from bench.cli.app import main
from bench.compat.processes import fork_server_process
from bench.workers.fork_server import StartMethod, fork_server
from processes import SOURCE

FAMILIES = Path(__file__).parent / "families"
STOP_POINTS = Path(__file__).parent / "stop_points"
SECONDS = 240  # timeout of a command, enough even on a busy machine


def variables(*first: Path, **changes: str) -> dict[str, str]:
    """This process' environment with the tested packages and the tests' families on PYTHONPATH, after `first`."""
    return {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, (*first, SOURCE, FAMILIES)))} | changes


def killed_before(point: str) -> dict[str, str]:
    """`variables` with which a command kills itself just before `point`, in the notation of tests/stop_points."""
    return variables(STOP_POINTS, STOP_BEFORE=f"SIGKILL {point}")


def command(*arguments: object) -> list[str]:
    return [sys.executable, "-m", "bench", *map(str, arguments)]


def run(
    *arguments: object, cwd: Path, code: int = 0, env: Mapping[str, str] | None = None, memory: int | None = None
) -> "subprocess.CompletedProcess[str]":
    """Run a command in the folder `cwd`; it must exit with `code` and print no traceback.

    Args:
        arguments: of the command.
        cwd: working folder.
        code: expected exit code.
        env: environment variables; `variables()` if None.
        memory: bytes that its processes may use together, as set by `ulimit -m`; no limit if None.
    """
    process = subprocess.run(
        command(*arguments),
        cwd=cwd,
        env=env or variables(),
        preexec_fn=None if memory is None else partial(resource.setrlimit, resource.RLIMIT_RSS, (memory, memory)),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert "Traceback" not in process.stderr, process.stderr
    assert process.returncode == code, f"exit code {process.returncode}\n{process.stdout}\n{process.stderr}"
    return process


@dataclass(frozen=True)
class Called:
    """The output of a command that ran in this process."""

    stdout: str
    stderr: str


def call(*arguments: object, cwd: Path, code: int = 0) -> Called:
    """As `run`, but in this process, which is ten times faster; commands that train need `training_here`."""
    stdout, stderr = io.StringIO(), io.StringIO()
    before, path, families = Path.cwd(), [*sys.path], [*search_spaces.__path__]
    argv, sys.argv = sys.argv, ["bench", *map(str, arguments)]
    os.chdir(cwd)
    try:
        with redirect_stdout(stdout), redirect_stderr(stderr), pytest.raises(SystemExit) as ended:
            main()
    finally:
        os.chdir(before)
        sys.argv, sys.path[:], search_spaces.__path__[:] = argv, path, families
    done = Called(stdout.getvalue(), stderr.getvalue())
    assert "Traceback" not in done.stderr, done.stderr
    assert ended.value.code == code, f"exit code {ended.value.code}\n{done.stdout}\n{done.stderr}"
    return done


_kept, _kept_state = ExitStack(), dict[str, Any]()


@contextmanager
def kept_fork_server() -> Iterator[StartMethod]:
    """The fork server of all blocks of this process, which runs until it ends, since every start imports TensorFlow.

    Outside of blocks, Python does not know it.
    """
    python = vars(vars(multiprocessing.forkserver)["_forkserver"])
    if not _kept_state:
        _kept_state["method"] = _kept.enter_context(fork_server())
    else:
        python.update(_kept_state["python"])
    try:
        yield _kept_state["method"]
    finally:
        _kept_state["python"] = dict(python)
        python.update(vars(multiprocessing.forkserver.ForkServer()))


@contextmanager
def training_here(*first: Path, **environment: object) -> Iterator[None]:
    """Let `call` train in the block, with the environment of `variables`.

    The workers of all its commands are forked from one server, which imports TensorFlow once. Pictures stay blank,
    since drawing takes half of a small run: tests/report draws them, and so do commands in other processes.
    """
    from matplotlib.figure import Figure

    from bench.execution import runner
    from bench.report.figures.picture import Picture
    from bench.training.precision import prepare_process
    from bench.workers.local import LocalPool

    if fork_server_process() is not None:  # an enclosing block
        yield
        return
    prepare_process("float32")  # for commands that use TensorFlow in this process
    with pytest.MonkeyPatch.context() as patch:
        for folder in (FAMILIES, *reversed(first)):
            patch.syspath_prepend(folder)
        patch.setattr(search_spaces, "__path__", extend_path(search_spaces.__path__, "search_spaces"))
        for name, value in environment.items():
            patch.setenv(name, str(value))
        with fork_server() if first or environment else kept_fork_server() as method:
            patch.setattr(runner, "fork_server", lambda: nullcontext(method))
            # Commands that start workers only once spawn them.
            patch.setattr(LocalPool.__init__, "__defaults__", (None, method, 0))
            png = Picture.png
            patch.setattr(Picture, "png", lambda self: png(replace(self, draw=Figure)))
            yield


class Started:
    """A running command in its own process group, as a shell starts it."""

    def __init__(self, *arguments: object, cwd: Path, env: Mapping[str, str] | None = None) -> None:
        self.log = cwd / f"log-{time.monotonic_ns()}.txt"
        with self.log.open("wb") as file:
            self.process = subprocess.Popen(
                command(*arguments),
                cwd=cwd,
                env=env or variables(),
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    @property
    def text(self) -> str:
        """Its output so far."""
        return self.log.read_text(encoding="utf-8")

    def wait_until(self, condition: Callable[[], object], event: str) -> None:
        """Wait until `condition` returns something true."""
        until = time.monotonic() + SECONDS
        while not condition():
            assert self.process.poll() is None, f"exit code {self.process.returncode} before {event}:\n{self.text}"
            assert time.monotonic() < until, f"no {event} within {SECONDS} s:\n{self.text}"
            time.sleep(0.02)

    def workers(self) -> list[int]:
        """Process ids of the worker processes: they listen for the scheduler, which is in the first process."""
        return [pid for pid in group(self.process.pid) if pid != self.process.pid and listens(pid)]

    def signal_all(self, number: int) -> None:
        """Send a signal to every process of the group, as a terminal does when Ctrl-C is pressed."""
        os.killpg(self.process.pid, number)

    def end(self, seconds: float = SECONDS) -> int:
        """Wait until it ends; returns its exit code."""
        return self.process.wait(seconds)

    def nothing_left(self, seconds: float = 5) -> bool:
        """Whether all its processes are gone within `seconds`."""
        until = time.monotonic() + seconds
        while group(self.process.pid):
            if time.monotonic() > until:
                return False
            time.sleep(0.02)
        return True


@contextmanager
def started(*arguments: object, cwd: Path, env: Mapping[str, str] | None = None) -> Iterator[Started]:
    """A command that runs during the block; all its processes are killed afterwards."""
    running = Started(*arguments, cwd=cwd, env=env)
    try:
        yield running
    finally:
        with suppress(ProcessLookupError):
            running.signal_all(signal.SIGKILL)
        running.process.wait()


def group(leader: int) -> dict[int, str]:
    """Process id and command line of every living process in the group of `leader`."""
    if not Path("/proc/self/stat").exists():
        pytest.skip("needs /proc to see processes")
    processes = {}
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # it has just exited
            state, _, group_id = (folder / "stat").read_text().rpartition(")")[2].split()[:3]
            if int(group_id) == leader and state != "Z":
                processes[int(folder.name)] = (folder / "cmdline").read_text().replace("\0", " ")
    return processes


def listens(process: int) -> bool:
    """Whether a process has a listening TCP socket."""
    try:
        sockets = psutil.Process(process).net_connections("tcp")
    except psutil.NoSuchProcess:  # it has just exited
        return False
    return any(each.status == psutil.CONN_LISTEN for each in sockets)


@contextmanager
def small_disk(mount_point: Path, size: str, *options: str) -> Iterator[Path]:
    """A separate file system of `size`, such as "2m"; skips the test if it cannot be mounted."""
    mount_point.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", ",".join([f"size={size}", *options]), "tmpfs", str(mount_point)]
    try:
        done = subprocess.run(mount, capture_output=True, text=True, check=False)
    except OSError as error:
        pytest.skip(f"no mount command: {error}")
    if done.returncode != 0:
        pytest.skip(f"only root may mount a small disk: {done.stderr.strip()}")
    try:
        yield mount_point
    finally:
        subprocess.run(["umount", "--lazy", str(mount_point)], check=True)
