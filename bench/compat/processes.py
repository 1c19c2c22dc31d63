"""Python's multiprocessing: the fork server, and new processes that do not import the main module."""

import multiprocessing.forkserver
import multiprocessing.spawn
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from bench.compat.expectations import expecting, incompatible

PYTHON = ("python",)


def fork_server_process() -> int | None:
    """Process id of Python's fork server for this process; None if it is not running.

    Raises:
        CompatibilityError: Python's fork server has other attributes.
    """
    with expecting(PYTHON, "multiprocessing.forkserver._forkserver with `_forkserver_pid` and `_stop`"):
        server = _fork_server()
        process: int | None = server._forkserver_pid if callable(server._stop) else None  # noqa: SLF001 - not public
    return process


def kill_fork_server() -> None:
    """Kill the fork server if it is running; Python itself ends it only with this process, and after its imports."""
    if (process := fork_server_process()) is not None:
        os.kill(process, signal.SIGKILL)
        _fork_server()._stop()  # noqa: SLF001 - not public


def _fork_server() -> Any:
    return vars(multiprocessing.forkserver)["_forkserver"]


@contextmanager
def without_main_module() -> Iterator[None]:
    """Start processes inside the block without importing the main module of this process in them.

    Otherwise a script would run again in every worker, unless it has an `if __name__ == "__main__"`. This holds for
    processes that are spawned and for those of a fork server; workers find what they need in installed modules.

    Raises:
        CompatibilityError: Python prepares new processes in another way.
    """
    original = multiprocessing.spawn.get_preparation_data

    def preparation_data(name: str) -> dict[str, Any]:
        return {key: value for key, value in original(name).items() if not key.startswith("init_main")}

    multiprocessing.spawn.get_preparation_data = preparation_data
    try:
        check_main_module_hidden()
        yield
    finally:
        multiprocessing.spawn.get_preparation_data = original


def check_main_module_hidden() -> None:
    """Check, inside `without_main_module`, that Python tells new processes other things, but not their main module.

    Raises:
        CompatibilityError: it does not.
    """
    with expecting(PYTHON, "multiprocessing.spawn.get_preparation_data, which processes are started with"):
        prepared = multiprocessing.spawn.get_preparation_data("check")
        modules = [multiprocessing.spawn]
        if sys.platform != "win32":
            from multiprocessing import popen_forkserver, popen_spawn_posix

            modules += [vars(popen_forkserver)["spawn"], vars(popen_spawn_posix)["spawn"]]
    used = all(module is multiprocessing.spawn for module in modules)
    if not used or "sys_path" not in prepared or any(key.startswith("init_main") for key in prepared):
        raise incompatible(PYTHON, "preparation data with sys_path, and without init_main keys", f"{sorted(prepared)}")
