"""A process that answers the calls of the main process over a pipe."""

import multiprocessing
from collections.abc import Callable
from contextlib import ExitStack
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import Any

from bench.errors import SearchError
from bench.signals import shield_children_from_sigint
from bench.workers.fork_server import StartMethod

START_SECONDS = 600  # a process may import TensorFlow, possibly on a busy machine


def start_process(method: StartMethod, serve: Callable[..., None], *arguments: Any) -> tuple[BaseProcess, Connection]:
    """Start a process that calls `serve` with its end of a pipe and `arguments`; returns it and the other end.

    When `serve` is ready, it must send `other_threads_when_forked()`. If there are any, which may have held locks, the
    process is started again without forking.

    Raises:
        SearchError: the process did not start in time.
        EOFError: the process died.
    """
    context: Any = multiprocessing.get_context(method)
    connection, end = context.Pipe()
    process: BaseProcess = context.Process(target=serve, args=(end, *arguments), daemon=True)
    with shield_children_from_sigint():
        process.start()
    end.close()  # so that the death of the process is noticed
    with ExitStack() as stack:
        stack.callback(connection.close)
        stack.callback(process.kill)
        if not connection.poll(START_SECONDS):
            raise SearchError(
                f"a process did not start within {START_SECONDS} s: check whether the machine is busy, then try again"
            )
        if not connection.recv():
            stack.pop_all()
            return process, connection
    return start_process("spawn", serve, *arguments)
