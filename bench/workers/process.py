"""A process that answers the calls of the main process over a pipe."""

import multiprocessing
from collections.abc import Callable
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import Any

from bench.signals import shield_children_from_sigint
from bench.workers.fork_server import StartMethod


def start_process(method: StartMethod, serve: Callable[..., None], *arguments: Any) -> tuple[BaseProcess, Connection]:
    """Start a process that calls `serve` with its end of a pipe and `arguments`; returns it and the other end."""
    context: Any = multiprocessing.get_context(method)
    connection, end = context.Pipe()
    process: BaseProcess = context.Process(target=serve, args=(end, *arguments), daemon=True)
    with shield_children_from_sigint():
        process.start()
    end.close()  # so that the death of the process is noticed
    return process, connection
