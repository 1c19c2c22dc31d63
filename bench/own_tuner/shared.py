"""What all processes of a search need: how to start them, and the user's objects, stored when the first one starts."""

from collections.abc import Callable
from pathlib import Path

from bench.workers.fork_server import StartMethod


class Shared:
    """What all processes of a search need."""

    def __init__(self, payload: Path, write: Callable[[Path], str], start_method: StartMethod) -> None:
        """Share what `write` stores in the folder `payload`; it returns a digest of the data."""
        self.payload = payload
        self.start_method = start_method
        self._write = write
        self._digest: str | None = None

    def ensure_written(self) -> str:
        """Store the objects unless they are stored, before a process is started; returns the digest of the data."""
        if self._digest is None:
            self._digest = self._write(self.payload)
        return self._digest
