"""What all processes of a search need: the user's objects, and the fork server. Made when it is first needed."""

from collections.abc import Callable
from contextlib import ExitStack
from functools import cached_property
from pathlib import Path

from bench.workers.fork_server import StartMethod, fork_server


class Shared:
    """Closed with the stack that it was created with."""

    def __init__(self, payload: Path, write: Callable[[], str], stack: ExitStack) -> None:
        """Share what `write` stores in the folder `payload`; it returns a digest of the data."""
        self.payload = payload
        self._write = write
        self._stack = stack

    @cached_property
    def start_method(self) -> StartMethod:
        """How to start processes; they find the payload."""
        method = self._stack.enter_context(fork_server())  # which imports TensorFlow meanwhile
        self.digest  # noqa: B018 - written before any process is started
        return method

    @cached_property
    def digest(self) -> str:
        """The digest of the data."""
        return self._write()
