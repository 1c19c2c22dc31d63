"""The process that builds models, only to find their hyperparameters, so that a crash does not end the search."""

import multiprocessing
from contextlib import redirect_stdout, suppress
from io import StringIO
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from bench.own_tuner.shared import Shared
from bench.signals import shield_children_from_sigint
from bench.training.own_tuner.exchange import Config

BUILD_SECONDS = 60
START_SECONDS = 600  # it imports TensorFlow, possibly on a busy machine


class Builder:
    """Starts the process when it is first needed, and again if it has died."""

    def __init__(self, shared: Shared, seconds: float | None) -> None:
        """Build models of the hypermodel in `shared`, each in at most `seconds`, or BUILD_SECONDS if that is less."""
        self._shared = shared
        self._seconds = min(BUILD_SECONDS, seconds or BUILD_SECONDS)
        self._process: BaseProcess | None = None

    def built(self, hyperparameters: Config) -> Config:
        """The hyperparameters after their model was built; as they were if building crashes or takes too long."""
        try:
            if self._process is None:
                self._start()
            self._connection.send(hyperparameters)
            if self._connection.poll(self._seconds):
                found: Config = self._connection.recv()
                return found
        except (EOFError, OSError):
            pass
        self.close()
        return hyperparameters

    def close(self) -> None:
        """Kill the process."""
        if self._process is not None:
            self._process.kill()
            self._connection.close()
            self._process = None

    def _start(self) -> None:
        context: Any = multiprocessing.get_context(self._shared.start_method)
        self._connection, end = context.Pipe()
        process: BaseProcess = context.Process(target=_serve, args=(end, self._shared.payload), daemon=True)
        with shield_children_from_sigint():
            process.start()
        end.close()  # so that the death of the process is noticed
        self._process = process
        if self._connection.poll(START_SECONDS):
            self._connection.recv()  # it is ready


def _serve(connection: Connection, folder: Path) -> None:
    """Answer the calls of a Builder until the other end is closed, also by the death of the main process."""
    from bench.training.own_tuner.building import space_after_build
    from bench.workers.tasks import prepare_worker

    prepare_worker()
    with suppress(EOFError, ConnectionError), redirect_stdout(StringIO()):
        connection.send("ready")
        while True:
            connection.send(space_after_build(folder, connection.recv()))
