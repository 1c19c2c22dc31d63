"""The process that builds models, only to find their hyperparameters, so that a crash does not end the search."""

import sys
from contextlib import redirect_stdout, suppress
from functools import cached_property
from io import StringIO
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from bench.execution.events import Message, Report
from bench.own_tuner.identity import space_digest
from bench.own_tuner.shared import Shared
from bench.signals import end_with_parent
from bench.training.own_tuner.exchange import Config
from bench.workers.fork_server import other_threads_when_forked
from bench.workers.process import start_process

BUILD_SECONDS = 60


class Builder:
    """Starts the process when it is first needed, and again if it has died."""

    def __init__(self, hypermodel: Any, shared: Shared, seconds: float | None, report: Report) -> None:
        """Build models in at most `seconds`, or BUILD_SECONDS if that is less.

        Args:
            hypermodel: the one in `shared`; None if there is none.
            shared: what the process needs.
            seconds: for a model; None for no limit of the user's.
            report: called with a message if a model takes longer.
        """
        self._hypermodel = hypermodel
        self._shared = shared
        self._seconds = min(BUILD_SECONDS, seconds or BUILD_SECONDS)
        self._report = report
        self._process: BaseProcess | None = None

    @cached_property
    def declared(self) -> str:
        """Digest of the hyperparameters that the hypermodel declares by default; empty if it cannot be built."""
        found = self.space_after_build({"space": [], "values": {}})
        return "" if found is None else space_digest(found)

    def space_after_build(self, hyperparameters: Config) -> Config | None:
        """The hyperparameters after their model was built; None if building crashes or takes too long.

        Raises:
            SearchError: the process does not start.
        """
        if self._hypermodel is None:
            return hyperparameters
        try:
            if self._process is None:
                self._shared.ensure_written()
                self._process, self._connection = start_process(self._shared.start_method, _serve, self._shared.payload)
            self._connection.send(hyperparameters)
            if self._connection.poll(self._seconds):
                found: Config = self._connection.recv()
                return found
            self._report(
                Message(
                    text=f"Building a model takes longer than {self._seconds:g} s: its hyperparameters will be found "
                    "when its trial runs. If it never ends, trial_timeout ends its trial; if it is slow, download and "
                    "preprocess outside build"
                )
            )
        except (EOFError, OSError):
            pass
        self.close()
        return None

    def close(self) -> None:
        """Kill the process."""
        if self._process is not None:
            self._process.kill()
            self._connection.close()
            self._process = None


def _serve(connection: Connection, folder: Path) -> None:
    """Answer the calls of a Builder until the other end is closed, also by the death of the main process."""
    from bench.training.own_tuner.building import space_after_build
    from bench.training.precision import use_one_thread
    from bench.workers.tasks import import_libraries

    if sys.platform == "linux":
        end_with_parent()  # while it builds a model, it would not notice that the other end was closed
    threads = other_threads_when_forked()
    if not threads:
        import_libraries()
        use_one_thread()
    with suppress(EOFError, ConnectionError), redirect_stdout(StringIO()):
        connection.send(threads)
        while True:
            connection.send(space_after_build(folder, connection.recv()))
