"""What all processes of a search need: how to start them, and the user's objects, stored when the first one starts."""

from collections.abc import Callable
from functools import cached_property
from pathlib import Path

from bench.workers.fork_server import StartMethod


class Shared:
    """What all processes of a search need."""

    def __init__(self, payload: Path, write: Callable[[Path], str], start_method: StartMethod) -> None:
        """Share what `write` stores in the folder `payload`; it returns a digest of the data."""
        self.payload = payload
        self._write = write
        self._start_method = start_method

    @property
    def start_method(self) -> StartMethod:
        """How to start processes; they find the payload."""
        self.digest  # noqa: B018 - written before any process is started
        return self._start_method

    @cached_property
    def digest(self) -> str:
        """The digest of the data."""
        return self._write(self.payload)
