"""A Dask cluster of the user's: real scheduler and workers as processes of their own, on the loopback interface."""

import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import distributed
import pytest

from command_line import SOURCE, run, started, variables
from whole_runs import TINY, Finished, assert_equal_runs, finished

pytestmark = pytest.mark.slow

SHORT = ("--trials", "2", "--epochs", "1", "--seeds", "1")
DEFAULT = "tcp://127.0.0.1:8786"
SECONDS = 60


@contextmanager
def dask(*arguments: str, cwd: Path, env: Mapping[str, str] | None = None) -> Iterator[Path]:
    """A `dask` command that runs while the block lasts; gives the file with what it says."""
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
    """What `pattern` finds in a log, as soon as it is there."""
    until = time.monotonic() + SECONDS
    while (found := re.search(pattern, log.read_text())) is None:
        assert time.monotonic() < until, f"no {pattern!r}:\n{log.read_text()}"
        time.sleep(0.1)
    return found[1] if found.groups() else found[0]


@pytest.fixture
def scheduler(tmp_path: Path) -> Iterator[str]:
    """The address of a scheduler."""
    here = ("--host", "127.0.0.1", "--port", "0", "--dashboard-address", "127.0.0.1:0")
    with dask("scheduler", *here, cwd=tmp_path) as log:
        yield _address(log)


@contextmanager
def worker(
    scheduler: str, cwd: Path, *options: str, env: Mapping[str, str] | None = None, threads: int = 1
) -> Iterator[Path]:
    with dask("worker", scheduler, "--nthreads", str(threads), "--no-dashboard", *options, cwd=cwd, env=env) as log:
        wait_for("Registered to", log)
        yield log


def test_run_on_a_cluster_equals_one_on_this_machine_also_when_a_worker_is_killed(
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


def test_commands_of_the_readme_run(tmp_path: Path) -> None:
    readme = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"```sh\n(dask scheduler .*?)```", readme, re.DOTALL)
    first, second, third = (shlex.split(line) for line in block.splitlines())
    assert (second[:2], third[:4]) == (["dask", "worker"], ["python", "-m", "bench", "run"])
    with (
        dask(*first[1:], "--port", "0", "--dashboard-address", "127.0.0.1:0", cwd=tmp_path) as log,
        dask(*(word.replace(DEFAULT, at := _address(log)) for word in second[1:]), "--no-dashboard", cwd=tmp_path),
    ):
        options = ("--dataset", "digits", "--tuner", "random", *SHORT)
        said = run(*(word.replace(DEFAULT, at) for word in third[3:]), *options, cwd=tmp_path)
    assert "workers" in said.stderr


def _address(log: Path) -> str:
    return wait_for(r"Scheduler at: +(tcp://\S+)", log)


def test_worker_with_two_threads_is_refused_with_the_command_that_starts_it_right(
    scheduler: str, tmp_path: Path
) -> None:
    with worker(scheduler, tmp_path, threads=2):
        said = run(*TINY, "--scheduler", scheduler, cwd=tmp_path, code=2).stderr
    assert re.search(
        rf"Worker tcp://\S+ is not used: it has 2 threads, expected 1: start it with `dask worker {scheduler} "
        "--nthreads 1`",
        said,
    )


def packages(copy: Path, file: str, old: str, new: str) -> Path:
    """A copy of the packages in which one line is another."""
    for name in ("bench", "search_spaces"):
        shutil.copytree(SOURCE / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
    text = (copy / file).read_text()
    assert old in text
    (copy / file).write_text(text.replace(old, new))
    return copy


UNLIKE = {  # what is said of a worker, and what is edited in its packages
    r"it has keras 2\.0, here it is ": ("bench/environment.py", 'installed_version("keras", "keras-nightly")', '"2.0"'),
    r"its code of family 'tiny' is ": ("search_spaces/_recipe.py", "BATCH_SIZE = 128", "BATCH_SIZE = 64"),
    r".*lacks development": ("bench/data/sets/digits.py", "def development(", "def lost("),
}
OTHER_PROCESSOR = {  # in a test of its own, since it may be the first
    r"its processor is .*, that of the first worker is ": ("bench/environment.py", "cpu=cpu_model(text)", "cpu='Other'")
}


@pytest.mark.parametrize("unlike", [UNLIKE, OTHER_PROCESSOR], ids=["this process", "each other"])
def test_workers_that_are_unlike_are_refused_and_the_others_are_used(
    unlike: Mapping[str, tuple[str, str, str]], scheduler: str, tmp_path: Path
) -> None:
    with ExitStack() as stack:
        stack.enter_context(worker(scheduler, tmp_path))
        for number, edit in enumerate(unlike.values()):
            copy = packages(tmp_path / f"packages{number}", *edit)
            stack.enter_context(worker(scheduler, tmp_path, env=variables(copy)))
        said = run(*TINY, *SHORT, "--scheduler", scheduler, cwd=tmp_path).stderr
    assert "Using 1 workers" in said
    for reason in unlike:
        assert re.search(rf"Worker tcp://\S+ is not used: {reason}", said), said


def test_scheduler_that_does_not_answer_is_named(tmp_path: Path) -> None:
    said = run(*TINY, "--scheduler", "tcp://127.0.0.1:1", cwd=tmp_path, code=2).stderr
    assert "error: no Dask scheduler answers at 'tcp://127.0.0.1:1'" in said
    assert "start one with `dask scheduler`" in said
